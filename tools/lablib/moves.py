# SPDX-License-Identifier: BSD-2-Clause
"""Do the models allow what hosts did in their migrations?

    moves.settle(lab)           Refused, with the steps, if one may not be
    moves.held(labs)            how many migrations, and steps, that has found in order
    moves.with_third(lab)       in what was told since then a third host had a part
    moves.told(lab)             Runs, and moves.check(run)
    moves.Model(...).allows(out, into)

Hosts tell each step of the commit in their logs (mig/steps.c):

    mig: move 2f...9c out: parked

test/model/trace.h has a number for each; the models that include it can be run along such steps.
The source says first what decides, and a model says which of that it is of: `DECIDES: WORDS
[-D...]`, a second time with -DTHIRD where a third host may have taken a lease. Of the order only
that of each side counts, and what each message carries over: clocks
of hosts are not compared. A host that ended, by `lab kill` or a crash, has a last step `crashed`
if it had told any: what it did just before that may be missing. One that was no host of the lab
may have done anything.

A host says in its log as well that a job of its has ended well. When it has told fewer ends of
migrations than that, some were not told, which is refused too.
"""
import functools
import glob
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter, namedtuple

from .paths import TOP

MODELS = f"{TOP}/test/model"
CUT = "tells no more"
LINE = re.compile(r"mig: move ([0-9a-f]{32}) (in|out): ([^\r\n]*)\r*\n")
DONE = re.compile(r"^(?:\[ *[\d.]+\] [a-z]+ +)?mig: job \d+: \S+ (in|out) done in \d+ ms", re.M)
# The last steps of a job that is done.
ENDS = {"in": {"runs"}, "out": {"released", "leases are another's", "resolved: there"}}
CRASHED = "crashed"

# One migration: its id, what its two sides have told.
Run = namedtuple("Run", "id out into")


class Refused(AssertionError):
    def __init__(self, run, why):
        super().__init__(f"migration {run.id}: {why}\n  source: {', '.join(run.out)}\n"
                         f"  destination: {', '.join(run.into)}")


@functools.cache
def words():
    """Number of each step."""
    with open(f"{MODELS}/trace.h", encoding="utf-8") as f:
        return {text: int(n) for n, text in
                re.findall(r"^#define [A-Z_]+ (\d+)\s+/\* (.*) \*/$", f.read(), re.M)}


@functools.cache
def most():
    """So many steps of a side fit into a trace."""
    with open(f"{MODELS}/trace.h", encoding="utf-8") as f:
        return int(re.search(r"^#define STEPS_MAX (\d+)$", f.read(), re.M)[1]) - 1


class Model:
    """One model, compiled to follow traces; kept in build/model by its text."""

    def __init__(self, path, defs):
        self.path, self.defs, self.known = path, defs, {}
        self.parts = [path, *sorted(glob.glob(f"{MODELS}/*.h"))]
        text = b"".join(open(p, "rb").read() for p in self.parts)
        digest = hashlib.sha256(text + defs.encode()).hexdigest()[:16]
        name = os.path.basename(path)
        self.dir = f"{TOP}/{os.environ.get('BUILD') or 'build'}/model/trace-{digest}"
        if not os.path.exists(f"{self.dir}/pan"):
            self._compile(name)

    def _compile(self, name):
        """In a folder of its own: the lab's tests run in two processes, which want the same."""
        os.makedirs(self.dir, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.dir) as here:
            for path in self.parts:
                shutil.copy(path, here)
            subprocess.run(["spin", "-a", "-DTRACE", *self.defs.split(), name], cwd=here,
                           check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["gcc", "-O0", "-w", "-DSAFETY", "-DNOCLAIM", "-o", "pan", "pan.c"],
                           cwd=here, check=True)
            os.rename(f"{here}/pan", f"{self.dir}/pan")

    def allows(self, out, into):
        """The numbers of both sides' steps: can the model take them all?"""
        if (out, into) not in self.known:
            self.known[out, into] = self._search(out, into)
        return self.known[out, into]

    def _search(self, out, into):
        trace = " ".join(str(n) for n in (*out, 0, *into, 0))
        said = subprocess.run(["./pan", "-m200000", "-w18", "-E"], cwd=self.dir, text=True,
                              stdout=subprocess.PIPE, env={**os.environ, "TRACE": trace},
                              check=False, timeout=60).stdout
        if "errors: " not in said or "too small" in said or "out of memory" in said:
            raise RuntimeError(f"{self.path} cannot follow a trace:\n{said}")
        return "errors: 0" not in said


@functools.cache
def models():
    """By the words that say what decides, and whether there is a third host."""
    found = {}
    for path in sorted(glob.glob(f"{MODELS}/*.pml")):
        with open(path, encoding="utf-8") as f:
            for what, defs in re.findall(r"^/\* DECIDES: ([a-z ]*[a-z])(.*) \*/$", f.read(), re.M):
                found[what, "-DTHIRD" in defs] = functools.cache(
                    functools.partial(Model, path, defs.strip()))
    return found


