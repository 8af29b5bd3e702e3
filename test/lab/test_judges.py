# SPDX-License-Identifier: BSD-2-Clause
"""Guests judged by programs of others: stress-ng, memtester, cyclictest, iperf3, memtest86+.

A guest with four vCPUs, on hosts with two CPUs, works under what checks itself, talks to a
third machine, and moves meanwhile. Nothing that checks finds an error, nor has the guest's
kernel anything to complain of.

    TERN_JUDGE_MOVES=20 /usr/bin/python3 -m pytest test/lab/test_judges.py

From ten moves on more kinds of load are taken, and figures are printed (`make soak`).
"""
import os
import re
import subprocess

import pytest

from conftest import clear, third
from lablib import net
from lablib.client import Lab
from lablib.guest import Guest
from lablib.judges import Judge
from lablib.paths import TOP, LabError
from test_guest_net import echo

pytestmark = [pytest.mark.guests,
              pytest.mark.skipif(net.wrapper()[0] != "tap", reason="no taps: no third machine")]

MOVES = int(os.environ.get("TERN_JUDGE_MOVES", "2"))
LONG = MOVES >= 10
OTHER = {"a": "b", "b": "a"}
ADDR = "10.77.0.50"
BUDGET = ("--budget", "1000")
LOAD = "--cpu 2 --vm 1 --vm-bytes 16M --switch 1 --timer 1 --futex 1"
MORE = ("--matrix 1 --atomic 1 --hash 1 --malloc 1 --memcpy 1 --pipe 1 --shm 1 --qsort 1 "
        "--str 1 --fork 1 --mmap 1 --mmap-bytes 16M --zlib 1 --sock 1 --udp 1 --tsc 1 "
        "--clock 1 --sem 1 --nop 1 --vecmath 1 --fp 1 --crypt 1 --bsearch 1 --radixsort 1")


@pytest.fixture(scope="module")
def _hosts():
    subprocess.run([f"{TOP}/tools/guest", "--judges"], check=True)
    lab = Lab(f"judges-{os.getpid()}")
    lab.remove()
    lab.up(["a", "b"], clients=third(), files=f"{TOP}/build/judges")
    yield lab
    lab.down()


@pytest.fixture
def hosts(_hosts):
    clear(_hosts, ["a", "b"], f"{TOP}/build/judges")
    return _hosts


@pytest.fixture
def judged(hosts):
    g = Guest(hosts, "g")
    g.create("a", mode="shell", mem="384M", vcpus=4, options="--net net0", net=f"{ADDR}/24")
    g.start()
    g.wait_text(r"guest# ", 180)
    return g


def judge(g, line):
    return Judge(g.lab, g.name, line.split())


def passes(j, timeout=300):
    status, lines = j.wait(timeout)
    said = "\n".join(lines)
    assert status == 0 and not re.search(r"\bfail|FAILURE|\berror:", said), said
    return said


class Shifts:
    """One run of a load after the other, for as long as it takes; each has to pass."""

    def __init__(self, g, line):
        self.g, self.line, self.passed = g, line, 0
        self.now = judge(g, line)

    def look(self, _status=None):
        self.now.poll()
        if self.now.verdict is not None:
            self.finish()
            self.now = judge(self.g, self.line)

    def finish(self):
        passes(self.now)
        self.passed += 1


def move(g, each=None):
    st = g.migrate(OTHER[g.host], *BUDGET, timeout=300, each=each)
    return f"blackout {st['blackout']['total_ns'] / 1e6:.0f} ms of {st['total_ns'] / 1e9:.1f} s"


