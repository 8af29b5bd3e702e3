# SPDX-License-Identifier: BSD-2-Clause
"""What the models say of migrations that were told, and of such that may not be.

Each good run is one of hosts'; the bad ones are made of it: a step left out, put first, taken
twice, or told by the wrong side.
"""
import os
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{TOP}/tools")
sys.dont_write_bytecode = True

from lablib import moves  # noqa: E402

STREAM = (["the stream decides", "parked", "GO", "released"], ["complete", "runs"])
LEASES = (["leases decide", "parked", "gives the leases", "leases are given", "GO", "released"],
          ["complete", "accepted the leases", "runs"])
RECORDS = (["records decide", "parked", "noted GO", "GO", "released", "forgot"],
           ["complete", "noted that it owns", "runs", "closed"])
BOTH = (["leases and records decide", "parked", "noted GO", "gives the leases",
         "leases are given", "GO", "released", "forgot"],
        ["complete", "accepted the leases", "noted that it owns", "runs", "closed"])
KINDS = [STREAM, LEASES, RECORDS, BOTH]
NAMES = ["stream", "leases", "records", "both"]


def allowed(out, into, third=False):
    try:
        return moves.check(moves.Run("0" * 32, tuple(out), tuple(into)), third)
    except moves.Refused:
        return False


def until(run, out_end, in_end):
    """Each side up to and with that step; None: nothing of it."""
    return [side[:side.index(end) + 1] if end else []
            for side, end in zip(run, (out_end, in_end))]


@pytest.mark.parametrize("run", KINDS, ids=NAMES)
def test_a_move(run):
    assert allowed(*run)


@pytest.mark.parametrize("run", KINDS, ids=NAMES)
def test_each_step_is_needed(run):
    """But for the last one of a side: what is not told yet is not missing. And with leases for GO:
    the destination may take what was given without."""
    out, into = run
    for i in range(len(out) - 1):
        if out[i] == "GO" and run in (LEASES, BOTH):
            continue
        assert not allowed(out[:i] + out[i + 1:], into), out[i]
    for i in range(len(into) - 1):
        assert not allowed(out, into[:i] + into[i + 1:]), into[i]


@pytest.mark.parametrize("run", KINDS, ids=NAMES)
def test_each_step_has_its_place(run):
    out, into = run
    for i in range(1, len(out) - 1):
        assert not allowed(out[:i] + [out[i + 1], out[i]] + out[i + 2:], into), out[i]
    for i in range(len(into) - 1):
        assert not allowed(out, into[:i] + [into[i + 1], into[i]] + into[i + 2:]), into[i]


@pytest.mark.parametrize("run", KINDS, ids=NAMES)
def test_two_run(run):
    out, into = run
    for step in ("goes on", "took the leases back", "resolved: here"):
        assert not allowed(out + [step], into), step
    assert not allowed(out, into + ["runs"])
    assert not allowed(*until((out[:2] + ["goes on"], into), "goes on", "runs"))


@pytest.mark.parametrize("run", KINDS, ids=NAMES)
def test_none_runs(run):
    out, into = run
    assert not allowed(out, ["complete", "waits", "given up"])
    assert not allowed(out, ["complete"])


def test_going_on_before_go():
    for out, into in KINDS:
        assert allowed(out[:2] + ["goes on"], ["complete", "waits", "given up"])
        assert allowed(out[:2] + ["goes on"], [])
    out, into = RECORDS
    assert allowed(out[:3] + ["noted that GO was not said", "goes on"], ["complete", "given up"])
    assert not allowed(out[:3] + ["goes on"], ["complete", "given up"])


def test_a_crash_may_hide_what_was_done_last_but_no_more():
    out, into = STREAM
    assert allowed(out[:3] + ["crashed"], into)
    assert allowed(out[:2] + ["crashed"], into)
    assert not allowed(out[:2] + ["goes on", "crashed"], into)
    assert allowed(out[:2] + ["crashed"], ["complete", "waits", "resolved: here", "runs"])
    assert allowed(out[:1] + ["crashed"], ["crashed"])
    assert not allowed(out[:2] + ["goes on"], ["complete", "waits", "resolved: here", "runs"])
    assert not allowed(out[:2], ["complete", "waits", "resolved: here"])


def test_leases_after_a_crash():
    out, into = LEASES
    assert allowed(out[:4] + ["crashed"], ["complete", "waits", "accepted the leases", "runs"])
    assert allowed(out[:2] + ["crashed"], ["complete", "waits", "given up"])
    assert not allowed(out[:4] + ["crashed"], ["complete", "waits", "runs"])
    assert allowed(out[:5] + ["in doubt", "took the leases back"], ["complete", "crashed"])


def test_a_host_that_ends_again():
    out, into = LEASES
    assert allowed(out + ["crashed"], into + ["crashed", "crashed"])
    assert allowed(out[:5] + ["in doubt", "took the leases back", "crashed", "crashed"],
                   ["complete", "crashed"])
    assert not allowed(out[:4] + ["goes on", "crashed", "crashed"], into)