def able(what, third):
    """The model for that; those of commit.pml and commit_disks.pml have no other one for three."""
    return models().get((what, third)) or models().get((what, False))


# ---- what hosts have told ----

def steps_in(text):
    """(id, direction, words) of each step in a host's log."""
    return LINE.findall(text)


def crashed(steps):
    """One that ended: after each side's last step, unless that was in a life before."""
    last = {(move, way): what for move, way, what in steps}
    return steps + [(*side, CRASHED) for side, what in last.items() if what != CRASHED]


def kept(text):
    """Of the log of a life that has ended: what is read here."""
    return "".join([f"mig: move {move} {way}: {what}\n"
                    for move, way, what in crashed(steps_in(text))] +
                   [f"{done[0][done[0].index('mig: '):]}\n" for done in DONE.finditer(text)])


def told(lab):
    """All that hosts of the lab have told: a Run for each migration."""
    alive, moves = lab.ended or lab.alive(), {}
    for name in lab.hosts():
        steps = lab.steps(name)
        for move, way, what in steps if name in alive else crashed(steps):
            moves.setdefault(move, {"out": [], "in": []})[way].append(what)
    return [Run(move, tuple(m["out"]), tuple(m["in"])) for move, m in moves.items()]


# ---- is that allowed ----

def lives(side):
    """What is found at a boot had a life before, whether that told anything or not."""
    whole = []
    for step in side:
        if step.startswith("found a record") and whole[-1:] != [CRASHED]:
            whole.append(CRASHED)
        whole.append(step)
    return tuple(whole)


def endings(side):
    """A host that ended again, and told nothing in between, may have had no part in it by then."""
    yield side
    while side[-2:] == (CRASHED, CRASHED):
        side = side[:-1]
        yield side


def check(run, third=False):
    """How many steps were held against a model: 0 if none of them says anything of the commit."""
    if not any(step != CRASHED for step in run.out + run.into):
        return 0
    steps = len(run.out) + len(run.into)
    run = run._replace(out=lives(run.out) or (CRASHED,), into=lives(run.into))
    if CUT in run.out + run.into:
        raise Refused(run, "a host did more steps than it keeps (MIG_STEPS_MAX)")
    if max(len(run.out), len(run.into)) > most():
        raise Refused(run, f"more than the {most()} steps a side that the models follow "
                           "(STEPS_MAX of trace.h)")
    what, out = run.out[0], run.out[1:]
    unknown = [s for s in (*out, *run.into) if s not in words()]
    if what == CRASHED:         # it ended before it could say
        tried, out = [able(w, third) for w in sorted({w for w, _ in models()})], run.out
    elif not able(what, third) or unknown:
        raise Refused(run, f"no model knows of '{unknown[0] if unknown else what}'")
    else:
        tried = [able(what, third)]
    told_so = [[tuple(words()[s] for s in end) for end in endings(side)]
               for side in (out, run.into)]
    if not run.into:            # or the other side was a test's, not a host
        told_so[1].append((words()[CRASHED],))
    if any(model().allows(*both) for model in tried for both in itertools.product(*told_so)):
        return steps
    raise Refused(run, "no run of the model has these steps")


def untold(text):
    """(direction, done, told) where a host has told fewer ends than it had of migrations."""
    ends = Counter(way for _, way, what in steps_in(text) if what in ENDS[way])
    return [(way, n, ends[way]) for way, n in Counter(DONE.findall(text)).items() if n > ends[way]]


def check_told(lab):
    for name in lab.hosts():
        for missing in untold(lab.told(name)):
            if (name, *missing) not in lab.settled:
                lab.untold = (name, *missing)
                raise Refused(Run(f"on {name}", (), ()), "%s: %d are done, %d ends told" % missing)


SOON_S = 20


def settle(lab):
    """Checks what is told in a lab since the last time. One side may be behind just now, so a
    refusal counts if it lasts."""
    end = time.monotonic() + SOON_S
    while True:
        fresh = [run for run in told(lab) if run not in lab.settled]
        try:
            for run in fresh:
                lab.held[run.id] = check(run, run.id in lab.thirds)
            check_told(lab)
        except Refused:
            if time.monotonic() > end:
                lab.settled.update([*fresh, lab.untold])    # told once, of the test that did it
                raise
            time.sleep(0.5)
            continue
        lab.settled.update(fresh)
        return


def held(labs):
    """(migrations, steps)"""
    steps = [n for lab in labs for n in lab.held.values() if n]
    return len(steps), sum(steps)


def with_third(lab):
    """A third host may have taken leases in those that have told anything since the last time."""
    lab.thirds.update(run.id for run in told(lab) if run not in lab.settled)
