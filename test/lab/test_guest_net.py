# SPDX-License-Identifier: BSD-2-Clause
"""Guests' network: a stock kernel on the virtual switch, seen from a third machine."""
import json
import subprocess
import time
from collections import Counter

import pytest

from lablib import net
from lablib.guest import Guest
from lablib.paths import TOP

pytestmark = [pytest.mark.guests,
              pytest.mark.skipif(net.wrapper()[0] != "tap", reason="no taps: no third machine")]

ADDR, ADDR6 = "10.77.0.50", "fd77::32"
OTHER, SYS = "02:00:00:00:00:99", "/sys/class/net/eth0"
RATE_MBIT, RATE_BYTES = 8, 3000000
MAC, ECHO_PORT = "02:00:00:00:00:32", 7
ROUNDS = 6              # of announcements: net/announce.c
ANNOUNCED = {"rarp": ROUNDS, f"arp {ADDR}": ROUNDS, f"na {ADDR6}": ROUNDS}


class Netted(Guest):
    """A shell guest with an address of each family and the services of test/guest/net.c."""

    def boot(self, host="a", vcpus=1):
        self.create(host, mode="shell", vcpus=vcpus, options=f"--net net0,{MAC}",
                    net=f"{ADDR}/24", net6=f"{ADDR6}/64")
        self.start()
        self.wait_text(r"guest# ", 180)
        return self

    def type(self, line):
        self.lab.run(self.host, f"vm type {self.name} {line}")


@pytest.fixture
def netted(pair):
    return Netted(pair, "net").boot()


class OnClient:
    """A program that runs on the third machine until it is told to stop."""

    def __init__(self, lab, program, *args):
        argv = ["/usr/bin/python3", f"{TOP}/{program}", *map(str, args)]
        self.proc = subprocess.Popen(lab.client_argv("third", argv), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)

    def line(self):
        return self.proc.stdout.readline().strip()

    def finish(self, timeout=300):
        """What it said since."""
        out, _ = self.proc.communicate("stop\n", timeout=timeout)
        assert self.proc.returncode == 0, out
        return out


def echo(lab, addr, *args):
    return OnClient(lab, "test/lab/echoclient.py", addr, ECHO_PORT, *args)


def probe(lab, addr):
    return OnClient(lab, "tools/lablib/netload.py", addr, "probe")


class Watch(OnClient):
    """What the third machine hears from the guest's address."""

    def __init__(self, lab):
        super().__init__(lab, "test/lab/macwatch.py", MAC)
        assert self.line() == "watching"

    def until(self, wanted):
        """Counts frames by kind until all that is WANTED was heard; those of one address."""
        heard = Counter()
        while any(heard[kind] < count for kind, count in wanted.items()):
            heard[self.line()] += 1
        return heard


def learned(lab):
    """The tap behind which the lab's bridge has the guest."""
    text = lab.exec(["bridge", "-j", "fdb", "show", "br", "br0"], capture_output=True).stdout
    return [e["ifname"] for e in json.loads(text) if e["mac"] == MAC]


def test_hosts_and_a_third_machine_reach_it(pair, netted):
    for host in "ab":
        pair.run(host, f"net ping {ADDR}")
    assert "ok" in echo(pair, ADDR, "--bytes", 3000000).finish()
    assert netted.info()["nets"] == [{"network": "net0", "mac": MAC, "queues": 1}]
    ports = pair.ask("a", "net ports")
    assert [p["vm"] for p in ports] == ["net"] and not ports[0]["muted"]
    assert ports[0]["rx_bytes"] > 3000000 and ports[0]["tx_bytes"] > 3000000
    # One copy out of the guest or into it, none beside: nothing is cut or summed in software.
    assert 995 <= ports[0]["copies_permille"] <= 1005
    assert not ports[0]["cut_frames"] and not ports[0]["summed"]


def test_connections_survive_moves_to_and_fro(pair, netted):
    """Small messages in turn, and all the random bytes that go through, byte for byte."""
    talk = [echo(pair, ADDR, "--until-stop"), echo(pair, ADDR6, "--stream")]
    for t in talk:
        assert t.line() == "connected"
    for to in "ba":
        netted.migrate(to)
        port, = pair.ask(to, "net ports")
        assert port["vm"] == "net" and {ADDR, ADDR6} <= set(port["addresses"])
        assert learned(pair) == [{"a": "h1n0", "b": "h2n0"}[to]]
    for t in talk:
        assert "ok" in t.finish()


