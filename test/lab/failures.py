# SPDX-License-Identifier: BSD-2-Clause
"""What a fault does to a guest whose disks move: the table that test_fault_disks.py holds against
what happens, and docs/failures.md shows.

MATRIX: of each move and fault, for the phases in the order of diskfaults.PHASES, how the job ends
and where the VM is then; or one such text for all phases. A text that begins with a dash
says why there is nothing to try.
"""
from lablib.diskfaults import PHASES

DIED = "died: source, started anew"
DONE = "done: target"
LINK = "failed link: source"
DISK = "failed disk-error: source"
DOUBT = "in-doubt: target"
BACK = "in-doubt: source"
REFUSED = "in-doubt lease: target"
TAKEN = "failed discarded: source"
IO = "failed io: source"
LOST = "failed lost: source"
FAILS = "failed lost: source, its disk fails"
ITS_DISK = "done: target, its disk fails"
GIVEN_UP = "failed lease: source"
CANCELED = "canceled: source"
GARBAGE = "failed bad-stream: source"
READY_OR_NOT = "- `done: target` or `failed ready-timeout: source`, as TCP tries again within " \
               "READY's five seconds or not"
ONE_HOST = "- one host: nothing goes over a link"
SAME_HOST = "- one host: as `source killed`"

MATRIX = {
    "sv": {
        "cut": ONE_HOST,
        "late": ONE_HOST,
        "source killed": DIED,
        "target killed": SAME_HOST,
        "full": ["failed no-space: source", DONE, DONE, DONE],
        "target write": IO,
        "target read": IO,
        "source read": [IO, DONE, DONE, DONE],
        "cancel": CANCELED,
        "source lease": FAILS,
        "target lease": [LOST, LOST, IO, IO],       # mirrored writes fail before
        "garbage": ONE_HOST,
    },
    "x": {
        "cut": [LINK, LINK, LINK, "failed ready-timeout: source", DOUBT, DOUBT],
        "late": [DONE, DONE, DONE, READY_OR_NOT, DONE, DONE],
        "source killed": DIED,
        "target killed": [LINK, LINK, LINK, "failed ready-timeout: source", BACK, BACK],
        "full": ["failed no-space: source", DONE, DONE, DONE, DONE, DONE],
        "target write": [DISK] * 4 + [REFUSED] * 2,
        "target read": [DISK] * 4 + [ITS_DISK] * 2,
        "source read": ["failed io-error: source", DONE, DONE, DONE, DONE, DONE],
        "cancel": CANCELED,
        "source lease": FAILS,
        "target lease": [DISK] * 4 + [GIVEN_UP] * 2,
        "garbage": [GARBAGE, GARBAGE, GARBAGE, DONE, DONE, DONE],
    },
    "mix": {
        "cut": TAKEN,
        "source killed": [DIED, DIED, "died: target"],
        "target killed": TAKEN,
        "cancel": CANCELED,
        "source lease": ["failed lost: source, started anew"] * 2
        + ["- it is the destination's by then"],
        "target lease": [GIVEN_UP, GIVEN_UP, "failed lease: source, started anew"],
    },
}

# What follows from docs/ownership.md, and no run has shown so far: `TERN_FAILURES=all` tries it.
EXPECTED = set()


def rows(move):
    """Fault -> texts, one for each phase."""
    return {fault: [of] * len(PHASES[move]) if isinstance(of, str) else of
            for fault, of in MATRIX[move].items()}


def cells():
    """(move, phase, fault) -> (how the job ends, where the VM is)"""
    return {(move, phase, fault): tuple(text.split(": ", 1))
            for move in MATRIX for fault, texts in rows(move).items()
            for phase, text in zip(PHASES[move], texts, strict=True) if text[0] != "-"}
