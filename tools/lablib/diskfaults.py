# SPDX-License-Identifier: BSD-2-Clause
"""Faults that come while a guest's disks move (diskrig.py): one move, held in a phase.

    outcome(rig, "x", "copy", "cut")     -> what became of it, in words

FAULTS has for each fault what it does when the move is held, and what ends it.
"""
import subprocess
import sys
import time

from .diskfault import broken, mended
from .diskrig import STORES
from .image import address
from .net import LAB_SIDE
from .paths import TOP

PORT = 8902
LATE_S = 3
CBT = {"rounds"}
PHASES = {"sv": ["copy", "rounds", "switch"],
          "x": ["copy", "precopy", "stun", "transfer", "ready", "go"]}


class Move:
    """One move of RIG's guest, held in PHASE."""

    def __init__(self, rig, kind, phase, to=None):
        self.rig, self.kind, self.phase = rig, kind, phase
        self.target = rig.target(kind)
        self.source, self.dest = STORES[rig.store][0], STORES[self.target][0]
        options = ["--cbt"] if phase in CBT else []
        self.job = rig.start(kind, "--hold", phase, *options, to=to)
        st = rig.guest.migrate_wait(self.job, until=(phase,), timeout=60)
        assert st["held"] and st["phase"] == phase, st

    def go_on(self):
        """With the source dead, or given up by itself, there is nothing to continue."""
        self.rig.lab.cmd(self.source, f"migrate continue {self.job}")


def cut(m):
    m.rig.lab.link("b", "down")
    m.go_on()


def late(m):
    cut(m)
    time.sleep(LATE_S)
    m.rig.lab.link("b", "up")


def kill_source(m):
    m.rig.lab.kill(m.source)


def kill_target(m):
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
        broken(m.rig.lab, *STORES[m.target], what)
        m.go_on()
    return begin


def good_target(m):
    mended(m.rig.lab, *STORES[m.target])
    if m.rig.store_of_guest() != m.target and m.rig.ls(m.target):
        m.rig.remount(m.target)


def bad_source(m):
    m.source_disk = STORES[m.rig.store]
    broken(m.rig.lab, *m.source_disk, "read", m.rig.sectors_of_kept())
    m.go_on()


def good_source(m):
    mended(m.rig.lab, *m.source_disk)


def cancel(m):
    m.rig.lab.run(m.source, f"migrate cancel {m.job}")


def garbage(m):
    """What the disks' stream carries from now on is not what was sent."""
    m.rig.garbage.touch()
    m.go_on()


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
    "garbage": (garbage, nothing),
}


class Proxy:
    """test/lab/proxy.py between the hosts: the second connection is the disks' stream."""

    def __init__(self, rig, target):
        rig.garbage = rig.folder / "garbage"
        rig.garbage.unlink(missing_ok=True)
        self.proc = subprocess.Popen(rig.lab.exec_argv(
            [sys.executable, f"{TOP}/test/lab/proxy.py", address(LAB_SIDE, 0),
             rig.lab.addr(STORES[target][0]), str(PORT), "--garbage", f"1:{rig.garbage}"]),
            stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"

    def end(self):
        self.proc.kill()
        self.proc.wait()


def outcome(rig, kind, phase, fault):
    """(how the job ended, where the VM is): "failed timeout", "source"."""
    rig.work()
    begin, heal = FAULTS[fault]
    proxy = Proxy(rig, rig.target(kind)) if fault == "garbage" else None
    m = Move(rig, kind, phase, to=address(LAB_SIDE, 0) if proxy else None)
    before = rig.store
    try:
        begin(m)
        how = "died"
        if m.source in rig.alive():
            st = rig.ends(m.job, m.source)
            how = " ".join(dict.fromkeys(w for w in (st["phase"], st.get("error_code")) if w))
        heal(m)
        where = "source" if rig.check(m.target) == before else "target"
    finally:
        if proxy:
            proxy.end()
    if not rig.guest:
        where += ", started anew"
    return how, where