def test_the_address_is_where_the_vm_runs(pair, netted):
    """Stunned: no host speaks or answers for it. After a cancel the source says where it is, after
    a move the destination: each address, as often as it should, and the bridge believes it."""
    for addr in (ADDR, ADDR6):
        assert "ok" in echo(pair, addr, "--bytes", 100).finish()
    job = netted.migrate_start("b", "--hold", "ready")
    netted.migrate_wait(job, until=("ready",))
    watch, before = Watch(pair), [pair.ask(host, "net ports")[0] for host in "ab"]
    lost = probe(pair, ADDR)
    for addr in (ADDR, ADDR6):
        assert pair.cmd("b", f"net ping {addr} --count 1").status == 1
    after = [pair.ask(host, "net ports")[0] for host in "ab"]
    got = json.loads(lost.finish())
    assert got["sent"] > 20 and got["answers"] == 0
    assert all(p["muted"] for p in before + after)
    assert [p["tx_frames"] for p in before] == [p["tx_frames"] for p in after]
    assert learned(pair) == ["h1n0"]

    pair.run("a", f"migrate cancel {job}")
    netted.migrate_wait(job, until=("canceled",))
    assert not pair.ask("a", "net ports")[0]["muted"]
    heard = watch.until(ANNOUNCED)
    assert heard["rarp"] == ROUNDS, "it spoke while it was stunned"
    netted.migrate("b")
    assert learned(pair) == ["h2n0"]
    heard += watch.until(ANNOUNCED)
    for addr in (ADDR, ADDR6):
        pair.run("a", f"net ping {addr}")
    heard += Counter(watch.finish().splitlines())
    assert {kind: heard[kind] for kind in ANNOUNCED} == {k: 2 * n for k, n in ANNOUNCED.items()}


def test_another_source_address_is_dropped_unless_allowed(pair, netted):
    """The device refuses to change its address, and what a second interface of the guest's sends
    from its own is dropped. With the rule lifted, the new address works, and moves along."""
    def address(end):
        for line in (f"ip link set eth0 address {OTHER}", f"cat {SYS}/address; echo {end}"):
            netted.type(line)
        return netted.wait_text(rf"^\S+\s+{end}", 60).split()[0]

    assert address("denied") == MAC
    netted.type("ip link add link eth0 name second type macvlan")
    netted.type("ip link set second up; ip addr add 10.77.0.51/24 dev second")
    netted.type("ping -c 1 -w 2 -I second 10.77.0.1; echo second-$((1+1))")
    netted.wait_text(r"^second-2", 60)
    assert pair.ask("a", "net ports")[0]["spoofed"] > 0

    netted.type("ip link del second")
    pair.run("a", "net port net --spoof allow")
    assert address("allowed") == OTHER
    netted.type("ping -c 1 -w 20 10.77.0.1")
    netted.wait_text(r"^1 packets transmitted, 1 packets received", 60)
    pair.run("a", f"net ping {ADDR}")
    netted.migrate("b")
    port, = pair.ask("b", "net ports")
    assert (port["mac"], port["spoof"]) == (OTHER, "allow")
    pair.run("a", f"net ping {ADDR}")


def use_all_queues(lab, host, count):
    """Connections, each a flow of its own, until every queue has carried frames both ways."""
    for _ in range(40):
        assert "ok" in echo(lab, ADDR, "--bytes", 20000).finish()
        port, = lab.ask(host, "net ports")
        assert len(port["queues"]) == count
        if all(q["tx_frames"] and q["rx_frames"] for q in port["queues"]):
            return port
    raise AssertionError(f"queues without frames: {port['queues']}")


def test_several_queues_and_a_rate(pair):
    """As many queues as vCPUs, each with interrupts of its own and its share of the flows, before
    and after a move; a rate holds both directions, and moves along."""
    two = Netted(pair, "two").boot(vcpus=2)
    two.type(f"ls {SYS}/queues; grep -cF input. /proc/interrupts; echo queues-$((1+1))")
    two.wait_text(r"rx-0\s+rx-1\s+tx-0\s+tx-1\s+2\s+queues-2", 60)
    port = use_all_queues(pair, "a", 2)
    assert sum(q["rx_frames"] for q in port["queues"]) == port["rx_frames"]
    pair.run("a", f"net port two --rate {RATE_MBIT}")
    two.migrate("b")
    port = use_all_queues(pair, "b", 2)
    assert port["rate_mbit"] == RATE_MBIT
    start = time.monotonic()
    assert "ok" in echo(pair, ADDR, "--bytes", RATE_BYTES).finish()
    assert time.monotonic() - start > 0.8 * RATE_BYTES * 8 / (RATE_MBIT * 1e6)


def test_an_unknown_network_is_refused(pair):
    got = pair.cmd("a", "vm create x --kernel /boot/vmlinuz --net nowhere")
    assert got.status == 1 and got.text.startswith("error: not-found")
    got = pair.cmd("a", "vm create x --kernel /boot/vmlinuz --net net0,01:00:00:00:00:00")
    assert got.status == 1 and got.text.startswith("error: invalid")
    for words in ("queues=2", "queues=9", "queues=0", "rate=0", "rate=x", "spoof=yes", "what=1"):
        got = pair.cmd("a", f"vm create x --kernel /boot/vmlinuz --net net0,{words}")
        assert got.status == 1 and got.text.startswith("error: invalid"), words
    assert pair.cmd("a", "net port x --rate 5").text.startswith("error: not-found")
