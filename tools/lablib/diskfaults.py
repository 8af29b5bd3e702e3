# SPDX-License-Identifier: BSD-2-Clause
"""Faults that come while a guest's disks move (diskrig.py): one move, held in a phase.

    outcome(rig, "x", "copy", "cut")     -> what became of it, in words

FAULTS has for each fault what it does when the move is held, and what ends it.
"""
import subprocess
import sys
import time

from . import moves
from .diskdata import slot_sectors, terndisk
from .diskfault import broken, mended
from .diskrig import MOVES, SHARED, disk_of
from .guest import OVER
from .image import address
from .net import LAB_SIDE
from .paths import TOP

PORT = 8902
LATE_S = 3
OPTIONS = {"rounds": ["--cbt"], "verify": ["--verify"]}
PHASES = {"sv": ["copy", "rounds", "verify", "switch"],
          "x": ["copy", "precopy", "stun", "transfer", "ready", "go"],
          "mix": ["ready", "lease", "go"],
          "v": ["precopy", "stun", "transfer", "ready", "lease", "go"]}
# How a move ends that the hosts settle by themselves while their link is whole.
SETTLED = tuple(p for p in OVER if p != "in-doubt")


class Move:
    """One move of RIG's guest, held in PHASE."""

    def __init__(self, rig, kind, phase, to=None):
        self.rig, self.kind, self.phase = rig, kind, phase
        self.target, self.over = rig.target(kind), OVER
        self.source, self.dest = rig.hosts(kind)
        self.own = rig.store        # the datastore of the disks that go, before
        self.job = rig.start(kind, "--hold", phase, *OPTIONS.get(phase, []), to=to)
        st = rig.guest.migrate_wait(self.job, until=(phase,), timeout=60)
        assert st["held"] and st["phase"] == phase, st
        if kind == "x" and phase != "copy":     # what is sent may be under way
            rig.until(lambda: rig.is_backed(self.target, "g/kept.disk"), "the copy there")
        if phase == "ready":        # which it has said by then
            rig.until(self.is_ready, "READY of the destination")

    def is_ready(self):
        jobs = [t for t in self.rig.lab.ask(self.dest, "tasks") if t["direction"] == "in"]
        return jobs and jobs[-1]["phase"] == "ready"

    def go_on(self):
        """With the source dead, or given up by itself, there is nothing to continue."""
        self.rig.lab.cmd(self.source, f"migrate continue {self.job}")


def without_peer(m):
    """Leases settle it without the other host; else that is back once the job is in doubt."""
    m.over = OVER if MOVES[m.kind] == "own" else SETTLED


def cut(m):
    without_peer(m)
    m.rig.lab.link("b", "down")
    m.go_on()


def late(m):
    cut(m)
    time.sleep(LATE_S)
    m.rig.lab.link("b", "up")


def kill_source(m):
    m.rig.lab.kill(m.source)


def kill_target(m):
    without_peer(m)
    m.rig.lab.kill(m.dest)
    m.go_on()


def full(m):
    """Files, until what is free is less than the guest's disks take."""
    for n in range(64):
        got = m.rig.lab.cmd(m.dest, f"datastore cp /boot/initrd /ds/{m.target}/full{n}")
        if got.status:
            assert "space" in got.text, got.text
            break
    m.go_on()


def emptied(m):
    for name in m.rig.ls(m.target):
        if name.startswith("full"):
            m.rig.lab.run(m.dest, f"datastore rm /ds/{m.target}/{name}")


def bad_target(what):
    def begin(m):
        broken(m.rig.lab, m.dest, disk_of(m.dest, m.target), what)
        m.go_on()
    return begin


def good_target(m):
    mended(m.rig.lab, m.dest, disk_of(m.dest, m.target))
    store = m.rig.store_of_guest()
    if store != m.target and (store or not m.rig.guest) and m.rig.ls(m.target):
        m.rig.remount(m.dest, m.target)


def bad_source(m):
    broken(m.rig.lab, m.source, disk_of(m.source, m.own), "read", m.rig.sectors_of_kept())
    m.go_on()


def good_source(m):
    mended(m.rig.lab, m.source, disk_of(m.source, m.own))


def cancel(m):
    m.rig.lab.run(m.source, f"migrate cancel {m.job}")


def garbage(m):
    """What the disks' stream carries from now on is not what was sent."""
    m.rig.garbage.touch()
    m.go_on()


