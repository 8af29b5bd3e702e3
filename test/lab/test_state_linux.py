# SPDX-License-Identifier: BSD-2-Clause
"""What a stock Linux guest sees of its machine goes on over moves, with its devices at work.

Each vCPU has a pattern in its vector registers all the time (`/init vectors`); random
numbers, console output and a connection from a third machine are under way.
"""
import re

import pytest

from conftest import third
from lablib.guest import Guest
from test_devices import say
from test_guest_net import ADDR, MAC, echo

pytestmark = pytest.mark.guests

VCPUS = 2
MOVES = ("b", "a")
BUSY = ("virtio0", "virtio1", "virtio2")


def interrupts(g):
    """Counts of /proc/interrupts, of each vCPU, by name: the device's, or LOC and its like."""
    counts = {}
    for line in say(g, "cat /proc/interrupts").splitlines():
        found = re.match(rf"\s*(\w+):((?:\s+\d+){{{VCPUS}}})\s+(.*?)\r?$", line)
        if found:
            name = found[1] if found[1].isalpha() else found[3].split()[-1]
            counts[name] = [int(n) for n in found[2].split()]
    return counts


def devices(counts):
    """Sums of the virtio devices' queues."""
    sums = {}
    for name, of_cpu in counts.items():
        if name.startswith("virtio"):
            device = name.split("-")[0]
            sums[device] = sums.get(device, 0) + sum(of_cpu)
    return sums


def check_went_on(before, now):
    for name, of_cpu in before.items():
        assert all(a <= b for a, b in zip(of_cpu, now[name])), (name, of_cpu, now[name])
    assert all(a < b for a, b in zip(before["LOC"], now["LOC"])), "a vCPU has no ticks"
    was, is_now = devices(before), devices(now)
    idle = [d for d in was if was[d] == is_now[d]]
    assert not set(idle) & set(BUSY), (was, is_now)


@pytest.fixture
def busy(pair):
    g = Guest(pair, "busy")
    g.create("a", mode="shell", vcpus=VCPUS, options=f"--net net0,{MAC}", net=f"{ADDR}/24")
    g.start()
    g.wait_text(r"guest# ", 180)
    for line in ("cat /dev/hwrng > /dev/null & :",
                 "cat /dev/zero > /dev/hvc0 & :", "/init vectors & vectors=$!"):
        say(g, line)
    g.wait_text(r"vectors: [XYZ]MM")
    return g


@pytest.mark.skipif(not third(), reason="no taps: no third machine")
def test_stock_guest(pair, busy):
    talk = echo(pair, ADDR, "--until-stop")
    assert talk.line() == "connected"
    before = interrupts(busy)
    for to in MOVES:
        busy.migrate(to)
        now = interrupts(busy)
        check_went_on(before, now)
        before = now
    assert "ok" in talk.finish()
    say(busy, "kill $vectors")
    said = busy.wait_text(r"vectors: \d+ of .*")
    started, cpus, turns, wrong = map(int, re.findall(r"\d+", said))
    assert started == cpus == VCPUS and turns > 10 and not wrong, said
    busy.verify()
