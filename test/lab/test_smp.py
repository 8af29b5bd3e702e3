# SPDX-License-Identifier: BSD-2-Clause
"""VMs with more vCPUs than the host has CPUs: all come up, all get on, each gets its part.

The hosts have two CPUs. `tickets` and `count` are groups of the CPU payload.
"""
import re
import time

import pytest

from lablib.guest import Guest
from test_cpu_guest import PAYLOAD, Run

pytestmark = pytest.mark.guests

WAIT_S = 120


def wait(condition, what, timeout=WAIT_S):
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return value


class Counter:
    """A VM whose vCPUs count, each for itself."""

    def __init__(self, lab, name, vcpus=2, options=""):
        self.lab, self.name, self.vcpus = lab, name, vcpus
        lab.run("a", f"vm create {name} --multiboot {PAYLOAD} --mem 32M --vcpus {vcpus} {options} "
                     "--cmdline count")
        lab.run("a", f"vm start {name}")

    def stats(self):
        return self.lab.ask("a", f"vm stats {self.name}")

    def counts(self):
        """What they have counted now."""
        def lines():
            text = self.lab.ask("a", f"vm log {self.name} --since 0")["text"]
            return re.findall(r"^counts((?: \d+)+)\r?\n", text, re.M)
        told = len(lines())
        self.lab.run("a", f"vm type {self.name} c")
        wait(lambda: len(lines()) > told, f"{self.name} gives no counts")
        return [int(n) for n in lines()[-1].split()]

    def wait_counting(self):
        wait(lambda: all(self.counts()), f"not all of {self.name}'s vCPUs count")


def parts(counters, turns=200):
    """What each counted over a time in which the last has had so many turns."""
    before = [c.counts() for c in counters]
    goal = counters[-1].stats()["vcpus"][-1]["turns_lost"] + turns
    wait(lambda: counters[-1].stats()["vcpus"][-1]["turns_lost"] >= goal, "no turns are taken")
    return [[a - b for a, b in zip(c.counts(), old)] for c, old in zip(counters, before)]


def test_eight_on_two_all_get_on(pair):
    """A fair lock, so that who is next may have no CPU: it gets one in its turn."""
    run = Run(pair, "a", "tickets", 8)
    run.wait(lambda: run.info()["state"] != "running", 240)
    stats = pair.ask("a", "vm stats cpu")
    assert {"tickets-lock", "tickets-rounds", "tickets-start"} <= set(run.finish())
    assert all(v["guest_ns"] and v["ready_ns"] for v in stats["vcpus"])
    assert stats["vcpus"][0]["ipis"] >= 2, "INIT and SIPI"


def test_eight_in_linux(pair):
    """A stock kernel starts all eight, and they are told apart by what they do."""
    g = Guest(pair, "g")
    g.create("a", mode="shell", vcpus=8, mem="256M")
    g.start()
    g.wait_text(r"guest# ", 240)
    pair.run("a", "vm type g \"echo $(grep -c ^processor /proc/cpuinfo) come\"")
    g.wait_text(r"^8 come", 60)
    for _ in range(5):
        pair.run("a", "vm pause g")
        pair.run("a", "vm resume g")
    parks = pair.ask("a", "vm stats g")["parks"]
    assert parks["count"] == 5
    assert 0 < parks["median_ns"] <= parks["max_ns"]
    g.remove()


def test_shares(pair):
    """Two VMs on both CPUs, four vCPUs that never rest."""
    much, little = Counter(pair, "much", options="--shares 3000"), Counter(pair, "little")
    much.wait_counting()
    little.wait_counting()
    got = [sum(p) for p in parts([much, little])]
    assert 2 < got[0] / got[1] < 4.5, got
    assert pair.ask("a", "vm set much --shares 1000")["shares"] == 1000
    got = [sum(p) for p in parts([much, little])]
    assert 0.5 < got[0] / got[1] < 2, got


