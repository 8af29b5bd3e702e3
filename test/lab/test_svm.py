# SPDX-License-Identifier: BSD-2-Clause
"""Guests on one host: boot, memory, devices, life cycle; the console's errors."""
import json
import os
import socket
import subprocess
import time

import pytest

from lablib.client import Lab
from lablib.guest import Guest
from lablib.paths import TOP

pytestmark = pytest.mark.svm


@pytest.fixture(params=[1, 4])
def other_smp(request, payload):
    """A host with another number of CPUs than the pair's two."""
    lab = Lab(f"smp{request.param}-{os.getpid()}")
    lab.up(["a"], files=payload, smp=request.param)
    lab.smp = request.param
    yield lab
    lab.down()


def test_host_info(pair):
    info = pair.ask("a", "host info")
    assert info["hostname"] == "a"
    assert info["cpus"] == 2
    assert info["own_bytes"] < 64 << 20
    assert info["ready_ms"] > 0


def test_files_appear(pair, payload):
    files = {f["name"]: f["bytes"] for f in pair.ask("a", "host files")}
    for name in os.listdir(payload):
        assert files[f"/boot/{name}"] == os.path.getsize(f"{payload}/{name}")


def test_hosts_reach_each_other(pair):
    pair.run("a", f"net ping {pair.addr('b')}")
    end = time.monotonic() + 20         # a new IPv6 address is first checked for doubles
    while pair.cmd("a", "net ping fd77::2").status:
        assert time.monotonic() < end
    assert pair.cmd("a", "net ping 10.77.0.99").status


def test_guest_writes_and_checks(guest):
    guest.wait_passes(2)
    guest.verify()
    assert guest.beats[-1].rng > 0, "the virtio random device gives nothing"
    assert guest.state() == "running"


def test_guest_on_other_cpu_counts(other_smp):
    assert other_smp.ask("a", "host info")["cpus"] == other_smp.smp
    g = Guest(other_smp, "g")
    g.create("a", mode="dirty", ws=16, rate=20)
    g.start()
    g.wait_ready()
    g.wait_passes(1)
    g.verify()


def test_page_sequence(pair):
    g = Guest(pair, "seq")
    g.create("a", mode="pageseq", ws=32)
    g.start()
    g.wait_ready()
    g.wait_passes(300)      # the counting byte wraps
    g.verify()


def test_shell_answers(pair):
    g = Guest(pair, "sh")
    g.create("a", mode="shell")
    g.start()
    g.wait_text(r"guest# ", 120)
    pair.run("a", "vm type sh \"echo $((6*7)) answers\"")
    g.wait_text(r"^42 answers", 30)


def test_power_off_from_inside(pair):
    g = Guest(pair, "off")
    g.create("a", mode="off")
    g.start()
    g.wait_text(r"^guest: off", 120)
    g.wait(lambda: g.state() == "off", 30, "state off")


def test_pause_holds_the_guest(guest):
    guest.lab.run("a", "vm pause g")
    guest.poll()
    seen = len(guest.beats)
    assert guest.state() == "paused"
    guest.lab.run("a", "net ping " + guest.lab.addr("b"))
    guest.poll()
    assert len(guest.beats) <= seen + 1
    guest.lab.run("a", "vm resume g")
    guest.wait_beats(5)
    guest.verify()


def test_typing_into_a_vm_that_is_off(pair):
    pair.run("a", "vm create x --kernel /boot/vmlinuz")
    got = pair.cmd("a", "vm type x lost")
    assert got.status == 1 and got.text.startswith("error: not-running "), got
    assert pair.cmd("a", "vm log x --tail 3 --since 3").status
    pair.run("a", "vm delete x")


def test_stop_start_delete(guest):
    lab = guest.lab
    assert lab.cmd("a", "vm delete g").status, "a running VM was deleted"
    lab.run("a", "vm stop g")
    assert guest.state() in ("off", "stopped")
    lab.run("a", "vm start g")
    again = Guest(lab, "g", "a")
    again.wait(lambda: any(t.startswith("guest: ready") for t in again.text.splitlines()),
               120, "second boot")
    lab.run("a", "vm stop g")
    lab.run("a", "vm delete g")
    assert lab.ask("a", "vm list") == []


