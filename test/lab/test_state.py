# SPDX-License-Identifier: BSD-2-Clause
"""All that a guest can see of its machine is on the other host what it was.

The CPU payload's group "state" says everything it can read: each processor's registers,
MSRs, vector state and APIC, and every device. Dumps from before and after a move are
compared line by line. The destination has run the same with other values before, so
that what is left over there would show.
"""
import re
import time

import pytest

from test_cpu_guest import OPTIONAL, PAYLOAD, Run

pytestmark = pytest.mark.guests

OTHER = {"a": "b", "b": "a"}
APIC_TIMER_HZ = 1_000_000_000
PM_TIMER_HZ, PM_TIMER_WRAP = 3_579_545, 1 << 24
DIVIDED = {0: 64, 1: 128}       # by the APIC's timer, of even and odd processors
TSC_AHEAD = 1 << 40             # of each processor, of the one before


class Dump:
    """What one dump said, and between which two moments of this machine it was taken."""

    def __init__(self, text, number, asked, seen):
        body = re.search(rf"^begin {number}\n(.*?)^end {number}\n", text, re.M | re.S)[1]
        lines = [line.split() for line in body.splitlines()]
        self.values = {name: value for kind, name, value in lines if kind == "v"}
        self.clocks = {name: int(value) for kind, name, value in lines if kind == "c"}
        self.asked, self.seen = asked, seen

    def differences(self, before):
        names = self.values.keys() | before.values.keys()
        return {n: (before.values.get(n), self.values.get(n)) for n in names
                if before.values.get(n) != self.values.get(n)}


class State(Run):
    """The payload, asked for a dump now and then; all compared with the first."""

    def __init__(self, lab, host, words="state", vcpus=1):
        super().__init__(lab, host, words, vcpus)
        self.said, self.offset = "", 0
        self.vcpus, self.number, self.dumps = vcpus, 0, []
        self.wait_held()

    def text(self):
        """Of a long log only what is new is asked for: an emulated serial line is slow."""
        got = self.lab.ask(self.host, f"vm log cpu --since {self.offset}")
        self.offset = got["offset"]
        self.said += got["text"].replace("\r", "")
        return self.said

    def wait_held(self):
        self.wait(lambda: f"held {self.number}\n" in self.text())

    def dump(self):
        asked = time.monotonic()
        self.lab.run(self.host, "vm type cpu d")
        self.number += 1
        self.wait_held()
        self.dumps.append(Dump(self.text(), self.number - 1, asked, time.monotonic()))
        return self.dumps[-1]

    def move(self, *words):
        to = OTHER[self.host]
        self.lab.run(self.host, " ".join(["migrate cpu", self.lab.addr(to), "--wait", *words]), 120)
        self.host = to

    def same(self, paced=True):
        """Nothing differs from the dump before but the clocks, and those by the time between."""
        before, now = self.dumps[-1], self.dump()
        assert now.differences(before) == {}
        self.check_clocks(before, now, paced)

    def check_clocks(self, before, now, paced):
        hz = now.clocks["tsc-hz"]
        went = {n: now.clocks[n] - before.clocks[n] for n in now.clocks}
        seconds = went["kvmclock"] / 1e9
        if paced:       # a host's clock is this machine's
            assert now.asked - before.seen < seconds * 1.01
            assert seconds < (now.seen - before.asked) * 1.01
        assert 0.99 < went["tsc"] / hz / seconds < 1.01
        behind = (went["pm-timer"] - seconds * PM_TIMER_HZ) % PM_TIMER_WRAP
        assert min(behind, PM_TIMER_WRAP - behind) < PM_TIMER_WRAP / 20
        for cpu in range(self.vcpus):
            ahead = now.clocks[f"cpu{cpu}.tsc"] - cpu * TSC_AHEAD - now.clocks["cpu0.tsc"]
            assert abs(ahead) < hz * seconds, f"processor {cpu} is {ahead} ticks ahead"
            own = went[f"cpu{cpu}.tsc"] / hz
            timer = went.get(f"cpu{cpu}.timer")
            if timer is not None:
                assert 0.8 < -timer * DIVIDED[cpu & 1] / APIC_TIMER_HZ / own < 1.25

    def end(self, gaps):
        self.lab.run(self.host, "vm type cpu q")
        return self.finish(gaps)


def occupy(lab, host, vcpus=1):
    """Another guest's values in all of the host's registers; it is still there, paused."""
    lab.run(host, f"vm create other --multiboot {PAYLOAD} --mem 64M --vcpus {vcpus} "
                  "--cmdline state2")
    lab.run(host, "vm start other")
    end = time.monotonic() + 120
    while "held 0" not in lab.ask(host, "vm log other --tail 1")["text"]:
        assert time.monotonic() < end, lab.ask(host, "vm log other")
        time.sleep(0.3)
    lab.run(host, "vm pause other")