def cpu_ns(counter):
    """Time on a CPU by vCPU, and all the time that they waited for one."""
    vcpus = counter.stats()["vcpus"]
    return [v["guest_ns"] + v["host_ns"] for v in vcpus], sum(v["ready_ns"] for v in vcpus)


def test_pins(pair):
    """Three on one CPU share it while the fourth has the other one; then they are let go."""
    crowd, lone = Counter(pair, "crowd", 3, "--pin 0"), Counter(pair, "lone", 1, "--pin 1")
    crowd.wait_counting()
    lone.wait_counting()
    worlds = {w["name"]: w["cpu"] for w in pair.ask("a", "host worlds")}
    assert [worlds[f"crowd/{i}"] for i in range(3)] == [0, 0, 0] and worlds["lone/0"] == 1
    assert crowd.stats()["pin"] == ["0", "0", "0"]
    before = cpu_ns(crowd), cpu_ns(lone)
    parts([crowd], 60)
    after = cpu_ns(crowd), cpu_ns(lone)
    shared = [a - b for a, b in zip(after[0][0], before[0][0])]
    alone = after[1][0][0] - before[1][0][0]
    assert alone > 1.5 * max(shared), (alone, shared)
    assert after[0][1] - before[0][1] > 1.5 * sum(shared), "two of three wait at any time"
    pair.run("a", "vm set crowd --pin 0-1")
    wait(lambda: any(w["cpu"] == 1 for w in pair.ask("a", "host worlds")
                     if w["name"].startswith("crowd/")), "none of the crowd comes to CPU 1")
    pair.run("a", "vm set lone --pin 0")
    wait(lambda: {w["cpu"] for w in pair.ask("a", "host worlds") if w["name"] == "lone/0"} == {0},
         "it does not leave its old CPU")


def test_shares_move_pins_do_not(pair):
    c = Counter(pair, "c", options="--shares 2000 --pin 1")
    c.wait_counting()
    pair.run("a", f"migrate c {pair.addr('b')} --wait", 120)
    stats = pair.ask("b", "vm stats c")
    assert stats["shares"] == 2000 and stats["pin"] == ["all", "all"]


def test_top(pair):
    busy = Counter(pair, "busy", 1)
    pair.run("a", "vm create off --kernel /boot/vmlinuz")
    busy.wait_counting()
    top = pair.ask("a", "vm top --once")
    vms = {v["name"]: v for v in top["vms"]}
    assert top["interval_ns"] >= 10**9
    load = vms["busy"]["vcpus"][0]
    assert load["guest_percent"] > 50 and load["halted_percent"] == 0
    assert load["guest_percent"] + load["host_percent"] + load["ready_percent"] <= 101
    assert vms["busy"]["backed_bytes"] and vms["off"]["guest_percent"] == 0
    text = pair.run("a", "vm top --once")
    assert re.search(r"^busy +\d+ +\d+ +\d+ +\d+ +\d+  running, \d+ of 32 MiB backed$", text, re.M)


@pytest.mark.parametrize("line,code,why", [
    ("vm create x --multiboot /boot/cpu --shares 99", "invalid", "100 to 10000"),
    ("vm create x --multiboot /boot/cpu --pin 0,1", "invalid", "--pin 0,1"),
    ("vm create x --multiboot /boot/cpu --pin 2", "invalid", "has 0 to 1"),
    ("vm create x --multiboot /boot/cpu --pin 1-0", "invalid", "--pin 1-0"),
    ("vm set nobody --shares 1000", "not-found", "nobody"),
    ("vm set nobody", "usage", "--shares"),
    ("vm stats nobody", "not-found", "nobody"),
    ("vm top now", "usage", "vm top"),
])
def test_refused(pair, line, code, why):
    got = pair.cmd("a", line)
    assert got.status == 1 and got.text.startswith(f"error: {code} ") and why in got.text, got
    assert pair.ask("a", "vm list") == []