def test_records_after_a_crash():
    out, into = RECORDS
    assert allowed(out[:4] + ["crashed", "found a record: GO", "released", "forgot"], into)
    assert not allowed(out[:4] + ["crashed", "found a record: nothing decided"], into)
    assert allowed(out[:4] + ["in doubt", "goes on"],
                   ["complete", "crashed", "found a record: nothing decided"])
    assert not allowed(out[:4] + ["in doubt", "released"],
                       ["complete", "crashed", "found a record: nothing decided"])


def test_a_host_that_ended_before_it_could_tell():
    """It had a record by then, and finds it."""
    out, _ = RECORDS
    assert allowed(out[:2] + ["goes on"], ["found a record: nothing decided"])
    assert allowed(["found a record: nothing decided"], [])
    assert not allowed(out[:4] + ["released"], ["found a record: nothing decided"])


def test_a_copy_that_died_between_its_lease_and_its_record():
    out, into = BOTH
    died = into[:2] + ["crashed", "found a record: nothing decided"]
    assert allowed(out[:6] + ["in doubt", "stopped: its disks stay"], died)
    assert not allowed(out[:6] + ["in doubt", "leases are another's"], died)


def test_a_third_host_took_the_files():
    """Those that are made, so the copy is given up after GO; and the shared one, that was given."""
    went = RECORDS[0][:4] + ["in doubt", "goes on"], ["complete", "given up"]
    assert allowed(*went, third=True) and not allowed(*went)
    ended = BOTH[0][:6] + ["in doubt", "stopped: its disks stay"], ["complete", "given up"]
    assert allowed(*ended, third=True) and not allowed(*ended)
    assert allowed(LEASES[0][:4] + ["in doubt", "leases are another's"], ["complete", "given up"])


@pytest.mark.parametrize("run", [RECORDS, BOTH], ids=["records", "both"])
def test_a_third_host_is_no_excuse(run):
    out, into = run
    assert allowed(out, into, third=True)
    for i in range(1, len(into) - 1):
        assert not allowed(out, into[:i] + into[i + 1:], third=True), into[i]
    for step in ("goes on", "took the leases back", "resolved: here"):
        assert not allowed(out + [step], into, third=True), step
    assert not allowed(out, ["complete", "given up"], third=True)


def test_the_other_side_was_no_host():
    """It may have done anything, this side not."""
    assert allowed([], STREAM[1]) == 2
    assert allowed([], RECORDS[1]) == 4
    assert not allowed([], ["runs"])
    assert not allowed([], ["complete", "waits", "given up", "runs"])
    assert allowed(STREAM[0], [])
    assert not allowed(["the stream decides", "GO", "parked"], [])


def test_nothing_of_the_commit():
    assert not allowed(["crashed"], ["crashed"])


def log(*lines):
    return "".join(f"[   12.000001] info  mig: {line}\r\n" for line in lines)


def test_an_end_that_is_not_told():
    ran, done = "move " + "5a" * 16 + " in: runs", "job 2: g in done in 730 ms"
    assert moves.untold(log(ran, done)) == []
    assert moves.untold(log(done)) == [("in", 1, 0)]
    assert moves.untold(log(ran, done, done)) == [("in", 2, 1)]
    assert moves.untold(log("job 1: g out done in 9 ms: crashed")) == [("out", 1, 0)]
    for other in ("in failed in 9 ms: x", "disks done in 9 ms", "out done (dry run) in 9 ms"):
        assert moves.untold(log(f"job 1: g {other}")) == []


def test_what_is_kept_of_a_life_that_ended():
    whole = log("move " + "5a" * 16 + " in: complete", "job 2: g in done in 730 ms", "other")
    assert moves.kept(whole) == ("mig: move " + "5a" * 16 + " in: complete\n"
                                 "mig: move " + "5a" * 16 + " in: crashed\n"
                                 "mig: job 2: g in done in 730 ms\n")
    assert moves.untold(moves.kept(log("job 2: g in done in 730 ms"))) == [("in", 1, 0)]


def test_what_no_model_knows():
    assert not allowed(["parked", "goes on"], ["complete", "given up"])
    assert not allowed(["the stream decides", "hums"], [])


def test_what_is_cut_is_not_taken_as_whole():
    """Neither what the models cannot follow to its end, nor what a host did not keep."""
    out, into = LEASES
    again = ["crashed"] * (moves.most() - len(into))
    assert allowed(out, into + again)
    for cut in (into + again + ["crashed"], into + ["tells no more"]):
        with pytest.raises(moves.Refused, match="steps"):
            moves.check(moves.Run("0" * 32, tuple(out), tuple(cut)))
    with pytest.raises(moves.Refused, match="keeps"):
        moves.check(moves.Run("0" * 32, ("crashed", "tells no more"), tuple(into)))


def test_what_a_log_says():
    line = "[   12.000001] info  mig: move " + "5a" * 16 + " in: noted that it owns"
    assert moves.steps_in(f"x\r\n{line}\r\n@1|{line}") == [("5a" * 16, "in", "noted that it owns")]
