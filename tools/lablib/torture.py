# SPDX-License-Identifier: BSD-2-Clause
"""Random moves of a guest and its disks, with random faults, until time is up (tools/torture)."""
import argparse
import pathlib
import random
import sys
import tempfile
import time

from . import moves
from .client import Lab
from .diskfaults import FAULTS, OPTIONS, PHASES, outcome, possible
from .diskrig import DISKS, LAYOUTS, MOVES, Rig
from .paths import GUEST, LabError

START = time.monotonic()
# In a layout: what may be done to the guest, some of it more often.
STEPS = {"own": ["x", "x", "sv", "sv", "suspend"], "mixed": ["mix", "mix", "sv", "suspend"],
         "shared": ["v", "v", "v", "suspend"]}
WHEN = {**PHASES, "mix": PHASES["x"][:-2] + PHASES["mix"]}
STAYS = 6       # out of so many steps one is of another layout


def tell(text):
    print(f"[{time.monotonic() - START:7.1f}] {text}", flush=True)


def choose(dice, rig):
    """The next step: (layout, kind, phase, fault); phase and fault None: a move without one."""
    layout = rig.layout if dice.randrange(STAYS) else dice.choice(sorted(LAYOUTS))
    kind = dice.choice([k for k in STEPS[layout] if k != "sv" or rig.store != "b1"])
    if kind == "suspend":
        return layout, kind, None, None
    phase = dice.choice(WHEN[kind])
    faults = [f for f in sorted(FAULTS) if possible(kind, phase, f)]
    fault = dice.choice([None, *faults]) if dice.randrange(3) else None
    return layout, kind, phase if fault or phase in OPTIONS else None, fault


def suspend(rig, layout):
    g = rig.work(layout)
    rig.lab.run(g.host, "vm suspend g")
    rig.lab.run(g.host, "vm restore g")
    rig.passes()
    return "done", "same host"


def move(rig, layout, kind, phase):
    rig.work(layout)
    source, target = rig.guest.host, rig.target(kind)
    st = rig.ends(rig.start(kind, *OPTIONS.get(phase, [])), source)
    assert st["phase"] == "done", st
    assert rig.check(target) == target
    return "done", "target"


def step(rig, layout, kind, phase, fault):
    if kind == "suspend":
        done = suspend(rig, layout)
    elif fault:
        done = outcome(rig, kind, phase, fault, layout)
    else:
        done = move(rig, layout, kind, phase)
    for host in DISKS:
        rig.lab.run(host, "stats")      # each of them still answers
    return done


def words(layout, kind, phase, fault):
    text = f"{layout} disks, {kind}"
    if kind in MOVES:
        text += f" {phase}" if phase else ""
        text += f" {fault}" if fault else ", no fault"
    return text


def run(args, rig, done):
    dice = random.Random(args.seed)
    while time.monotonic() < START + args.minutes * 60 and len(done) != args.steps:
        rig.revive()
        what = choose(dice, rig)
        done.append(what)
        tell(f"step {len(done)}: on {rig.store}: {words(*what)}")
        how, where = step(rig, *what)
        moves.settle(rig.lab)
        tell(f"  {how}; the VM is at: {where} ({rig.store})")


def failed(args, lab, done, why):
    tell(f"torture: FAILED, seed {args.seed}, step {len(done)}: {why!r}")
    for host in DISKS:
        print(f"--- host {host}\n{lab.log(host)[-4000:]}")
    print(f"again up to this step: tools/torture --seed {args.seed} --steps {len(done)} "
          f"--minutes {args.minutes:g}")
    return 1


def main():
    p = argparse.ArgumentParser(prog="tools/torture", description=__doc__)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--steps", type=int, default=None, help="so many at most")
    args = p.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    tell(f"seed {args.seed}, {args.minutes:g} minutes")
    lab, done = Lab("torture"), []
    with tempfile.TemporaryDirectory(prefix="tern-torture-") as folder:
        try:
            run(args, Rig(lab, pathlib.Path(folder), GUEST), done)
        except (AssertionError, LabError, RuntimeError) as e:
            return failed(args, lab, done, e)
        finally:
            lab.down()
    went, told = moves.held([lab])
    tell(f"torture: ok, {len(done)} steps, seed {args.seed}; {went} migrations, {told} steps of "
         "theirs, are as the models of the commit allow")
    return 0


if __name__ == "__main__":
    sys.exit(main())
