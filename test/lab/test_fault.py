# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong during a migration, in each of its phases.

`--hold PHASE` stops the source at the beginning of a phase; the fault comes
then.  The outcome that is asked for: before GO the guest runs on at the source,
after GO exactly one copy runs, at no time two, and a later migration succeeds.

One guest lives through most of the tests, on whichever host it then is.
"""
import os
import time

import pytest

from conftest import clear, revive
from lablib.guest import OVER, Guest
from lablib.paths import LabError

pytestmark = pytest.mark.fault

BEFORE_GO = ["preflight", "skeleton", "precopy", "stun", "transfer", "ready"]
# Of those that wait for time-outs some; all of them where TERN_FAULTS is set.
LONG = "TERN_FAULTS" in os.environ
CUT_IN = BEFORE_GO if LONG else ["skeleton", "precopy", "ready"]
KILLED_IN = BEFORE_GO if LONG else ["precopy", "transfer"]
OTHER = {"a": "b", "b": "a"}
ENDED = ("failed", "canceled")


@pytest.fixture(scope="module")
def survivor():
    return {}


@pytest.fixture
def roamer(_pair_lab, payload, survivor):
    """The module's guest, running on one of two whole hosts; made when there is none."""
    lab = _pair_lab
    revive(lab, ["a", "b"], payload)
    g = survivor.get("guest")
    if not g or not lives(g):
        clear(lab, ["a", "b"], payload)
        g = survivor["guest"] = Guest(lab, "g")
        g.create("a", mode="dirty", ws=32, rate=20)
        g.start()
        g.wait_ready()
    g.wait_beats(5)
    return g


def lives(g):
    """Still running where we think, and nowhere else."""
    try:
        return running(g) == [g.host]
    except (LabError, KeyError):
        return False


def alive(lab):
    return [h["name"] for h in lab.status()["hosts"] if h["alive"]]


def running(g):
    """Hosts on which the guest runs."""
    return g.running(alive(g.lab))


def held(g, phase):
    """Starts a migration that stops at PHASE; (job, source, destination)."""
    source, to = g.host, OTHER[g.host]
    job = g.migrate_start(to, "--hold", phase)
    st = g.migrate_wait(job, until=(phase,), timeout=60)
    assert st["held"] and st["phase"] == phase
    return job, source, to


def go_on(g, job, phase):
    """Let the job run into the fault.  With READY here already GO would be next: there
    it is left waiting instead, and must find out by itself."""
    if phase != "ready":
        g.lab.run(g.host, f"migrate continue {job}")


def ends(g, job, timeout=120):
    end = time.monotonic() + timeout
    while True:
        st = g.migrate_status(job)
        if st["phase"] in OVER:
            return st
        assert time.monotonic() < end, f"no end after {timeout} s: {st}"
        time.sleep(0.3)


def runs_on_at_the_source(g, source):
    assert running(g) == [source]
    g.wait_beats(5)
    g.verify()


def later_migration_succeeds(g, to):
    """The other host has let go of the failed one, at most after its time-out."""
    end = time.monotonic() + 60
    while g.exists(to):
        assert time.monotonic() < end, f"host {to} keeps the VM of a failed migration"
        time.sleep(0.5)
    g.migrate(to, timeout=120)
    g.wait_passes(1)
    g.verify()
    assert running(g) == [to]


@pytest.mark.parametrize("phase", BEFORE_GO)
def test_cancel(roamer, phase):
    job, source, to = held(roamer, phase)
    roamer.lab.run(source, f"migrate cancel {job}")
    assert ends(roamer, job)["phase"] == "canceled"
    runs_on_at_the_source(roamer, source)
    later_migration_succeeds(roamer, to)


@pytest.mark.parametrize("phase", CUT_IN)
def test_link_cut(roamer, phase):
    job, source, to = held(roamer, phase)
    roamer.lab.link(to, "down")
    go_on(roamer, job, phase)
    st = ends(roamer, job)
    assert st["phase"] == "failed" and st["error_code"], st
    runs_on_at_the_source(roamer, source)
    roamer.lab.link(to, "up")
    later_migration_succeeds(roamer, to)


