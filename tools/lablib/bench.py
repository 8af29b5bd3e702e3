# SPDX-License-Identifier: BSD-2-Clause
"""Tern's figures, each as a ratio of two things measured in the same run.

    net      raw TCP between the two hosts (net bench)
    boot     kernel entry to init, against the same kernel directly in the emulator
    park     how long it takes to stop all vCPUs of a busy guest, 4 on 2 CPUs
    idle     a quiet guest: exits a second, and what its migration sends
    d20      20 MiB/s over 64 MiB while it moves
    d100     100 MiB/s over 128 MiB while it moves
    stream   700 MiB that stand still: what the migration stream carries
    guestnet a guest's network beside that of a guest of Linux/KVM and QEMU (bench_net.py)
    hole     what a third machine misses of a guest that moves (bench_net.py)
    disk     a host's disks beside Linux's with fio (bench_disk.py)
    copy     a disk's copy beside Linux's dd between the same devices (bench_copy.py)
    pacing   a guest that uses half of its device's rate while its disk moves (bench_pace.py)
    stun     how long an idle guest stands still when disks, memory or both move (bench_stun.py)

Writes BUILD/bench.json and prints a table.  A figure that misses its target is
marked; --strict makes that the exit status.
"""
import argparse
import json
import os
import shutil
import statistics
import sys
import threading
import time

from . import bench_copy, bench_disk, bench_net, bench_pace, bench_rival, bench_stun, direct, net
from .client import Lab
from .guest import CMDLINE, Guest
from .paths import BUILD, GUEST, LabError

CASES = {"idle": dict(ws=16, rate=0), "d20": dict(ws=64, rate=20), "d100": dict(ws=128, rate=100),
         "stream": dict(ws=700, rate=0, mem="1G")}
NET_CASES = ("guestnet", "hole")
# Cases with hosts of their own.
OWN_HOSTS = {"disk": bench_disk, "copy": bench_copy, "pacing": bench_pace, "stun": bench_stun}
HOST_MIB = 2048
OTHER = {"a": "b", "b": "a"}
QUIET_S = 30
# What the foreign guest's own benchmark gives its kernel.
FOREIGN = ("nokaslr mitigations=off tsc=reliable no_timer_check cryptomgr.notests i8042.noaux "
           "i8042.nokbd i8042.nopnp random.trust_cpu=on")

# name: (what, target, whether larger is better)
TARGETS = {
    "stream_of_net": ("migration stream / net bench", 0.70, True),
    "idle_sent": ("idle: bytes sent / non-zero backed bytes", 1.05, False),
    "idle_exits_per_s": ("idle: exits a second and vCPU", 50, False),
    "boot": ("kernel entry to init / directly", 1.5, False),
    "park_ms": ("4 busy vCPUs stopped, ms (median)", 10, False),
    "d20_rate_kept": ("d20: write rate while moving / before", 0.8, True),
    "d100_rate_kept": ("d100: write rate while moving / before", 0.8, True),
    **bench_net.TARGETS,
    **{name: target for part in OWN_HOSTS.values() for name, target in part.TARGETS.items()},
}


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values) if values else None


def net_bench(lab):
    """MB/s of the hosts' own TCP test."""
    got = lab.ask("a", f"net bench {lab.addr('b')}", 120)
    return got["bytes"] / got["ns"] * 1e3


def boot(lab, runs):
    """(directly, under Tern) seconds from kernel entry to init, medians."""
    line = f"{CMDLINE} tern.mode=shell"
    alone, tern = [], []
    for k in range(runs):
        alone.append(direct.boot_seconds(f"{GUEST}/vmlinuz", f"{GUEST}/initrd", line))
        g = Guest(lab, f"boot{k}")
        g.create("a", mode="shell")
        start = time.monotonic()
        g.start()
        g.wait_text(r"^guest: init", 120)
        tern.append(time.monotonic() - start)
        g.remove()
    return median(alone), median(tern)


def parking(lab, vcpus=4, times=32):
    """Milliseconds that the host itself measured: (median, longest) over pauses of a guest whose
    vCPUs all write."""
    g = Guest(lab, "park")
    g.create("a", mode="dirty", ws=32, rate=20, vcpus=vcpus)
    g.start()
    g.wait_ready()
    g.wait_beats(5)
    try:
        for _ in range(times):
            lab.run("a", "vm pause park")
            lab.run("a", "vm resume park")
        parks = lab.ask("a", "vm stats park")["parks"]
        return parks["median_ns"] / 1e6, parks["max_ns"] / 1e6
    finally:
        g.remove()


