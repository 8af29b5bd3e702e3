# SPDX-License-Identifier: BSD-2-Clause
"""A host's disks beside those of Linux with fio on the same emulated devices (bench.py's
case disk).

Each side has its own image files, all else of a device is the same. They take turns, so
that one is idle while the other is measured.
"""
import os
import random
import shutil

from .client import Lab
from .fiohost import FioHost

MIB = 1 << 20
KINDS = ("nvme", "virtio", "ide", "ahci")
IMAGE_MIB = 128
SECONDS = 3
# load: (of fio, of disk bench, bytes, in flight)
LOADS = {"4k rand read": ("randread", "--random", 4096, 32),
         "4k rand write": ("randwrite", "--random --write --force", 4096, 32),
         "1m seq read": ("read", "", MIB, 8),
         "1m seq write": ("write", "--write --force", MIB, 8)}
TARGET = 0.8


def name_of(kind, load):
    return f"disk_{kind}_{load.replace(' ', '_')}"


TARGETS = {name_of(kind, load): (f"disk, {kind}, {load}: MB/s / fio's", TARGET, True)
           for kind in KINDS for load in LOADS}


def _images(directory, kinds):
    """Files with something in each block, so that the first write of one costs no more."""
    os.makedirs(directory, exist_ok=True)
    block = random.Random(1).randbytes(MIB)
    paths = []
    for kind in kinds:
        paths.append(f"{directory}/{kind}.img")
        with open(paths[-1], "wb") as f:
            for _ in range(IMAGE_MIB):
                f.write(block)
    return [path if kind == "nvme" else f"{path},{kind}" for kind, path in zip(kinds, paths)]


def _tern(lab, number, load):
    _, words, size, depth = LOADS[load]
    before = lab.ask("a", "stats")["host"]
    got = lab.ask("a", f"disk bench disk{number} --seconds {SECONDS} --size {size} "
                        f"--depth {depth} {words}", 60)
    after = lab.ask("a", "stats")["host"]
    each = {name: (after[name] - before[name]) / got["requests"]
            for name in ("interrupts", "switches")}
    return {"iops": got["requests"] / got["ns"] * 1e9, "mb_s": got["bytes"] / got["ns"] * 1e3,
            "avg_us": got["avg_ns"] / 1e3, **each}


def _linux(linux, kind, load):
    rw, _, size, depth = LOADS[load]
    return linux.fio(kind, rw, size, depth, SECONDS)


def figures(runs, smp, mem, say, deb=None):
    """{kind: {load: {"tern": [...], "linux": [...]}}}"""
    lab = Lab("bench-disk")
    lab.remove()
    kinds = [kind for kind in KINDS if deb or kind != "ahci"]
    linux = FioHost(f"{lab.dir}/fio", kinds, deb)
    fig = {kind: {load: {"tern": [], "linux": []} for load in LOADS} for kind in kinds}
    try:
        lab.up(["a"], nics=0, smp=smp, mem=mem, max_time=3600,
               disks=_images(f"{linux.dir}/tern", kinds))
        linux.up(_images(f"{linux.dir}/linux", kinds), smp, mem)
        for k in range(runs):
            for number, kind in enumerate(kinds):
                for load in LOADS:
                    one = {"tern": _tern(lab, number, load), "linux": _linux(linux, kind, load)}
                    for who, got in one.items():
                        fig[kind][load][who].append(got)
                    say(f"disk {k + 1}/{runs} {kind} {load}: " + ", ".join(
                        f"{who} {got['iops']:.0f}/s {got['mb_s']:.0f} MB/s"
                        for who, got in one.items()))
    finally:
        linux.down()
        lab.down()
        shutil.rmtree(linux.dir, ignore_errors=True)
    return fig


# --- what bench.py asks for ----------------------------------------------------------


def _medians(runs, median):
    return {key: median([r[key] for r in runs]) for key in runs[0]}


def ratios(fig, median):
    out = {}
    for kind, loads in fig.get("disk", {}).items():
        for load, got in loads.items():
            tern, linux = (_medians(got[who], median)["mb_s"] for who in ("tern", "linux"))
            out[name_of(kind, load)] = tern / linux
    return out


def table(fig, median):
    if "disk" not in fig:
        return
    print(f"{'disk':8} {'load':14} {'tern /s':>9} {'fio /s':>9} {'tern MB/s':>10} "
          f"{'fio MB/s':>9} {'tern us':>9} {'fio us':>9} {'irqs each':>9} {'switches':>9}")
    for kind, loads in fig["disk"].items():
        for load, got in loads.items():
            tern, linux = (_medians(got[who], median) for who in ("tern", "linux"))
            print(f"{kind:8} {load:14} {tern['iops']:9.0f} {linux['iops']:9.0f} "
                  f"{tern['mb_s']:10.1f} {linux['mb_s']:9.1f} {tern['avg_us']:9.0f} "
                  f"{linux['avg_us']:9.0f} {tern['interrupts']:9.2f} {tern['switches']:9.2f}")