@pytest.mark.parametrize("phase", KILLED_IN)
def test_peer_killed(roamer, payload, phase):
    job, source, to = held(roamer, phase)
    roamer.lab.kill(to)
    go_on(roamer, job, phase)
    st = ends(roamer, job)
    assert st["phase"] == "failed" and st["error_code"], st
    runs_on_at_the_source(roamer, source)
    roamer.lab.up([to], files=payload)
    later_migration_succeeds(roamer, to)


@pytest.mark.parametrize("phase", ["precopy", "stun", "transfer"])
def test_source_killed(roamer, phase):
    """Before READY the destination gives the skeleton up and never runs it."""
    _, source, to = held(roamer, phase)
    roamer.lab.kill(source)
    end = time.monotonic() + 90
    while (states := roamer.states([to])):
        assert states[to] != "running"
        assert time.monotonic() < end, "the destination keeps a VM whose source is gone"
        time.sleep(0.5)
    assert roamer.lab.ask(to, "host info")["hostname"] == to


def test_source_killed_after_ready(roamer):
    """The destination has said READY: it holds the VM, which may be the only copy, does
    not run it without GO, and does what the operator says."""
    _, source, to = held(roamer, "ready")
    roamer.lab.kill(source)
    end = time.monotonic() + 60
    while "in-doubt" not in [t["phase"] for t in roamer.lab.ask(to, "tasks") if t["vm"] == "g"]:
        assert running(roamer) == []
        assert time.monotonic() < end, roamer.lab.ask(to, "tasks")
        time.sleep(0.5)
    assert roamer.state(to) == "in-doubt"
    for command in ("vm list", "tasks"):
        assert "in-doubt" in roamer.lab.run(to, command)
        assert "migrate resolve g here|there" in roamer.lab.run(to, command)
    assert roamer.lab.cmd(to, "vm stop g").status == 1
    roamer.lab.run(to, "migrate resolve g here")
    roamer.host = to
    assert running(roamer) == [to]
    roamer.wait_passes(1)
    roamer.verify()


def test_copy_that_is_given_up_says_why(roamer):
    """The link comes back, the source has gone on: the destination's job ends with a cause."""
    _, source, to = held(roamer, "ready")
    all_is_there(roamer, to)
    roamer.lab.link(source, "down")
    incoming = last_incoming(roamer, to, lambda phase: phase == "in-doubt")
    roamer.lab.link(source, "up")
    incoming = last_incoming(roamer, to, lambda phase: phase != "in-doubt")
    assert (incoming["phase"], incoming["error_code"]) == ("failed", "discarded"), incoming
    assert running(roamer) == [source]
    roamer.wait_passes(1)
    roamer.verify()


def all_is_there(roamer, host):
    """The source waits for READY from when it has sent all: some of that may be on its way."""
    end = time.monotonic() + 60
    while (told := [what for _, way, what in roamer.lab.steps(host) if way == "in"])[-1:] \
            != ["complete"]:
        assert time.monotonic() < end, told
        time.sleep(0.2)


def last_incoming(roamer, host, wanted):
    end = time.monotonic() + 90
    while True:
        job = [t for t in roamer.lab.ask(host, "tasks") if t["direction"] == "in"][-1]
        if wanted(job["phase"]):
            return job
        assert time.monotonic() < end, job
        time.sleep(0.5)


def test_cancel_after_go_is_refused(roamer):
    """Once it is done, too late as well: the guest runs there, and only there."""
    job, source, to = held(roamer, "go")
    got = roamer.lab.cmd(source, f"migrate cancel {job}")
    roamer.lab.cmd(source, f"migrate continue {job}")
    st = ends(roamer, job)
    if got.status:
        assert "error: " in got.text
        assert st["phase"] == "done"
        roamer.host = to
    else:
        assert st["phase"] == "canceled"
    assert running(roamer) == [roamer.host]
    roamer.wait_passes(1)
    roamer.verify()