def total_exits(g):
    return sum(v["total_exits"] for v in g.info()["vcpus"])


def idle_exits(g):
    """Exits a second of a guest left alone for QUIET_S."""
    time.sleep(QUIET_S)         # the quiet itself is what is measured
    before, start = total_exits(g), time.monotonic()
    time.sleep(10)
    return (total_exits(g) - before) / (time.monotonic() - start)


class TickWatch(threading.Thread):
    """The longest pause of the guest's ticks as seen from outside: its second serial
    log is polled on both hosts.  Grain: one poll (some 10 ms)."""

    def __init__(self, lab, name):
        super().__init__(daemon=True)
        self.lab, self.name, self.end = lab, name, threading.Event()
        self.seen = []          # (time, ticks known anywhere)

    def run(self):
        count = 0
        while not self.end.is_set():
            for host in ("a", "b"):
                got = self.lab.cmd(host, f"vm log {self.name} --port 1 --since {count} --json")
                offset = 0 if got.status else json.loads(got.text)["offset"]
                if offset > count:
                    count = offset
                    self.seen.append((time.monotonic(), count))

    def gap_ms(self):
        self.end.set()
        self.join()
        return 1000 * max(b[0] - a[0] for a, b in zip(self.seen, self.seen[1:]))


def start_guest(lab, case, foreign):
    g = Guest(lab, "bench")
    if foreign:
        g.create("a", mode="foreign", initrd="/boot/foreign", extra=FOREIGN, hb=100, tick=10, vf=2,
                 **case)
    else:
        g.create("a", mode="dirty", check=2, **case)
    g.start()
    g.wait_ready()
    return g


def one_migration(g, foreign=False):
    """The figures of one migration to the other host."""
    g.wait_beats(30, 60)
    before = g.beats[-30:]
    info, mark = g.info(), len(g.beats) - 1
    watch = TickWatch(g.lab, g.name) if foreign else None
    if watch:
        watch.start()
    st = g.migrate(OTHER[g.host], timeout=300)
    g.poll()                    # the beats of the move itself are not those to wait for
    g.wait_beats(15, 60)
    gap = watch.gap_ms() if watch else max(b.gap_us for b in g.beats[mark:]) / 1e3
    during = [b for b in g.beats[mark:] if (b.t_us - g.beats[mark].t_us) * 1000 < st["total_ns"]]
    g.wait_passes(1, 300)
    g.verify()
    total = st["total_ns"] / 1e9
    return dict(total_ms=total * 1e3, blackout_ms=st["blackout"]["total_ns"] / 1e6,
                gap_ms=gap,
                sent_mib=st["bytes_sent"] / 2**20, mb_s=st["bytes_sent"] / 1e6 / total,
                deltas=st["delta_pages"], delta_mib=st["delta_bytes"] / 2**20,
                saved_mib=st["saved_bytes"] / 2**20, kept_mib=st["base_pages"] / 256,
                predicted_ms=st["blackout"]["predicted_ns"] / 1e6,
                rounds=st["rounds"], pages=st["pages_sent"], zero=st["zero_sent"],
                copied_per_byte=st["copied_bytes"] / max(1, st["bytes_sent"]),
                of_memory=st["bytes_sent"] / info["mem_bytes"],
                nonzero_bytes=(info["backed_pages"] - st["zero_sent"]) * 4096,
                rate_before=g.rate_mib(before),
                rate_during=g.rate_mib(during) if len(during) > 2 else None,
                pages_per_round=[r["pages"] for r in st["round"]],
                deltas_per_round=[r["delta_pages"] for r in st["round"]],
                ms_per_round=[r["ns"] / 1e6 for r in st["round"]])


def fresh_destination(lab, files, smp, prealloc):
    """Host b started again.  Frames that have held guest code are slow to write in an
    emulator that translates (it drops its translations one by one): a property of the
    emulator, so each migration goes to a host that has run nothing yet.
    Its memory's first touch costs too: with PREALLOC it is there before, as on a machine."""
    lab.kill("b")
    lab.up(["b"], files=files, smp=smp, mem=HOST_MIB, prealloc=prealloc)