def test_memory_comes_back(pair):
    free = pair.ask("a", "host info")["free_bytes"]
    g = Guest(pair, "mem")
    g.create("a", mode="dirty", ws=64, rate=50)
    g.start()
    g.wait_ready()
    g.remove()
    assert abs(pair.ask("a", "host info")["free_bytes"] - free) < 4 << 20


@pytest.fixture
def pvh_host(payload, tmp_path_factory):
    """A host that has the stock kernel unpacked, and a bare ELF file."""
    files = tmp_path_factory.mktemp("pvh")
    subprocess.run([f"{TOP}/tools/guest", "--vmlinux", "--out", str(files)], check=True)
    (files / "bare").write_bytes(open(f"{TOP}/build/tern.efi.so", "rb").read())
    lab = Lab(f"pvh-{os.getpid()}")
    lab.up(["a"], files=str(files))
    yield lab
    lab.down()


def test_stock_kernel_by_pvh(pvh_host):
    """An uncompressed kernel is started at its PVH entry."""
    g = Guest(pvh_host, "pvh")
    g.create("a", mode="dirty", ws=16, rate=20, kernel="/boot/vmlinux")
    g.start()
    g.wait_ready()
    g.wait_passes(1)
    g.verify()
    pvh_host.run("a", "vm create x --kernel /boot/bare")
    got = pvh_host.cmd("a", "vm start x")
    assert got.status == 1 and "no PVH entry" in got.text
    pvh_host.run("a", "vm create y --mem 32M --kernel /boot/vmlinux")
    got = pvh_host.cmd("a", "vm start y")
    assert got.status == 1 and "MiB to start" in got.text