def test_processors_are_made_before_go(roamer):
    """What GO starts is there already, so that nothing can fail after it."""
    job, source, to = held(roamer, "go")
    assert "g/0" in [w["name"] for w in roamer.lab.ask(to, "host worlds")]
    assert running(roamer) == []
    roamer.lab.run(source, f"migrate continue {job}")
    assert ends(roamer, job)["phase"] == "done"
    roamer.host = to
    roamer.wait_passes(1)
    roamer.verify()


@pytest.mark.parametrize("phase", ["transfer", "go"])
def test_typing_into_the_stun(roamer, phase):
    """What cannot reach the guest is refused, on both hosts, and not lost."""
    job, source, to = held(roamer, phase)
    for host in (source, to):
        got = roamer.lab.cmd(host, "vm type g lost")
        assert got.status == 1 and "error: busy" in got.text, (host, got)
    roamer.lab.run(source, f"migrate continue {job}")
    assert ends(roamer, job)["phase"] == "done"
    roamer.host = to
    roamer.wait_beats(1)
    roamer.verify()
    roamer.lab.run(to, "vm type g taken")
    roamer.wait_beats(3)
    roamer.beats.clear()    # its echo may stand in the middle of one


def test_link_cut_after_go(roamer):
    """GO is under way when the cable goes: in doubt, then settled by itself."""
    job, source, to = held(roamer, "go")
    roamer.lab.link(to, "down")
    roamer.lab.run(source, f"migrate continue {job}")
    end = time.monotonic() + 90
    while roamer.migrate_status(job)["phase"] not in ("in-doubt", "in_doubt"):
        assert len(running(roamer)) <= 1
        assert time.monotonic() < end
        time.sleep(0.5)
    assert roamer.state(source) != "running"
    got = roamer.lab.cmd(source, f"migrate cancel {job}")
    assert got.status == 1 and "error: " in got.text
    roamer.lab.link(to, "up")
    end = time.monotonic() + 120
    while roamer.migrate_status(job, source)["phase"] != "done":
        assert len(running(roamer)) <= 1
        assert time.monotonic() < end, roamer.migrate_status(job, source)
        time.sleep(0.5)
    assert running(roamer) == [to]
    roamer.host = to
    roamer.wait_passes(1)
    roamer.verify()


def test_destination_dead_after_go(roamer, payload):
    """Parked until the operator, who knows, says that it shall run here."""
    job, source, to = held(roamer, "go")
    roamer.lab.kill(to)
    roamer.lab.run(source, f"migrate continue {job}")
    end = time.monotonic() + 90
    while roamer.migrate_status(job)["phase"] not in ("in-doubt", "in_doubt"):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert running(roamer) == []
    roamer.lab.run(source, "migrate resolve g here")
    runs_on_at_the_source(roamer, source)
    roamer.lab.up([to], files=payload)
    later_migration_succeeds(roamer, to)


def test_slow_and_lossy_link(pair):
    """20 ms each way and 0.2 % loss: slower, nothing lost."""
    g = Guest(pair, "far")
    g.create("a", mode="dirty", ws=16, rate=1)
    g.start()
    g.wait_ready()
    pair.link("b", "delay", 20)
    pair.link("b", "loss", 0.2)
    g.migrate("b", timeout=240)
    pair.link("b", "clear")
    g.wait_passes(1)
    g.verify()


def test_short_outage_is_survived(roamer):
    """Two seconds without a cable during pre-copy: it goes on, or fails cleanly."""
    to, source = OTHER[roamer.host], roamer.host
    job, source, to = held(roamer, "precopy")
    roamer.lab.link(to, "down")
    roamer.lab.run(source, f"migrate continue {job}")
    time.sleep(2)           # the outage's length is the test's input, not a wait
    roamer.lab.link(to, "up")
    st = ends(roamer, job)
    if st["phase"] == "done":
        roamer.host = to
    assert running(roamer) == [roamer.host]
    roamer.wait_passes(1)
    roamer.verify()