def case_figures(lab, name, args, files):
    done = []
    for k in range(args.runs):
        fresh_destination(lab, files, args.smp, args.prealloc or name == "stream")
        foreign = args.guest if name in bench_rival.CASES else None
        g = start_guest(lab, CASES[name], foreign)
        try:
            net = net_bench(lab) if name == "stream" else None
            done.append(one_migration(g, foreign))
            if net:
                done[-1]["of_net"] = done[-1]["mb_s"] / net
        finally:
            g.remove()
        say(f"{name} {k + 1}/{args.runs}: " + " ".join(
            f"{key}={value:.1f}" for key, value in done[-1].items()
            if isinstance(value, (int, float))))
    return done


def idle_figures(lab):
    """A guest that only waits at its shell."""
    g = Guest(lab, "quiet")
    g.create("a", mode="shell")
    g.start()
    g.wait_ready()
    try:
        say(f"idle: {QUIET_S} s of quiet")
        exits = idle_exits(g)
        backed = g.info()["backed_pages"]
        st = g.migrate("b")
        nonzero = (backed - st["zero_sent"]) * 4096
        return dict(exits_per_s=exits, sent=st["bytes_sent"], nonzero=nonzero,
                    total_ms=st["total_ns"] / 1e6)
    finally:
        g.remove()


def ratios(fig):
    """What the targets are about."""
    out = {}
    if "stream" in fig:
        out["stream_of_net"] = median([r["of_net"] for r in fig["stream"]])
    if "quiet" in fig:
        out["idle_sent"] = fig["quiet"]["sent"] / fig["quiet"]["nonzero"]
        out["idle_exits_per_s"] = fig["quiet"]["exits_per_s"]
    if "park" in fig:
        out["park_ms"] = fig["park"][0]
    if "boot" in fig:
        out["boot"] = fig["boot"][1] / fig["boot"][0]
    for case in ("d20", "d100"):
        kept = [r["rate_during"] / r["rate_before"] for r in fig.get(case, []) if r["rate_during"]]
        if kept:
            out[f"{case}_rate_kept"] = median(kept)
    for part in (bench_net, *OWN_HOSTS.values()):
        out |= part.ratios(fig, median)
    return out


def table(fig, got):
    """Prints the figures and returns how many missed."""
    missed = 0
    print(f"{'case':6} {'total ms':>9} {'blackout':>9} {'gap ms':>7} {'MiB':>7} {'MB/s':>6} "
          f"{'rounds':>6} {'MiB/s before -> during':>23} {'copies/B':>8} "
          f"{'deltas':>7} {'saved MiB':>9} {'kept MiB':>8}")
    for case in CASES:
        runs = fig.get(case)
        if not runs:
            continue
        med = {k: median([r[k] for r in runs if r[k] is not None]) for k in runs[0]
               if not k.endswith("_per_round")}
        print(f"{case:6} {med['total_ms']:9.0f} {med['blackout_ms']:9.0f} {med['gap_ms']:7.0f} "
              f"{med['sent_mib']:7.1f} {med['mb_s']:6.1f} {med['rounds']:6.0f} "
              f"{med['rate_before']:10.1f} -> {med['rate_during'] or 0:9.1f} "
              f"{med['copied_per_byte']:8.2f} {med['deltas']:7.0f} {med['saved_mib']:9.1f} "
              f"{med['kept_mib']:8.1f}")
        rival = fig.get("rival", {}).get(case)
        if rival:
            for key, mine in (("total", "total_ms"), ("gap", "gap_ms"), ("sent", "sent_mib")):
                got[f"{case}_{key}_of_rival"] = med[mine] / rival[key]
                what, target = bench_rival.FIGURES[key]
                TARGETS[f"{case}_{key}_of_rival"] = (f"{case}: {what}", target, False)
    bench_net.table(fig, median)
    for part in OWN_HOSTS.values():
        part.table(fig, median)
    if "net" in fig:
        print(f"net bench: {fig['net']:.1f} MB/s")
    for name, value in got.items():
        what, target, more = TARGETS[name]
        good = value >= target if more else value <= target
        missed += not good
        print(f"{what:45} {value:9.2f}   target {'>=' if more else '<='} {target:g}   "
              f"{'ok' if good else 'MISSED'}")
    return missed


