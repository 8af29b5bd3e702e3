# SPDX-License-Identifier: BSD-2-Clause
"""Guests' clocks over many moves: forwards, with the blackout, and no further off than allowed.

A move is off by half the round trip of the hosts' exchange of clocks, at most; so N moves by N
such halves. A host reads its own clock and the guest's at one moment (`vm info`), so the drift
over moves that end where they began is known to the nanosecond, against a clock that took no part
in them. The test's own clock is asked around both ends: within that, and within what the host's
clock may be off by its calibration, the guest has lived as long as the world outside.

    TERN_TIME_MOVES=50 /usr/bin/python3 -m pytest test/lab/test_guest_time.py -k moves
"""
import os
import re
import time

import pytest

from conftest import revive
from lablib.guest import Guest
from test_cpu_guest import Run

pytestmark = pytest.mark.guests

MOVES = int(os.environ.get("TERN_TIME_MOVES", "6"))
OTHER = {"a": "b", "b": "a"}
COMPLAINT = re.compile(r"^.*(?:clocksource.*unstable|soft lockup|hard LOCKUP|rcu.*stall|"
                       r"blocked for more than|time.*backwards).*$", re.M)
READINGS = 5


def reading(guest):
    """Guest's and host's clock of one moment, and the test's before and after it."""
    before = time.monotonic_ns()
    clock = guest.info()["clock"]
    return clock["guest_ns"], clock["host_ns"], before, time.monotonic_ns()


def tightest(guest):
    return min((reading(guest) for _ in range(READINGS)), key=lambda r: r[3] - r[2])


def calibration_ppm(lab, host):
    return int(re.search(r"clock: TSC .* error below (\d+) ppm", lab.log(host))[1])


def lag_us(guest):
    """How old the newest heartbeat is, at least, by the VM's clock and the guest's own."""
    lags = []
    for _ in range(READINGS):
        guest.wait_beats(1)
        lags.append(guest.info()["clock"]["guest_ns"] // 1000 - guest.beats[-1].t_us)
    return min(lags)


@pytest.fixture
def ticking(pair, payload):
    """A busy guest of two vCPUs on a, which finds two kinds of clock; b was started after a, so its
    TSC is another."""
    pair.kill("b")
    revive(pair, ["a", "b"], payload)
    up = [pair.ask(host, "host info")["uptime_ms"] for host in "ab"]
    assert up[0] - up[1] > 2000
    g = Guest(pair, "clock")
    g.create("a", vcpus=2, ws=16, rate=5, options="--hyperv", extra="loglevel=5")
    g.start()
    g.wait_ready()
    g.wait_beats(5)
    return g


def test_moves(pair, ticking):
    g, allowed, lag = ticking, 0, lag_us(ticking)
    first = tightest(g)
    for _ in range(MOVES // 2 * 2):
        there = OTHER[g.host]
        st = g.migrate(there)
        assert st["rtt_ns"] > 0
        assert pair.ask(there, "tasks")[-1]["rtt_ns"] == st["rtt_ns"]
        allowed += st["rtt_ns"] // 2
        g.wait_beats(3)
    last = tightest(g)
    lived, by_host = last[0] - first[0], last[1] - first[1]
    print(f"{MOVES} moves in {by_host / 1e9:.1f} s: the guest is {lived - by_host} ns off, "
          f"allowed {allowed}")
    assert abs(lived - by_host) <= allowed
    slack = allowed + by_host * calibration_ppm(pair, "a") // 1000000
    assert last[2] - first[3] - slack <= lived <= last[3] - first[2] + slack
    assert abs(lag_us(g) - lag) < 250000
    g.wait_passes(1)
    g.verify()
    assert not COMPLAINT.search(g.text), COMPLAINT.search(g.text)[0]


def test_hyperv_clock(pair):
    """The payload finds Microsoft's clock, by page and by MSR; its page goes on over a move."""
    run = Run(pair, "a", "hyperv", options="--hyperv")
    assert len(run.finish()) >= 20
    assert run.info()["hyperv"] and ", Hyper-V clock\n" in pair.run("a", "vm info cpu")
    pair.run("a", "vm delete cpu")
    run = Run(pair, "a", "hyperv-move", options="--hyperv")
    run.wait(lambda: "ready\n" in run.text())
    pair.run("a", f"migrate cpu {pair.addr('b')} --wait", 120)
    run.host = "b"
    assert run.info()["hyperv"]
    pair.run("b", "vm type cpu go")
    run.finish()


def test_timers_in_a_blackout(pair):
    """What is due while the VM stands still comes once after it: neither lost nor in a burst."""
    run = Run(pair, "a", "blackout", options="--hyperv")
    run.wait(lambda: "ready\n" in run.text())
    due_ns = run.info()["clock"]["guest_ns"] + 5_000_000_000
    job = pair.ask("a", f"migrate cpu {pair.addr('b')} --hold ready")["id"]
    run.wait(lambda: pair.ask("a", f"migrate status {job}")["held"])
    run.wait(lambda: run.info()["clock"]["guest_ns"] > due_ns)
    pair.run("a", f"migrate continue {job}")
    run.wait(lambda: pair.ask("a", f"migrate status {job}")["phase"] == "done")
    run.host = "b"
    pair.run("b", "vm type cpu go")
    run.finish()