def lost(m, host, store, name):
    """HOST's heartbeat fails until it is dead to others, and one of them takes its file's lease."""
    m.over = SETTLED
    image = m.rig.folder / store
    broken(m.rig.lab, host, disk_of(host, store), "write", slot_sectors(image))
    try:
        terndisk("lease", image, name, "--take")
    except AssertionError as e:
        assert "no such file" in str(e)     # a write has failed: the move is over by then
    finally:
        mended(m.rig.lab, host, disk_of(host, store))
    m.go_on()


def source_lease(m):
    """The lease that decides whose the VM is, where there is one."""
    leased = MOVES[m.kind] != "own"
    lost(m, m.source, SHARED if leased else m.own, f"g/{'both' if leased else 'root'}.disk")


def target_lease(m):
    """Of the file that is made there; once one was given, of that."""
    given = MOVES[m.kind] == "shared" or (m.kind == "mix" and m.phase == "go")
    lost(m, m.dest, SHARED if given else m.target, f"g/{'both' if given else 'root'}.disk")


def nothing(_m):
    pass


def healed(m):
    m.rig.lab.link("b", "up")


FAULTS = {
    "cut": (cut, healed), "late": (late, nothing), "source killed": (kill_source, nothing),
    "target killed": (kill_target, nothing), "full": (full, emptied),
    "target write": (bad_target("write"), good_target),
    "target read": (bad_target("read"), good_target),
    "source read": (bad_source, good_source), "cancel": (cancel, nothing),
    "source lease": (source_lease, nothing), "target lease": (target_lease, nothing),
    "garbage": (garbage, nothing),
}


# In these another host has a part, for the models of the commit.
THIRD_HOST = {"source lease", "target lease"}

# Between two datastores of one host there is no link; on one that is shared nothing is copied.
FOREIGN = {"sv": {"cut", "late", "target killed", "garbage"}, "x": set(), "mix": set(),
           "v": {"full", "garbage", "target write", "target read", "source read"}}


def possible(kind, phase, fault):
    """Is there such a fault? A lease that was given is no longer the source's to lose."""
    given = phase == "go"
    if fault in FOREIGN[kind] or (fault == "source lease" and kind in ("mix", "v") and given):
        return False
    return fault != "target lease" or kind != "v" or given


def reaches_guest(phase, fault):
    """Faults of a disk that stays the guest's own, or becomes it."""
    return fault == "source lease" or (fault == "target read"
                                       and phase in ("ready", "lease", "go"))


class Proxy:
    """test/lab/proxy.py between the hosts: the second connection is the disks' stream."""

    def __init__(self, rig, dest):
        rig.garbage = rig.folder / "garbage"
        rig.garbage.unlink(missing_ok=True)
        self.proc = subprocess.Popen(rig.lab.exec_argv(
            [sys.executable, f"{TOP}/test/lab/proxy.py", address(LAB_SIDE, 0),
             rig.lab.addr(dest), str(PORT), "--garbage", f"1:{rig.garbage}"]),
            stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"

    def end(self):
        self.proc.kill()
        self.proc.wait()


def after(m, fault, heal):
    """How the job ended, and what the fault does is over."""
    how, rig = "died", m.rig
    if m.source in rig.alive():
        st = rig.ends(m.job, m.source, over=m.over)
        how = " ".join(dict.fromkeys(w for w in (st["phase"], st.get("error_code")) if w))
    failing = reaches_guest(m.phase, fault) and bool(rig.running())
    if failing:
        rig.fails()
    heal(m)
    return how, failing


def outcome(rig, kind, phase, fault, layout=None):
    """(how the job ended, where the VM is): "failed timeout", "source"."""
    rig.work(layout or MOVES[kind])
    begin, heal = FAULTS[fault]
    proxy = Proxy(rig, rig.hosts(kind)[1]) if fault == "garbage" else None
    try:
        m = Move(rig, kind, phase, to=address(LAB_SIDE, 0) if proxy else None)
        begin(m)
        how, failing = after(m, fault, heal)
        where = "target" if rig.check(m.target) == m.target else "source"
    finally:
        if proxy:
            proxy.end()
    if fault in THIRD_HOST:
        moves.with_third(rig.lab)
    if failing:
        where += ", its disk fails"
    elif not rig.guest:
        where += ", started anew"
    return how, where
