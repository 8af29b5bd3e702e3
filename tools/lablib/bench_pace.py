# SPDX-License-Identifier: BSD-2-Clause
"""A guest that uses half of its device's rate while its disk moves (bench.py's case pacing).

An emulated disk has no rate of its own: it is as fast as the machine's CPUs at that moment. So
both disks are held to RATE bytes a second by the emulator, which is so little that they are what
bounds the guest: `share` is how much of that it gets alone. It first asks for as much as it
can get, which is the device's rate; then for half of it, each request at its time whatever
the ones before take (test/guest/diskrate.c), alone and while its disk moves to the other device.
Between two such moves it is quiet: the disk goes back unpaced.
"""
import os
import random
import re
import shutil
import time
from collections import namedtuple

from .client import Lab
from .diskrig import MIB, TIMES, terndisk
from .guest import Guest
from .paths import GUEST, LabError

RATE = 8 * MIB
DISK_MIB = 32
BYTES = 32 << 10
SETTLE, ALONE = 3, 12    # lines, of which there are four a second
LONGEST_S = 120
STORES = ("one", "two")

TARGETS = {"pacing_lost": ("pacing: rate that a guest at half of the device's loses", 0.1, False),
           "pacing_time": ("pacing: time of the copy beside it / unpaced", 3, False)}

Io = namedtuple("Io", "t_us done late_us errors")
LINE = re.compile(r"^io (\d+) (\d+) (\d+) (\d+)\r?$", re.M)


def make_store(path, name, mib, disks=()):
    """A datastore's image, with DISKS ({name: MiB}) of contents that are nowhere zero."""
    block = random.Random(1).randbytes(MIB)
    terndisk("mkfs", path, "--size", f"{mib}M", "--name", name, *TIMES)
    for file, size in dict(disks).items():
        with open(f"{path}.new", "wb") as f:
            for _ in range(size):
                f.write(block)
        terndisk("import", path, f"{path}.new", file, "--kind", "flat")
        os.remove(f"{path}.new")


def mounted(lab, host, count):
    end = time.monotonic() + 60 * lab.patience
    while len([d for d in lab.ask(host, "datastore list") if d["writable"]]) < count:
        if time.monotonic() > end:
            raise LabError(f"not all datastores of {host} are mounted")
        time.sleep(0.2)


def storage_move(lab, vm, to, *options, timeout=120):
    st = lab.ask("a", " ".join(["svmotion", vm, to, *options, "--wait"]), timeout)
    if st["phase"] != "done":
        raise LabError(f"svmotion: {st['phase']}: {st['error']}")
    return st


class Loaded(Guest):
    """A guest whose requests are counted, by its own clock."""

    mark = 0

    def lines(self):
        self.poll()
        return [Io(*map(int, m.groups())) for m in LINE.finditer(self.text, self.mark)]

    def begin(self, per_second):
        """Asks for so many a second until it is told to end; 0: for all that it can get."""
        self.poll()
        self.mark = len(self.text)
        self.lab.run(self.host, f"vm type {self.name} /init disk /dev/vda rate {per_second} "
                                f"{BYTES} {LONGEST_S} &")
        self.some(SETTLE)

    def some(self, more):
        """More lines, and the last of them."""
        goal = len(self.lines()) + more
        self.wait(lambda: len(self.lines()) >= goal, 60, "figures of its disk")
        return self.lines()[-1]

    def end(self):
        """Ends it; nothing more comes of it."""
        start = len(self.text)
        self.lab.run(self.host, f"vm type {self.name} kill $!; wait; echo ended")
        self.wait_text(r"^ended", 60, start)

    @staticmethod
    def between(first, last):
        """Requests a second, and what one took."""
        n = last.done - first.done
        if last.errors or not n:
            raise LabError(f"the guest's requests fail or do not end: {first}, {last}")
        return {"rate": n / (last.t_us - first.t_us) * 1e6,
                "us": (last.late_us - first.late_us) / n}

    def alone(self, per_second):
        self.begin(per_second)
        first = self.lines()[-1]
        got = self.between(first, self.some(ALONE))
        self.end()
        return got


def one_run(g, lab):
    """The device's rate, half of it alone, and beside a copy; and the copy without it."""
    full = g.alone(0)
    half = int(full["rate"] / 2)
    alone = g.alone(half)
    g.begin(half)
    first = g.lines()[-1]
    paced = storage_move(lab, g.name, STORES[1])
    during = g.between(first, g.lines()[-1])
    g.end()
    free = storage_move(lab, g.name, STORES[0])
    return {"device": full["rate"], "share": full["rate"] * BYTES / RATE,
            "alone": alone["rate"], "during": during["rate"],
            "alone_us": alone["us"], "during_us": during["us"],
            "lost": 1 - during["rate"] / alone["rate"],
            "paced_ms": paced["total_ns"] / 1e6, "free_ms": free["total_ns"] / 1e6,
            "time": paced["total_ns"] / free["total_ns"],
            "mirrored_mib": paced["disk"]["mirrored_bytes"] / MIB, "held": paced["disk"]["held"],
            "before_ms": paced["disk"]["latency_before_ns"] / 1e6,
            "copy_ms": paced["disk"]["latency_during_ns"] / 1e6}


def figures(runs, smp, mem, say, _deb=None):
    lab = Lab("bench-pace")
    lab.remove()
    folder = f"{lab.dir}/images"
    os.makedirs(folder)
    disks = {STORES[0]: {"g/root.disk": DISK_MIB}, STORES[1]: {}}
    for name in STORES:
        make_store(f"{folder}/{name}", name, DISK_MIB + 16, disks[name])
    done = []
    try:
        lab.up(["a"], files=GUEST, nics=0, smp=smp, mem=mem,
               disks=[f"{folder}/{name},bps={RATE}" for name in STORES])
        mounted(lab, "a", 2)
        g = Loaded(lab, "g")
        g.create("a", mode="shell", options=f"--disk /ds/{STORES[0]}/g/root.disk")
        g.start()
        g.wait_text(r"guest# ", 180)
        for k in range(runs):
            done.append(one_run(g, lab))
            say(f"pacing {k + 1}/{runs}: " + " ".join(
                f"{key}={value:.3g}" for key, value in done[-1].items()))
    finally:
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)
    return done


# --- what bench.py asks for ----------------------------------------------------------


def ratios(fig, median):
    runs = fig.get("pacing")
    if not runs:
        return {}
    return {"pacing_lost": median([r["lost"] for r in runs]),
            "pacing_time": median([r["time"] for r in runs])}


def table(fig, median):
    runs = fig.get("pacing")
    if not runs:
        return
    med = {key: median([r[key] for r in runs]) for key in runs[0]}
    print(f"pacing: device {med['device']:.0f}/s, {med['share']:.0%} of its limit; "
          f"guest alone {med['alone']:.0f}/s "
          f"{med['alone_us']:.0f} us, beside the copy {med['during']:.0f}/s "
          f"{med['during_us']:.0f} us; copy {med['paced_ms']:.0f} ms, unpaced "
          f"{med['free_ms']:.0f} ms")
