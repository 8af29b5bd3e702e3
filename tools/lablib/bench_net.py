# SPDX-License-Identifier: BSD-2-Clause
"""A guest's network as a third machine sees it (bench.py's cases guestnet and hole).

    guestnet   TCP to and from a guest, round trips, exits for each; the same of a guest of
               Linux, KVM and QEMU in the same emulator (kvmhost.py), turn by turn
    hole       the longest silence for a datagram every 5 ms while the guest moves, beside the
               longest time between two ticks of the guest itself; MOVES of them
"""
import json
import shutil
import subprocess
import sys

from . import image
from .guest import Guest
from .kvmhost import KvmHost
from .paths import TOP, LabError

CLIENT = "c"
SECONDS = 4
MOVES, WARM_UP = 10, 2      # the first moves write frames that have held guest code
OTHER = {"a": "b", "b": "a"}
MAC, ADDR = "02:00:00:00:00:64", image.address(100)
LINUX_MAC, LINUX_ADDR = "02:00:00:00:00:65", image.address(101)
LOADS = ("to", "from", "rr")
UNIT = {"to": "mb_s", "from": "mb_s", "rr": "median_us"}
# ratio: (what, target, whether larger is better)
TARGETS = {
    "guestnet_to": ("guest network, MB/s to the guest / KVM's", 1.0, True),
    "guestnet_from": ("guest network, MB/s from the guest / KVM's", 1.0, True),
    "guestnet_rr": ("guest network, round trip / KVM's", 1.0, False),
    "guestnet_copies": ("guest network: bytes copied / bytes in and out", 1.0, False),
    "guestnet_idle": ("idle guest on a network: exits a second", 50, False),
    "hole_over_gap": ("move: longest silence - guest's gap, ms", 50, False),
}


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def _netload(lab, addr, *words):
    argv = [sys.executable, f"{TOP}/tools/lablib/netload.py", addr, *map(str, words)]
    return subprocess.Popen(lab.client_argv(CLIENT, argv), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def _answer(process, timeout):
    out, _ = process.communicate("stop\n", timeout=timeout)
    if process.returncode:
        raise LabError(f"netload failed: {out[-300:]}")
    return json.loads(out.splitlines()[-1])


def netted(lab, **params):
    g = Guest(lab, "netbench")
    g.create("a", options=f"--net net0,{MAC}", net=f"{ADDR}/24", **params)
    g.start()
    g.wait_ready()
    return g


# --- throughput and round trips ----------------------------------------------------


def _one_load(lab, addr, load, exits):
    """The load's own figures; exits a second, and a KiB or a round trip."""
    before = exits()
    got = _answer(_netload(lab, addr, load, SECONDS), 120)
    got["exits"] = exits() - before
    got["exits_per"] = got["exits"] / (got["count"] if load == "rr" else got["bytes"] / 1024)
    return got


def _turns(lab, runs, sides):
    fig = {name: {load: [] for load in LOADS} for name in sides}
    for k in range(runs):
        for load in LOADS:
            for name, (addr, exits) in sides.items():
                got = _one_load(lab, addr, load, exits)
                fig[name][load].append(got)
                say(f"guestnet {k + 1}/{runs} {name} {load}: {got[UNIT[load]]:.1f} {UNIT[load]}, "
                    f"{got['exits_per']:.2f} exits each")
    return fig


def _copies(lab):
    """Bytes that the switch copied for each that went in or out, over all loads."""
    port, = lab.ask("a", "net ports")
    return port["copied_bytes"] / (port["tx_bytes"] + port["rx_bytes"])


def guestnet(lab, runs, smp, mem, quiet):
    """QUIET(guest): exits a second of a guest that is left alone."""
    g = netted(lab, mode="shell")
    linux = KvmHost(lab, f"{lab.dir}/linux")
    try:
        say("guestnet: a guest on a network, left alone")
        idle = quiet(g)
        say("guestnet: the Linux host")
        linux.up(f"{LINUX_ADDR}/24", LINUX_MAC, "quiet console=ttyS0 tern.mode=shell", smp, mem)
        fig = _turns(lab, runs, {
            "tern": (ADDR, lambda: sum(v["total_exits"] for v in g.info()["vcpus"])),
            "kvm": (LINUX_ADDR, linux.exits)})
        copies = _copies(lab)
    finally:
        linux.down()
        shutil.rmtree(linux.dir, ignore_errors=True)
        g.remove()
    return {"idle_exits_per_s": idle, "copies": copies, **fig}


# --- the hole ------------------------------------------------------------------------


def _one_move(lab, g):
    g.poll()
    g.wait_beats(5)
    mark = len(g.beats)
    probe = _netload(lab, ADDR, "probe")
    try:
        if probe.stdout.readline() != "probing\n":
            raise LabError("netload: no answer to the first probes")
        st = g.migrate(OTHER[g.host], timeout=300)
        g.poll()
        g.wait_beats(10)
        got = _answer(probe, 60)
    finally:
        probe.kill()
    return dict(hole_ms=got["hole_ms"], gap_ms=max(b.gap_us for b in g.beats[mark:]) / 1e3,
                blackout_ms=st["blackout"]["total_ns"] / 1e6,
                unanswered=got["sent"] - got["answers"])


def holes(lab):
    g = netted(lab, mode="dirty", ws=16, rate=0)
    try:
        for _ in range(WARM_UP):
            g.migrate(OTHER[g.host], timeout=300)
        done = []
        for k in range(MOVES):
            done.append(_one_move(lab, g))
            say(f"hole {k + 1}/{MOVES}: " + " ".join(f"{n}={v:.1f}" for n, v in done[-1].items()))
        g.verify()
        return done
    finally:
        g.remove()


# --- what bench.py asks for ----------------------------------------------------------


def ratios(fig, median):
    out = {}
    if "guestnet" in fig:
        f = fig["guestnet"]
        out["guestnet_idle"] = f["idle_exits_per_s"]
        out["guestnet_copies"] = round(f["copies"], 2)
        for load in LOADS:
            mine, other = (median([r[UNIT[load]] for r in f[who][load]]) for who in ("tern", "kvm"))
            out[f"guestnet_{load}"] = mine / other
    if "hole" in fig:
        out["hole_over_gap"] = median([r["hole_ms"] - r["gap_ms"] for r in fig["hole"]])
    return out


def table(fig, median):
    if "guestnet" in fig:
        print(f"{'guest network':14} {'to MB/s':>9} {'from MB/s':>9} {'trip us':>9} "
              f"{'exits/KiB to':>12} {'from':>7} {'exits/trip':>10}")
        for who in ("tern", "kvm"):
            f = fig["guestnet"][who]
            med = [median([r[UNIT[load]] for r in f[load]]) for load in LOADS]
            per = [median([r["exits_per"] for r in f[load]]) for load in LOADS]
            print(f"{who:14} {med[0]:9.1f} {med[1]:9.1f} {med[2]:9.0f} "
                  f"{per[0]:12.2f} {per[1]:7.2f} {per[2]:10.2f}")
    if "hole" in fig:
        med = {k: median([r[k] for r in fig["hole"]]) for k in fig["hole"][0]}
        print(f"hole: {med['hole_ms']:.0f} ms without an answer, {med['unanswered']:.0f} probes "
              f"lost, guest's gap {med['gap_ms']:.0f} ms, blackout {med['blackout_ms']:.0f} ms")