def typed(lab, host, text):
    """Characters that the guest's second port took."""
    got = lab.cmd(host, f"vm type --port 1 cpu {text}")
    if got.status == 0:
        return len(text) + 1
    assert got.text.startswith("error: "), got
    taken = re.search(r"took (\d+) of", got.text)
    return int(taken[1]) if taken else 0


def unlisted_msrs(lab, host):
    run = Run(lab, host, "msrs", options="--hyperv")
    assert run.finish() == ["msrs"]
    found = {int(n, 16): int(bits, 16)
             for n, bits in re.findall(r"^msr (\w+) (\w+)$", run.text(), re.M)}
    listed = {n: m["why"] for m in lab.ask(host, "host msrs")
              for n in range(m["first"], m["last"] + 1)}
    assert not [hex(n) for n in found if n not in listed]
    # The APIC is in xAPIC mode there; XSS and TSC_AUX are not on every CPU.
    absent = set(listed) - set(found) - set(range(0x800, 0x840)) - {0xda0, 0xc0000103}
    assert not [hex(n) for n in absent], "nobody has what is listed"
    assert sum(1 for bits in found.values() if bits) > 40


def test_one_processor(pair):
    """Moved to and fro, typed at in each phase: what a host took is there in the end."""
    occupy(pair, "b")
    run = State(pair, "a")
    run.dump()
    run.move()
    run.same()
    took = 0
    for phase in ("precopy", "transfer", "go"):
        to = OTHER[run.host]
        job = pair.ask(run.host, f"migrate cpu {pair.addr(to)} --hold {phase}")["id"]
        run.wait(lambda: pair.ask(run.host, f"migrate status {job}")["held"])
        took += typed(pair, run.host, phase) + typed(pair, to, phase)
        pair.run(run.host, f"migrate continue {job}")
        run.wait(lambda: pair.ask(run.host, f"migrate status {job}")["phase"] == "done")
        run.host = to
        took += typed(pair, to, phase)
    run.same()
    passed = run.end({"state-watch"} | OPTIONAL)
    assert set(passed) >= {"state-nmi", "state-looped", "state-fwcfg", "state-waiting"}
    behind = int(re.search(r"^behind (\d+)$", run.text(), re.M)[1])
    assert behind == took > 0, (behind, took)


def test_four_processors(pair):
    occupy(pair, "b", 4)
    run = State(pair, "a", "x2apic state", 4)
    run.dump()
    run.move()
    run.same()
    assert run.end({"state-watch"} | OPTIONAL).count("state-waiting") == 4


def test_every_msr_is_listed(pair):
    """What a guest finds that keeps what it writes is in the host's list."""
    unlisted_msrs(pair, "a")


TEXT = "".join(f"{n:03x} " for n in range(3 * 4096 // 4))   # by the payload's group "strings"
TEXT_REPEATS = 2 << 20
HOLD = {"outs": "go", "ins": "transfer", "to-device": "precopy", "from-device": "go"}


def text_of(first, end):
    """What lies from one position to another."""
    whole = (TEXT * (TEXT_REPEATS // len(TEXT) + 1))[:TEXT_REPEATS]
    first, count = first % TEXT_REPEATS, end - first
    return (whole[first:] + whole * (count // TEXT_REPEATS + 1))[:count]


def move_half_done(run, name):
    """The string instruction is under way all the time; what its second port took meanwhile."""
    run.wait(lambda: f"running {name}\n" in run.text())
    to, lab = OTHER[run.host], run.lab
    took = [typed(lab, run.host, "before")]
    job = lab.ask(run.host, f"migrate cpu {lab.addr(to)} --hold {HOLD[name]}")["id"]
    run.wait(lambda: lab.ask(run.host, f"migrate status {job}")["held"])
    took += [typed(lab, run.host, "here"), typed(lab, to, "there")]
    lab.run(run.host, f"migrate continue {job}")
    run.wait(lambda: lab.ask(run.host, f"migrate status {job}")["phase"] == "done")
    run.host = to
    took.append(typed(lab, to, "after"))
    lab.run(to, "vm type cpu x")
    words = zip(("before/", "here/", "there/", "after/"), took)
    return "".join(word[:n] for word, n in words)


def test_half_done_strings(pair):
    """INS, OUTS and MOVS to and from a device, moved in their middle: every byte, and once."""
    run = Run(pair, "a", "strings")
    moved = {name: move_half_done(run, name) for name in HOLD}
    passed = run.finish()
    assert set(passed) >= HOLD.keys() | {"to-device-bytes", "from-device-bytes"}
    sent = int(re.search(r"^sent (\d+)$", run.text(), re.M)[1])
    got = pair.ask(run.host, "vm log cpu --port 1 --since 0")
    assert got["lost"] + len(got["text"]) == sent
    assert got["text"] == text_of(got["lost"], sent)
    # What came while OUTS was under way had to wait for INS.
    assert re.search(r"^got (.*)$", run.text(), re.M)[1] == moved["outs"] + moved["ins"]
