# SPDX-License-Identifier: BSD-2-Clause
"""VMs whose disks are on a datastore that both hosts have: the disk stays, its lease goes along.

A guest writes its whole disk again and again, reading each pass back, while it moves. Faults come
at the source's holds: `ready` and `lease` are before the lease is given, `go` is after it.
"""
import os
import re
import struct
import time

import pytest

from lablib.client import Lab
from lablib.guest import OVER
from lablib.paths import BUILD
from test_guest_disk import MIB, SECTOR, Disked, mounted, pattern, refused, terndisk

pytestmark = pytest.mark.storage

# Short, and long enough for the heartbeats of a loaded machine.
TIMES = ["--beat", "500", "--lease", "4000", "--io-timeout", "500"]
DISK_MIB = 2
OTHER = {"a": "b", "b": "a"}
DISKS = ["/ds/ds1/g/root.disk", "/ds/ds1/g/second.disk", "/ds/ds1/g/ro.disk,ro"]
LONG = "TERN_DISK_FAULTS" in os.environ


class Lair:
    """A lab of two hosts with one image, and a guest on it that works on its disk."""

    def __init__(self, lab, payload, folder):
        self.lab, self.payload, self.guest = lab, payload, None
        self.image, self.seed = folder / "ds.img", 0
        whole = folder / "whole"
        whole.write_bytes(bytes(MIB))
        self.disks = [f"{self.image},shared", f"{whole},shared"]
        zeros = folder / "zeros"
        zeros.write_bytes(bytes(DISK_MIB * MIB))
        terndisk("mkfs", self.image, "--size", "24M", "--name", "ds1", *TIMES)
        terndisk("import", self.image, zeros, "g/root.disk", "--kind", "thin")
        terndisk("import", self.image, zeros, "g/second.disk", "--kind", "flat")
        ro = folder / "ro"
        ro.write_bytes(pattern(9, 0, MIB // SECTOR))
        terndisk("import", self.image, ro, "g/ro.disk", "--kind", "thin")
        lab.up(["a", "b"], files=payload, disks=self.disks)
        self.ready()

    def ready(self):
        for host in "ab":
            mounted(self.lab, host)

    def works(self):
        """The guest, at work; made if there is none."""
        alive = [h["name"] for h in self.lab.status()["hosts"] if h["alive"]]
        if len(alive) < 2:
            self.lab.up([h for h in "ab" if h not in alive], files=self.payload, disks=self.disks)
            self.ready()
        for host in "ab":
            self.lab.link(host, "clear")
        if not self.guest or self.running() != [self.guest.host]:
            if self.guest:
                self.guest.remove()
            self.guest = Disked(self.lab, "g")
            self.guest.boot(DISKS)
            self.seed += 100
            self.guest.tell(f"/init disk /dev/vda loop {self.seed} &", r"^disk: loop")
        self.passes(1)
        return self.guest

    def passes(self, more):
        """More passes over the disk, none of them wrong; the one under way does not count."""
        g = self.guest
        done = g.text.count("disk: loop") + more + 1
        g.wait(lambda: g.text.count("disk: loop") >= done or re.search(r"disk: E\w+", g.text),
               60, "passes over the disk")
        lines = re.findall(r"^disk: .*\r?\n", g.text, re.M)
        assert all("wrong=0 errors=0" in line for line in lines), lines[-3:]

    def lease(self, host, disk="root"):
        entry, = self.lab.ask(host, f"datastore ls /ds/ds1/g/{disk}.disk")
        return entry

    def alive(self):
        return [h["name"] for h in self.lab.status()["hosts"] if h["alive"]]

    def running(self):
        return self.guest.running(self.alive())

    def runs_on(self, host):
        """There alone, with the lease, and what it has written is right."""
        self.guest.host = host
        assert self.running() == [host]
        assert self.lease(host)["lease"] == "here"
        self.passes(2)

    def hold(self, phase):
        g, to = self.guest, OTHER[self.guest.host]
        job = g.migrate_start(to, "--hold", phase)
        st = g.migrate_wait(job, until=(phase,), timeout=60)
        assert st["held"] and st["phase"] == phase
        return job, g.host, to

    def until(self, what, limit_s=60):
        end = time.monotonic() + limit_s * self.lab.patience
        while not (got := what()):
            assert len(self.running()) <= 1
            assert time.monotonic() < end, what.__doc__ or what
            time.sleep(0.3)
        return got

    def ends(self, job, host):
        self.until(lambda: self.guest.migrate_status(job, host)["phase"] in OVER)
        return self.guest.migrate_status(job, host)


@pytest.fixture(scope="module")
def lair(payload, tmp_path_factory):
    lab = Lab(f"dmove-{os.getpid()}")
    lab.remove()
    yield Lair(lab, payload, tmp_path_factory.mktemp("dmove"))
    lab.down()


def test_to_and_fro(lair):
    """The lease goes along each time, and the disk is never wrong."""
    g = lair.works()
    before = [lair.lease("a", disk)["generation"] for disk in ("root", "second", "ro")]
    moves = int(os.environ.get("TERN_DISK_MOVES", "3"))
    for _ in range(moves):
        to = OTHER[g.host]
        st = g.migrate(to, timeout=120)
        assert lair.lease(to)["lease"] == "here"
        held = lair.lease(OTHER[to])
        assert (held["lease"], held["holder"]) == ("held", to)
        lair.passes(1)
    # Given and accepted, each time; what is only read has no lease.
    assert [lair.lease(g.host, disk)["generation"] for disk in ("root", "second", "ro")] == \
        [before[0] + 2 * moves, before[1] + 2 * moves, before[2]]
    lair.runs_on(g.host)
    assert [d["open"] for d in lair.lab.ask(g.host, "vm info g")["disks"]] == [True] * 3
    assert g.disk("vdb", "fill", 5)[0][1:] == [0, 0]
    assert g.disk("vdc", "check", 9)[0][1:] == [0, 0]


def test_destination_without_the_datastore(lair):
    g = lair.works()
    source, to = g.host, OTHER[g.host]
    lair.lab.run(to, "datastore umount ds1")
    st = lair.ends(g.migrate_start(to), source)
    assert st["phase"] == "failed" and st["error_code"] == "disk", st
    assert "/ds/ds1/g/root.disk" in st["error"] and "not mounted at the destination" in st["error"]
    lair.lab.run(to, "datastore mount disk0")
    lair.runs_on(source)


def test_whole_disks_stay(lair):
    lab, host = lair.lab, lair.works().host
    lab.run(host, "vm create w --kernel /boot/vmlinuz --initrd /boot/initrd --disk disk1")
    lab.run(host, "vm start w")
    st = lair.ends(lab.ask(host, f"migrate w {lab.addr(OTHER[host])}")["id"], host)
    assert (st["phase"], st["error_code"]) == ("failed", "unsupported"), st
    assert "disk1 is a whole disk" in st["error"]
    lab.run(host, "vm stop w")
    lab.run(host, "vm delete w")


def test_cancel_when_the_lease_is_given(lair):
    """It is taken back, and the next move succeeds."""
    lair.works()
    job, source, to = lair.hold("go")
    assert lair.lease(source)["lease"] == "held"
    lair.lab.run(source, f"migrate cancel {job}")
    assert lair.ends(job, source)["phase"] == "canceled"
    lair.runs_on(source)
    lair.until(lambda: not lair.guest.exists(to))
    lair.guest.migrate(to, timeout=120)
    lair.runs_on(to)


def test_source_killed_when_the_lease_is_given(lair):
    """The destination has all of it: it accepts the lease and goes on, without anybody's word."""
    lair.works()
    _, source, to = lair.hold("go")
    lair.lab.kill(source)
    lair.guest.host = to
    lair.until(lambda: lair.running() == [to])
    lair.runs_on(to)


@pytest.mark.skipif(not LONG, reason="in the soak")
@pytest.mark.parametrize("phase", ["ready", "lease"])
def test_source_killed_with_the_lease(lair, phase):
    """What the destination holds is given up when the lease's time is over; then it starts anew."""
    lair.works()
    _, source, to = lair.hold(phase)
    lair.lab.kill(source)
    lair.until(lambda: not lair.guest.exists(to))
    job = [t for t in lair.lab.ask(to, "tasks") if t["direction"] == "in"][-1]
    assert (job["phase"], job["error_code"]) == ("failed", "discarded"), job
    assert lair.lease(to)["lease"] in ("dead", "held")
    lair.guest.create(to, mode="shell", options=" ".join(f"--disk {d}" for d in DISKS))
    lair.until(lambda: not lair.lab.cmd(to, "vm start g").status)
    assert lair.lease(to)["lease"] == "here"
    lair.lab.run(to, "vm stop g")
    lair.lab.run(to, "vm delete g")


@pytest.mark.skipif(not LONG, reason="in the soak")
def test_link_cut_after_go(lair):
    """Neither host can ask the other: the lease says which of them has it, and one has."""
    lair.works()
    job, source, to = lair.hold("go")
    lair.lab.link(to, "down")
    lair.lab.run(source, f"migrate continue {job}")
    lair.until(lambda: len(lair.running()) == 1)
    where, = lair.running()
    lair.until(lambda: not lair.guest.exists(OTHER[where]))
    lair.runs_on(where)
    lair.lab.link(to, "up")
    assert refused(lair.lab, where, "migrate resolve g here")[0] == "not-found"


@pytest.mark.skipif(not LONG, reason="in the soak")
def test_destination_killed_when_the_lease_is_given(lair):
    lair.works()
    job, source, to = lair.hold("go")
    lair.lab.kill(to)
    st = lair.ends(job, source)
    assert st["phase"] == "failed" and st["error_code"], st
    lair.runs_on(source)


def test_the_disk_is_whole(lair, tmp_path):
    """After all that: nothing of the metadata is wrong, and each sector is of one of two passes."""
    lair.lab.down()
    assert "0 found" in terndisk("check", lair.image)
    terndisk("export", lair.image, "g/root.disk", tmp_path / "out")
    data = (tmp_path / "out").read_bytes()
    words = [struct.unpack_from("<Q", data, at) + struct.unpack_from("<Q", data, at + SECTOR - 8)
             for at in range(0, len(data), SECTOR)]
    assert all(first == last for first, last in words)
    assert [first & 0xffffffff for first, _ in words] == list(range(len(words)))
    assert max(f >> 32 for f, _ in words) - min(f >> 32 for f, _ in words) <= 1
