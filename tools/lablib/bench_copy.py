# SPDX-License-Identifier: BSD-2-Clause
"""The copy of a disk beside Linux's dd between the same emulated devices (bench.py's case copy).

A VM that is off moves by svmotion from one device's datastore to the other's, its disk as a flat
file and as a thin one; the rate is the disk's bytes by all of the job's time, new file made, switch
and flush, old file removed. What the copy has of that, with flush and switch, is given beside it:
the rest is some 120 requests one after the other, whatever the disk's size. Linux copies as many
bytes between two whole devices: `dd bs=1M iflag=direct oflag=direct`, which the target is about,
and four of these at a time, each with a quarter. Turn by turn, image files apart, all of whose
blocks are there before: the machine takes its time to find them.
"""
import os
import random
import re
import shutil

from .bench_pace import make_store, mounted, storage_move
from .client import Lab
from .diskrig import MIB
from .fiohost import FioHost
from .paths import GUEST, LabError

DISK_MIB = 128
STORE_MIB = DISK_MIB + 16
# pair: (device of the source, of the target), by FioHost's names
PAIRS = {"nvme-nvme": ("nvme", "nvme2"), "virtio-virtio": ("virtio", "virtio2"),
         "nvme-ahci": ("nvme", "ahci")}
ORDER = ("nvme", "nvme2", "virtio", "virtio2", "ahci")
WORD = {"nvme": "", "nvme2": "", "virtio": ",virtio", "virtio2": ",virtio", "ahci": ",ahci"}
KINDS = ("flat", "thin")
TARGETS = {f"copy_{pair}_{kind}": (f"copy, {pair}, {kind}: MB/s / dd's", 1, True)
           for pair in PAIRS for kind in KINDS}
AT_A_TIME = 4
DD = ("for i in $(seq 0 {last}); do /bin/dd if={source} of={target} bs=1M iflag=direct "
      "oflag=direct count={count} skip=$((i * {count})) seek=$((i * {count})) & done; wait")


def _dd(linux, pair, at_a_time):
    """MB/s of so many at a time, each with its part: until the last has ended."""
    source, target = (linux.device(name) for name in PAIRS[pair])
    line = DD.format(source=source, target=target, last=at_a_time - 1,
                     count=DISK_MIB // at_a_time)
    said = linux.shell(line, 120)
    took = [float(s) for s in re.findall(r" copied, ([\d.e-]+) s", said)]
    if len(took) != at_a_time:
        raise LabError(f"{line}: {said[-300:]}")
    return DISK_MIB * MIB / max(took) / 1e6


def _tern(lab, pair, kind):
    one, two = PAIRS[pair]
    lab.run("a", f"vm create {one} --mem 16M --kernel /boot/vmlinuz --disk /ds/{one}/g/root.disk")
    if kind == "thin":          # of which a map says where its contents are
        storage_move(lab, one, two, "--thin")
        storage_move(lab, one, one)
    st = storage_move(lab, one, two)
    storage_move(lab, one, one, "--flat")
    lab.run("a", f"vm delete {one}")
    return {kind: DISK_MIB * MIB / st["total_ns"] * 1e3,
            f"{kind} copy": st["rate_bytes_s"] / 1e6}


def figures(runs, smp, mem, say, deb=None):
    """{pair: {"flat": [MB/s, ...], "flat copy": [...], ..., "dd": [...], "dds": [...]}}"""
    lab = Lab("bench-copy")
    lab.remove()
    names = [name for name in ORDER if deb or name != "ahci"]
    pairs = [pair for pair, ends in PAIRS.items() if set(ends) <= set(names)]
    linux = FioHost(f"{lab.dir}/linux", names, deb)
    block = random.Random(2).randbytes(MIB)
    for name in names:
        disks = {"g/root.disk": DISK_MIB} if any(PAIRS[p][0] == name for p in pairs) else {}
        make_store(f"{linux.dir}/tern-{name}", name, STORE_MIB, disks)
        with open(f"{linux.dir}/tern-{name}", "r+b") as f:
            os.posix_fallocate(f.fileno(), 0, STORE_MIB * MIB)
        with open(f"{linux.dir}/linux-{name}", "wb") as f:
            for _ in range(STORE_MIB):
                f.write(block)
    fig = {pair: {} for pair in pairs}
    try:
        lab.up(["a"], files=GUEST, nics=0, smp=smp, mem=mem, disks=[
            f"{linux.dir}/tern-{name}{WORD[name]}" for name in names])
        linux.up([f"{linux.dir}/linux-{name}{WORD[name]}" for name in names], smp, mem)
        mounted(lab, "a", len(names))
        for k in range(runs):
            for pair in pairs:
                got = {**_tern(lab, pair, "flat"), **_tern(lab, pair, "thin"),
                       "dd": _dd(linux, pair, 1), "dds": _dd(linux, pair, AT_A_TIME)}
                for who, rate in got.items():
                    fig[pair].setdefault(who, []).append(rate)
                say(f"copy {k + 1}/{runs} {pair}: " + ", ".join(
                    f"{who} {rate:.0f} MB/s" for who, rate in got.items()))
    finally:
        linux.down()
        lab.down()
        shutil.rmtree(linux.dir, ignore_errors=True)
    return fig


# --- what bench.py asks for ----------------------------------------------------------


def ratios(fig, median):
    out = {}
    for pair, got in fig.get("copy", {}).items():
        for kind in KINDS:
            out[f"copy_{pair}_{kind}"] = median(got[kind]) / median(got["dd"])
    return out


def table(fig, median):
    for pair, got in fig.get("copy", {}).items():
        print(f"copy, {pair}: " + ", ".join(f"{who} {median(rates):.0f} MB/s"
                                            for who, rates in got.items()))
