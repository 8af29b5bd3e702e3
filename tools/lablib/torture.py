# SPDX-License-Identifier: BSD-2-Clause
"""Random moves of a guest's disks, with random faults, until time is up (tools/torture)."""
import argparse
import pathlib
import random
import sys
import tempfile
import time

from . import moves
from .client import Lab
from .diskfaults import FAULTS, PHASES, outcome
from .diskrig import Rig
from .paths import GUEST, LabError

START = time.monotonic()
FOREIGN = {"sv": {"cut", "late", "target killed", "garbage"}, "x": set()}
# After GO the target's disk is the VM's own: its errors are the guest's.
OWN = {"target write", "target read"}


def tell(text):
    print(f"[{time.monotonic() - START:7.1f}] {text}", flush=True)


def choose(dice, rig):
    """The next step: a move (kind, phase, fault or None), or a suspend."""
    kinds = ["x"] * 3 + ["suspend"] + (["sv"] * 3 if rig.store != "b1" else [])
    kind = dice.choice(kinds)
    if kind == "suspend":
        return kind, None, None
    phase = dice.choice(PHASES[kind])
    faults = sorted(set(FAULTS) - FOREIGN[kind] - (OWN if phase == "go" else set()))
    return kind, phase, dice.choice([None, *faults])


def suspend(rig):
    g = rig.work()
    rig.lab.run(g.host, "vm suspend g")
    rig.lab.run(g.host, "vm restore g")
    rig.passes()
    return "done", "same host"


def move(rig, kind):
    rig.work()
    source, target = rig.guest.host, rig.target(kind)
    st = rig.ends(rig.start(kind), source)
    assert st["phase"] == "done", st
    assert rig.check(target) == target
    return "done", "target"


def step(rig, kind, phase, fault):
    if kind == "suspend":
        return suspend(rig)
    if not fault:
        return move(rig, kind)
    return outcome(rig, kind, phase, fault)


def run(args, rig):
    dice, count = random.Random(args.seed), 0
    while time.monotonic() < START + args.minutes * 60:
        rig.work()
        what = choose(dice, rig)
        count += 1
        tell(f"step {count}: on {rig.store}: {' '.join(w for w in what if w)}"
             + ("" if what[2] or what[0] == "suspend" else ", no fault"))
        how, where = step(rig, *what)
        moves.settle(rig.lab)
        tell(f"  {how}; the VM is at: {where} ({rig.store})")
    return count


def main():
    p = argparse.ArgumentParser(prog="tools/torture", description=__doc__)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--minutes", type=float, default=10)
    args = p.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    tell(f"seed {args.seed}, {args.minutes:g} minutes")
    lab = Lab("torture")
    with tempfile.TemporaryDirectory(prefix="tern-torture-") as folder:
        try:
            count = run(args, Rig(lab, pathlib.Path(folder), GUEST))
        except (AssertionError, LabError, RuntimeError) as e:
            tell(f"torture: FAILED, seed {args.seed}: {e}")
            for host in "ab":
                print(f"--- host {host}\n{lab.log(host)[-4000:]}")
            return 1
        finally:
            lab.down()
    tell(f"torture: ok, {count} steps, seed {args.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