BAD = [
    "nonsense", "vm", "vm nonsense", "vm start nobody", "vm create", "vm create x",
    "vm create x --kernel /boot/nothing",
    "vm create x --kernel /boot/vmlinuz --initrd /boot/nothing",
    "vm create x --kernel /boot/vmlinuz --mem 64G", "vm create x --kernel /boot/vmlinuz --mem 12Q",
    "vm create x --kernel /boot/vmlinuz --mem 0", "vm create x --kernel /boot/vmlinuz --vcpus 0",
    "vm create x --kernel /boot/vmlinuz --vcpus 1000", "vm create x --kernel /boot/vmlinuz extra",
    "vm create 'bad name' --kernel /boot/vmlinuz",
    "vm create " + "n" * 80 + " --kernel /boot/vmlinuz",
    "vm create x --kernel /boot/initrd", "vm create x --kernel '", "vm log nobody", "vm info",
    "vm info a b", "migrate", "migrate nobody 10.77.0.2", "migrate nobody nowhere",
    "migrate status 999", "migrate status x", "migrate cancel 999", "migrate continue 999",
    "migrate resolve nobody here", "migrate resolve nobody elsewhere",
    "net ping", "net ping nowhere",
    "net bench 10.77.0.99", "log --since x", "host info extra", "vm list extra",
    "host files extra", "host worlds extra", "host reboot extra", "host poweroff --forse",
    "vm create x --kernel ''", "vm create x --kernel /boot/vmlinuz --initrd ''",
    "vm create x --kernel /boot/vmlinuz --net net0,00:00:00:00:00:00",
    "vm create x --kernel /boot/vmlinuz --net net0,-2:00:00:00:00:01",
    "net set net0 224.0.0.1/4", "net set net0 127.0.0.1/8", "net set net0 10.77.0.255/24",
    "help nonsense", "help vm nonsense", "help nonsense --json",
]
WRONG_OPTIONS = {
    "vm create x --kernel /boot/vmlinuz --memory 64M": "--memory",
    "vm create x --kernel /boot/vmlinuz --mem": "--mem",
    "vm create x --kernel /boot/vmlinuz --mem 64M --mem 128M": "--mem",
    "vm log x --tial 3": "--tial", "net ping 10.77.0.2 --count": "--count",
    "migrate x 10.77.0.2 --wait=1": "--wait=1", "cluster baseline --set": "--set",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input(pair, line):
    """One clear line, and nothing is changed."""
    got = pair.cmd("a", line)
    if got.status == 0 and line == "vm create x --kernel /boot/initrd":
        got = pair.cmd("a", "vm start x")       # found out when it boots
        pair.run("a", "vm delete x")
    assert got.status == 1
    last = got.text.splitlines()[-1]
    assert last.startswith("error: "), got.text
    assert pair.ask("a", "net info")[0]["addr"] == "10.77.0.1/24"
    assert len(last.split(" ", 2)) == 3, f"no code and text: {last}"
    assert pair.ask("a", "vm list") == []


@pytest.mark.parametrize("line", WRONG_OPTIONS)
def test_wrong_option_is_named(pair, line):
    got = pair.cmd("a", line)
    assert got.status == 1 and got.text.startswith(f"error: usage {WRONG_OPTIONS[line]}: "), got
    assert pair.ask("a", "vm list") == []


def test_help_of_one_command(pair):
    got = pair.run("a", "help vm create")
    assert got.startswith("vm create NAME ") and "vm start" not in got
    assert [c["command"] for c in pair.ask("a", "help disk r")] == ["disk read"]


def test_bad_input_with_a_vm(guest):
    lab = guest.lab
    for line in ("vm create g --kernel /boot/vmlinuz", "vm start g", "vm resume g", "vm delete g",
                 "migrate g 10.77.0.99 --wait", "migrate g nowhere",
                 "migrate g 10.77.0.2 --hold nonsense", "migrate g 10.77.0.2 --budget x"):
        got = lab.cmd("a", line, 90)
        assert got.status == 1 and "error: " in got.text, (line, got)
    guest.wait_beats(3)
    guest.verify()
    assert [v["name"] for v in lab.ask("a", "vm list")] == ["g"]
    assert lab.ask("b", "vm list") == []


def test_line_too_long_is_not_cut(pair):
    """Half a command is another command."""
    pair.run("a", "vm create x --kernel /boot/vmlinuz")
    got = pair.cmd("a", "vm delete x" + " " * 1100 + "--bogus")
    assert got.status == 1 and got.text.startswith("error: usage the line is longer"), got
    assert [v["name"] for v in pair.ask("a", "vm list")] == ["x"]
    pair.run("a", "vm delete x")


def typed(pair, keys, until):
    """What host b's console sends while these keys arrive, up to `until`."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(pair.sock)
        s.sendall(json.dumps({"op": "console", "host": "b"}).encode() + b"\n")
        assert b"ok" in s.recv(100)
        s.sendall(keys)
        got = b""
        while until not in got:
            data = s.recv(65536)
            assert data, got
            got += data
        return got


def test_paste_is_not_drawn_key_by_key(pair):
    """A thousand keys, each with the whole line drawn again, are half a megabyte."""
    got = typed(pair, b"n" * 1000 + b"\r", b"error: unknown-command")
    assert len(got) < 100_000, len(got)


def test_tab_in_a_word_with_backslashes(pair):
    got = typed(pair, b"host \\i\\n\t\r", b"own memory")
    assert b"error" not in got


def test_tab_offers_one_vm(pair):
    pair.run("b", "vm create web --kernel /boot/vmlinuz")
    got = typed(pair, b"vm info w\tw\t\x7f\r", b"kernel   /boot/vmlinuz")
    assert b"error" not in got
    pair.run("b", "vm delete web")


def test_console_takes_junk(pair):
    """Bytes that no one would type do not end the console."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(pair.sock)
        s.sendall(json.dumps({"op": "console", "host": "b"}).encode() + b"\n")
        s.recv(100)
        s.sendall(bytes(range(256)) + b"@" * 600 + b"\r@99999999999999999999 help\r" + b"x" * 5000
                  + b"\r\x1b[A\x1b[Z\x03\r")
        pair.wait("b", "tern:b> ", 20)
        assert pair.cmd("b", "host info").status == 0