def boot_files(lab, foreign):
    """The directory that appears as /boot/; with the foreign initrd in it, if any."""
    if not foreign:
        return GUEST
    place = f"{lab.dir}/boot"
    os.makedirs(place)
    for name in ("vmlinuz", "initrd"):
        os.symlink(f"{GUEST}/{name}", f"{place}/{name}")
    shutil.copyfile(foreign, f"{place}/foreign")
    return place


def two_hosts(args, fig):
    lab = Lab("bench")
    lab.remove()
    try:
        files = boot_files(lab, args.guest)
        lab.up(["a", "b"], files=files, smp=args.smp, mtu=args.mtu, max_time=3600,
               prealloc=args.prealloc, mem=HOST_MIB,
               clients=[bench_net.CLIENT] if set(NET_CASES) & set(args.cases) else [])
        if "net" in args.cases:
            fig["net"] = median([net_bench(lab) for _ in range(args.runs)])
            say(f"net bench: {fig['net']:.1f} MB/s")
        if "boot" in args.cases:
            fig["boot"] = boot(lab, args.runs)
            say(f"boot: directly {fig['boot'][0]:.2f} s, under Tern {fig['boot'][1]:.2f} s")
        if "park" in args.cases:
            fig["park"] = parking(lab)
            say(f"park: median {fig['park'][0]:.2f} ms, longest {fig['park'][1]:.2f} ms")
        if "idle" in args.cases:
            fig["quiet"] = idle_figures(lab)
        for case in CASES:
            if case in args.cases:
                fig[case] = case_figures(lab, case, args, files)
        if "guestnet" in args.cases:
            fig["guestnet"] = bench_net.guestnet(lab, args.runs, args.smp, HOST_MIB, idle_exits)
        if "hole" in args.cases:
            fig["hole"] = bench_net.holes(lab)
        fig["stats"] = {h: lab.ask(h, "stats") for h in ("a", "b")}
    finally:
        lab.down()


def measure(args):
    fig = {}
    if set(args.cases) - set(OWN_HOSTS):
        two_hosts(args, fig)
    for name, part in OWN_HOSTS.items():
        if name in args.cases:
            fig[name] = part.figures(args.runs, args.smp, HOST_MIB, say, args.disk_kernel)
    if args.rival:
        fig["rival"] = bench_rival.figures(args.rival, args.runs, say)
    return fig


def main():
    ap = argparse.ArgumentParser(prog="bench", description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    every = ["net", "boot", "park", *OWN_HOSTS, *CASES,
             *(NET_CASES if net.wrapper()[0] == "tap" else ())]
    ap.add_argument("cases", nargs="*", help=f"of: {' '.join(every)} (all)")
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("--smp", type=int, default=2)
    ap.add_argument("--mtu", type=int, default=9000)
    ap.add_argument("--rival", metavar="PROGRAM", help="another hypervisor's benchmark, which "
                    "takes `--runs N CASE...` and prints `CASE total=... gap=... sent=...` lines")
    ap.add_argument("--guest", metavar="INITRD", help="the writing guest of that benchmark, for "
                    "d20 and d100 here too (prints `H` lines, takes ws= rate= hb= tick= vf=)")
    ap.add_argument("--prealloc", action="store_true", help="the hosts' memory is taken by the "
                    "emulator before they start, in every case; so with --rival, whose hosts "
                    "run case after case in memory that the first has touched")
    ap.add_argument("--disk-kernel", metavar="DEB", help="of disk and copy: a linux-image package "
                    "with a driver for AHCI, which the cloud kernel has not, to measure "
                    "that too")
    ap.add_argument("--strict", action="store_true", help="fail when a target is missed")
    args = ap.parse_args()
    args.cases = args.cases or every
    args.prealloc |= bool(args.rival)
    try:
        fig = measure(args)
    except LabError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    got = ratios(fig)
    missed = table(fig, got)
    os.makedirs(BUILD, exist_ok=True)
    with open(f"{BUILD}/bench.json", "w", encoding="utf-8") as f:
        json.dump({"when": time.strftime("%F %T"), "figures": fig, "ratios": got}, f, indent=1)
    return 1 if missed and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
