# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong while a guest's disks move: each phase, each fault, and what comes of it.

The table is in failures.py; docs/failures.md is made of it (`TERN_FAILURES=write`) and says no
other thing. Each cell also asks for what is not in the table: one owner, data right, no file that
belongs to nobody. `make test` takes SAMPLE; `TERN_FAILURES=all` (the soak) takes all cells, other
words those in whose names they are (`TERN_FAILURES='sv switch,x go late'`).
"""
import os

import pytest

from failures import EXPECTED, MATRIX, cells, rows
from lablib.client import Lab
from lablib.diskfaults import FAULTS, PHASES, outcome
from lablib.diskrig import Rig
from lablib.paths import TOP

pytestmark = pytest.mark.fault

DOC = f"{TOP}/docs/failures.md"
ASKED = os.environ.get("TERN_FAILURES", "")
SAMPLE = [("sv", "switch", "target write"), ("x", "copy", "garbage"), ("x", "copy", "full"),
          ("x", "precopy", "cancel")]
CELLS = cells()

MOVES = {"sv": "Storage vMotion", "x": "X-vMotion",
         "mix": "X-vMotion of a VM that has a disk on a datastore of both hosts, which stays"}
WHAT = {
    "cut": "the link between the hosts is cut, and whole again when the job is over, or in doubt "
           "where no lease decides",
    "late": "the link is cut and whole again after three seconds",
    "source killed": "the host that runs the VM loses its power, and comes back",
    "target killed": "the other host loses its power, and comes back",
    "full": "the target's datastore has less room than the disks take",
    "target write": "each write of the target's disk fails, until the job is over",
    "target read": "each read of the target's disk fails, until the job is over",
    "source read": "a block of the source's disk cannot be read",
    "cancel": "`migrate cancel`",
    "source lease": "the source's heartbeat fails until another host takes it for dead, and takes "
                    "the lease of the VM's disk (of the one that stays, where there is one); then "
                    "it succeeds again",
    "target lease": "the same of the other host, and the disk that is made there (or of the one "
                    "that stays, once its lease was given there)",
    "garbage": "all that the disks' stream carries is inverted",
}
HEAD = """# What a fault does to a guest whose disks move

Made by `test/lab/test_fault_disks.py` from its table, which it holds against what happens. The
move is held at the beginning of a phase (`--hold`), then the fault comes and the move goes on. A
cell says how the job ends, and where the VM is then. In each case at most one host runs the VM, its
disks hold what it has written, and no file is left that is nobody's; after a disk that failed, or a
host that died, that is so once its datastore is mounted again, and a host that died is back. A
guest that dies with its host is started anew from its disks. Where its disk fails, the guest meets
errors, as of any disk that fails or was lost. A star is at what follows from the design, but was
not seen yet. The third table is of the phases and faults in which leases and the records of the
move meet; before them the move is as the second table says.

| fault | |
|---|---|
"""


def table(move):
    out = "| |" + "".join(f" {p} |" for p in PHASES[move]) + "\n|---|" + "---|" * len(PHASES[move])
    reasons = []
    for fault, texts in rows(move).items():
        out += f"\n| {fault} |"
        for phase, text in zip(PHASES[move], texts, strict=True):
            text += " \\*" if (move, phase, fault) in EXPECTED else ""
            if text[0] == "-" and text[2:] not in reasons:
                reasons.append(text[2:])
            out += f" ({reasons.index(text[2:]) + 1}) |" if text[0] == "-" else f" {text} |"
    return out + "\n" + "".join(f"\n({n}) {why}.  " for n, why in enumerate(reasons, 1)) \
        + ("\n" if reasons else "")


def document():
    out = HEAD + "".join(f"| {fault} | {what} |\n" for fault, what in WHAT.items())
    return out + "".join(f"\n## {name}\n\n{table(move)}" for move, name in MOVES.items())


def test_the_document():
    """What docs/failures.md says is the table."""
    assert set(WHAT) == set(FAULTS) and all(set(MATRIX[m]) == set(FAULTS) for m in ("sv", "x"))
    if ASKED == "write":
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(document())
    with open(DOC, encoding="utf-8") as f:
        assert f.read() == document(), "TERN_FAILURES=write makes it anew"


@pytest.fixture(scope="module")
def rigs():
    return {}


@pytest.fixture(scope="module")
def lab():
    made = Lab(f"faults-{os.getpid()}")
    yield made
    made.down()


@pytest.fixture
def rig(lab, rigs, payload, tmp_path_factory):
    """The rig of the cell before, or after a failure a new one."""
    if "rig" not in rigs:
        lab.remove()
        rigs["rig"] = Rig(lab, tmp_path_factory.mktemp("faults"), payload)
    return rigs["rig"]


def chosen():
    if ASKED in ("", "write"):
        return SAMPLE
    return [c for c in CELLS if ASKED == "all" or any(w in " ".join(c) for w in ASKED.split(","))]


@pytest.mark.parametrize("cell", chosen(), ids=" ".join)
def test_fault(rig, rigs, cell):
    works = rigs.pop("rig")
    assert outcome(works, *cell) == CELLS[cell]
    rigs["rig"] = works
