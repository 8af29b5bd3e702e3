# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong while a guest's disks move: each phase, each fault, and what comes of it.

The matrix is MATRIX: a move, its phase, and for each fault how the job ends and where the VM is
then. docs/failures.md is made of it (`TERN_FAILURES=write`) and says no other thing. Each cell
also asks for what is not in the table: one owner, data right, no file that belongs to nobody.
`make test` takes SAMPLE; `TERN_FAILURES=all` (the soak) takes all cells.
"""
import os

import pytest

from lablib.client import Lab
from lablib.diskfaults import FAULTS, outcome
from lablib.diskrig import Rig
from lablib.paths import TOP

pytestmark = pytest.mark.fault

DOC = f"{TOP}/docs/failures.md"
ALL = os.environ.get("TERN_FAILURES") == "all"
MATRIX = {
    ("sv", "copy"): {
        "source killed": ("died", "source, started anew"),
        "full": ("failed no-space", "source"),
        "target write": ("failed io", "source"),
        "target read": ("failed io", "source"),
        "source read": ("failed io", "source"),
        "cancel": ("canceled", "source"),
    },
    ("sv", "rounds"): {
        "target write": ("failed io", "source"),
        "cancel": ("canceled", "source"),
    },
    ("sv", "switch"): {
        "target write": ("failed io", "source"),
        "source read": ("done", "target"),
        "cancel": ("canceled", "source"),
    },
    ("x", "copy"): {
        "cut": ("failed link", "source"),
        "late": ("done", "target"),
        "target killed": ("failed link", "source"),
        "full": ("failed no-space", "source"),
        "target write": ("failed disk-error", "source"),
        "target read": ("failed disk-error", "source"),
        "source read": ("failed io-error", "source"),
        "garbage": ("failed bad-stream", "source"),
    },
    ("x", "precopy"): {
        "cut": ("failed link", "source"),
        "late": ("done", "target"),
        "source killed": ("died", "source, started anew"),
        "full": ("done", "target"),
        "target write": ("failed disk-error", "source"),
        "cancel": ("canceled", "source"),
        "garbage": ("failed link", "source"),
    },
    ("x", "stun"): {
        "cut": ("failed link", "source"),
        "source killed": ("died", "source, started anew"),
        "target write": ("failed disk-error", "source"),
        "cancel": ("canceled", "source"),
        "garbage": ("failed link", "source"),
    },
    ("x", "transfer"): {
        "cut": ("failed ready-timeout", "source"),
        "cancel": ("canceled", "source"),
        "garbage": ("done", "target"),
    },
    ("x", "ready"): {
        "cut": ("in-doubt", "target"),
        "source killed": ("died", "source, started anew"),
        "target killed": ("in-doubt", "source"),
        "cancel": ("canceled", "source"),
        "garbage": ("done", "target"),
    },
    ("x", "go"): {
        "cut": ("in-doubt", "target"),
        "late": ("done", "target"),
        "target killed": ("in-doubt", "source"),
        "source killed": ("died", "source, started anew"),
        "cancel": ("canceled", "source"),
    },
}
SAMPLE = [("sv", "switch", "target write"), ("x", "copy", "garbage"), ("x", "copy", "full"),
          ("x", "precopy", "cancel")]
CELLS = [(move, phase, fault) for (move, phase), row in MATRIX.items() for fault in row]

MOVES = {"sv": "Storage vMotion", "x": "X-vMotion"}
WHAT = {
    "cut": "the link between the hosts is cut, and whole again when the job is over",
    "late": "the link is cut and whole again after three seconds",
    "source killed": "the host that runs the VM loses its power, and comes back",
    "target killed": "the other host loses its power, and comes back",
    "full": "the target's datastore has less room than the disks take",
    "target write": "each write of the target's disk fails, until the job is over",
    "target read": "each read of the target's disk fails, until the job is over",
    "source read": "a block of the source's disk cannot be read",
    "cancel": "`migrate cancel`",
    "garbage": "all that the disks' stream carries is inverted",
}
HEAD = """# What a fault does to a guest whose disks move

Made by `test/lab/test_fault_disks.py` from its table, which it holds against what happens. The
move is held at the beginning of a phase (`--hold`), then the fault comes and the move goes on. In
each case at most one host runs the VM, its disks hold what it has written, and no file is left
that is nobody's; after a disk that failed, or a host that died, that is so once its datastore is
mounted again, and a host that died is back. A guest that dies with its host is started anew from
its disks. A fault that is not listed for a phase has not been tried there.

| fault | |
|---|---|
"""
COLUMNS = "| phase | fault | the job ends | the VM is at |\n|---|---|---|---|\n"


def document():
    out = HEAD + "".join(f"| {fault} | {what} |\n" for fault, what in WHAT.items())
    for move, name in MOVES.items():
        out += f"\n## {name}\n\n{COLUMNS}"
        for (its, phase), row in MATRIX.items():
            if its == move:
                out += "".join(f"| {phase} | {fault} | {how} | {where} |\n"
                               for fault, (how, where) in row.items())
    return out


def test_the_document():
    """What docs/failures.md says is the table."""
    assert set(WHAT) == set(FAULTS)
    if os.environ.get("TERN_FAILURES") == "write":
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(document())
    with open(DOC, encoding="utf-8") as f:
        assert f.read() == document(), "TERN_FAILURES=write makes it anew"


@pytest.fixture(scope="module")
def rigs():
    return {}


@pytest.fixture
def lab():
    return Lab(f"faults-{os.getpid()}")


@pytest.fixture
def rig(lab, rigs, payload, tmp_path_factory):
    """The rig of the cell before, or after a failure a new one."""
    if "rig" not in rigs:
        lab.remove()
        rigs["rig"] = Rig(lab, tmp_path_factory.mktemp("faults"), payload)
    return rigs["rig"]


@pytest.fixture(scope="module", autouse=True)
def end(rigs):
    yield
    if "rig" in rigs:
        rigs["rig"].lab.down()


@pytest.mark.parametrize("cell", CELLS if ALL else SAMPLE, ids=" ".join)
def test_fault(rig, rigs, cell):
    move, phase, fault = cell
    works = rigs.pop("rig")
    assert outcome(works, move, phase, fault) == MATRIX[move, phase][fault]
    rigs["rig"] = works