def test_four_vcpus_under_load_move(judged):
    """Load that verifies itself, a memory tester, a connection compared byte for byte."""
    stress = Shifts(judged, f"stress-ng {LOAD} {MORE if LONG else ''} --verify --timeout 10")
    memory = judge(judged, f"memtester {'16M 4' if LONG else '1M 1'}")
    talk = [echo(judged.lab, ADDR, "--stream"), echo(judged.lab, ADDR, "--until-stop")]
    for t in talk:
        assert t.line() == "connected"
    for n in range(MOVES):
        print(f"move {n + 1}: {move(judged, stress.look)}", flush=True)
        judged.lab.run(judged.host, f"net ping {ADDR}")
    stress.finish()
    passes(memory, 3000)
    for t in talk:
        assert "ok" in t.finish()
    passes(judge(judged, "kernel-log"))


def stream_to(judged):
    """iperf3 on the third machine, once the guest's server listens: before, it is refused."""
    argv = judged.lab.client_argv("third", ["iperf3", "-c", ADDR, "-t", "40"])
    for _ in range(60):
        client = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            client.wait(2)
        except subprocess.TimeoutExpired:
            return client
        said = client.stdout.read()
        assert "refused" in said, said
    raise AssertionError("the guest's iperf3 does not listen")


@pytest.mark.skipif(not LONG, reason="TERN_JUDGE_MOVES=10 or more")
def test_wake_ups_and_streams_over_moves(judged):
    """cyclictest's threads and an iperf3 stream live through moves; what they measured is told."""
    late = judge(judged, "cyclictest -q -t 4 -p 80 -i 10000 -D 60")
    server = judge(judged, "iperf3 -s -1")
    client = stream_to(judged)
    for _ in range(4):
        print(move(judged), flush=True)
    out, _ = client.communicate(timeout=300)
    assert client.returncode == 0, out
    assert len(re.findall(r"^T: *\d", passes(late), re.M)) == 4
    print(*late.lines, *out.splitlines()[-4:], sep="\n")
    passes(server)
    passes(judge(judged, "kernel-log"))


def shown(g):
    """The guest's text screen, from what it sent to its terminal."""
    g.poll()
    rows, row, column = {}, 1, 1
    for m in re.finditer(r"\x1b\[(\d+);(\d+)H|\x1b\[[?\d;]*[A-Za-z]|([^\x1b\r\n])", g.text):
        if m[1]:
            row, column = int(m[1]), int(m[2])
        elif m[3]:
            rows.setdefault(row, {})[column] = m[3]
            column += 1
    return "\n".join("".join(rows[r].get(c, " ") for c in range(1, 81)) for r in sorted(rows))


def test_memtest86_moves(hosts):
    """A guest that is not Linux: started by the Linux protocol, on two vCPUs, it tests memory
    on one host and goes on with it on the other."""
    g = Guest(hosts, "memtest")
    g.host = "a"
    hosts.run("a", "vm create memtest --mem 16M --vcpus 2 --kernel /boot/memtest "
                   '--cmdline "console=ttyS0,115200 nobench"')
    g.start()

    def testing(beyond):
        found = re.search(r"Test #(\d+)", shown(g))
        return found and int(found[1]) > beyond and int(found[1])

    at = g.wait(lambda: testing(0), 120, "test 1 of memtest86+")
    assert "CPU: 2 Cores 2 Threads" in shown(g)
    g.migrate("b", *BUDGET)
    g.wait(lambda: testing(at), 120, "next test of memtest86+")
    assert re.search(r"Errors: 0\b", shown(g)), shown(g)


def test_lab_judge_says_what_is_wrong(hosts):
    def lab(*argv):
        done = subprocess.run([f"{TOP}/tools/lab", "judge", *argv], capture_output=True, text=True,
                              env={**os.environ, "TERN_LAB": os.path.basename(hosts.dir)},
                              check=False)
        return done.returncode, done.stderr

    assert lab("g", "sparkler") == (2, "lab: judge VM TOOL: stress-ng, memtester, cyclictest, "
                                       "iperf3, kernel-log, fio\n")
    assert lab("g", "memtester", "1M;reboot")[0] == 2
    status, said = lab("g", "kernel-log")
    assert status == 2 and "VM g: no such VM is running" in said
