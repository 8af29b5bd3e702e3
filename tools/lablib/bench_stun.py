# SPDX-License-Identifier: BSD-2-Clause
"""How long an idle guest stands still when disks, memory or both move (bench.py's case stun).

One guest with one disk on a datastore of both hosts: Storage vMotion to a datastore of its host
alone, and back; vMotion to the other host; and, from the begin once more, X-vMotion to that host
and a datastore that the first does not have. Each to a host that has run nothing yet. The gap is
the longest time between two ticks of the guest, by its own clock, from the beat before the move
to the second after it; `quiet` is the same of as many beats without a move.
"""
import os
import shutil

from .bench_pace import make_store, mounted, storage_move
from .client import Lab
from .guest import Guest
from .paths import GUEST

DISK_MIB = 8
BEATS = 12
# datastore: hosts
STORES = {"shared": "ab", "here": "a", "there": "b"}
KINDS = ("vmotion", "svmotion", "svmotion back", "xvmotion")
FILE = "g/root.disk"
TARGETS = {"stun_svmotion": ("stun: guest gap of Storage vMotion / vMotion", 1, False),
           "stun_svmotion back": ("stun: guest gap of the way back / vMotion", 1, False),
           "stun_xvmotion": ("stun: guest gap of X-vMotion / vMotion", 2, False)}


def gap_ms(beats):
    return max(b.gap_us for b in beats) / 1e3


def one(g, move):
    """A move's figures, as the guest and the host saw it."""
    g.wait_beats(BEATS, 60)
    quiet, mark = gap_ms(g.beats[-BEATS:]), len(g.beats) - 1
    st = move()
    g.poll()
    g.wait_beats(BEATS, 60)
    g.verify()
    split = {k[:-3]: v / 1e6 for k, v in st["blackout"].items()}
    return {"gap_ms": gap_ms(g.beats[mark:]), "quiet_ms": quiet, "blackout_ms": split.pop("total"),
            "predicted_ms": split.pop("predicted"), "total_ms": st["total_ns"] / 1e6,
            **{f"{name}_ms": value for name, value in split.items()}}


class Rig:
    def __init__(self, lab, folder, smp, mem):
        self.lab, self.folder, self.smp, self.mem = lab, folder, smp, mem
        for name in STORES:
            make_store(f"{folder}/{name}", name, DISK_MIB * 3,
                       {FILE: DISK_MIB} if name == "shared" else {})
        self.up("a")

    def up(self, host):
        mine = [name for name, hosts in STORES.items() if host in hosts]
        self.lab.up([host], files=GUEST, smp=self.smp, mem=self.mem, disks=[
            f"{self.folder}/{name}{',shared' if len(STORES[name]) > 1 else ''}" for name in mine])
        mounted(self.lab, host, len(mine))

    def guest(self):
        """A new one on a, at rest, beside a b that has run nothing."""
        if any(h["name"] == "b" and h["alive"] for h in self.lab.status()["hosts"]):
            self.lab.kill("b")
        self.up("b")
        g = Guest(self.lab, "g")
        g.create("a", ws=16, rate=0, options=f"--disk /ds/shared/{FILE}")
        g.start()
        g.wait_ready()
        return g

    def run(self):
        g = self.guest()
        got = {"svmotion": one(g, lambda: storage_move(self.lab, "g", "here"))}
        got["svmotion back"] = one(g, lambda: storage_move(self.lab, "g", "shared"))
        got["vmotion"] = one(g, lambda: g.migrate("b"))
        g.remove()
        g = self.guest()
        got["xvmotion"] = one(g, lambda: g.migrate("b", "--disks", "there"))
        g.remove()
        self.lab.run("b", f"datastore cp /ds/there/{FILE} /ds/shared/{FILE}")
        self.lab.run("b", f"datastore rm /ds/there/{FILE}")
        return got


def figures(runs, smp, mem, say, _deb=None):
    """{kind: [figures of a move, ...]}"""
    lab = Lab("bench-stun")
    lab.remove()
    folder = f"{lab.dir}/images"
    os.makedirs(folder)
    fig = {kind: [] for kind in KINDS}
    try:
        rig = Rig(lab, folder, smp, mem)
        for k in range(runs):
            for kind, got in rig.run().items():
                fig[kind].append(got)
                say(f"stun {k + 1}/{runs} {kind}: " + " ".join(
                    f"{key}={value:.0f}" for key, value in got.items() if value))
    finally:
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)
    return fig


# --- what bench.py asks for ----------------------------------------------------------


def ratios(fig, median):
    if "stun" not in fig:
        return {}
    gap = {kind: median([r["gap_ms"] for r in runs]) for kind, runs in fig["stun"].items()}
    return {f"stun_{kind}": gap[kind] / gap["vmotion"] for kind in KINDS if kind != "vmotion"}


def table(fig, median):
    for kind, runs in fig.get("stun", {}).items():
        med = {key: median([r[key] for r in runs]) for key in runs[0]}
        print(f"stun, {kind}: " + ", ".join(f"{key} {value:.0f}" for key, value in med.items()
                                            if value >= 0.5))
