# SPDX-License-Identifier: BSD-2-Clause
"""fio judges a guest's disk while it moves: random writes with flushes, and trims followed by
writes, each read back and held against its checksum.

The guest boots once. While fio is at work its disk goes from NVMe to AHCI and back, by mirror and
by changed blocks, and then the guest goes with it to a host that shares nothing but the network,
and back, --verify each time. After each run the guest's own sum of its disk is that of what
terndisk exports from the datastore that it is on then.

    TERN_FIO_SVMOTIONS=20 TERN_FIO_XVMOTIONS=10 /usr/bin/python3 -m pytest -s test/lab/test_fio.py

makes so many moves, two in each run of fio, and prints their figures (`make soak`).
"""
import hashlib
import os
import re
import subprocess
import time

import pytest

from lablib.client import Lab
from lablib.judges import Judge
from lablib.paths import BUILD, TOP
from test_guest_disk import MIB, TIMES, Disked, mounted, terndisk
from test_svmotion import OVER, until

DISK_MIB = 32
LIMIT_S = 300   # for a move
FILES = f"{BUILD}/fio"
IMAGES = {"a": {"nv": "", "sata": ",ahci"}, "b": {"there": ""}}
FIO = ("fio --filename=/dev/vda --direct=1 --ioengine=libaio --time_based --runtime=7200 "
       "--verify=crc32c --verify_fatal=1 --verify_backlog=32 --group_reporting "
       "--name=writes --size=24M --rw=randwrite --bsrange=4k-64k --iodepth=8 --fsync=16 "
       "--name=trims --offset=24M --size=8M --rw=randtrimwrite --bs=64k --iodepth=4 --fsync=16")
SVMOTIONS = int(os.environ.get("TERN_FIO_SVMOTIONS", "2"))
XVMOTIONS = int(os.environ.get("TERN_FIO_XVMOTIONS", "1"))


class Fio(Disked):
    """A guest with fio on its one disk, which is on datastore `ds`."""

    ds = "nv"
    old_emulator = True

    def work(self, more=20):
        """fio, at work: so many flushes."""
        self.fio = Judge(self.lab, self.name, FIO.split())
        return self.flushes(more)

    def flushes(self, more):
        def count():
            self.fio.poll()
            assert self.fio.verdict is None, "\n".join(self.fio.lines)
            return self.lab.ask(self.host, f"vm stats {self.name}")["disks"][0]["flush"]["count"]

        goal = count() + more
        self.wait(lambda: count() >= goal, 60, f"{more} more flushes")

    def rest(self):
        """fio ends by our signal without an error; writes and trims that it made."""
        self.tell("kill -INT \\$(pidof fio)", r"kill -INT")
        status, said = self.fio.wait(60)
        text = "\n".join(said)
        assert status == 128 and " err= 0: " in text and "verify:" not in text, text
        issued = re.search(r"issued rwts: total=(\d+),(\d+),(\d+),", text)
        return [int(n) for n in issued.groups()]

    def sum(self):
        """What its disk holds, by its own reading."""
        said = self.tell("dd if=/dev/vda bs=1M iflag=direct 2>/dev/null | busybox sha256sum",
                         r"^[0-9a-f]{64}  -")
        return said.split()[0]

    def whole(self):
        """The file in its datastore is what the guest reads."""
        out = self.lab.images / "out"
        terndisk("export", self.lab.images / self.ds, "g/root.disk", out)
        assert hashlib.sha256(out.read_bytes()).hexdigest() == self.sum()

    def store(self, ds, *options):
        """A Storage vMotion, which compares all that it copies."""
        job = self.lab.ask("a", f"svmotion g --disk 0={ds} --verify {' '.join(options)}")["id"]
        s = until(self.lab, job, lambda s: s["phase"] in OVER, LIMIT_S)
        self.ds = ds
        assert self.compared(s) >= DISK_MIB << 9

    def go(self, host, ds):
        """An X-vMotion, the same way."""
        s = self.migrate(host, "--disks", ds, "--verify", "--budget", "1000", timeout=LIMIT_S)
        self.ds = ds
        assert self.compared(s) >= DISK_MIB << 9
        if XVMOTIONS > 1 and self.old_emulator:
            # It would drop what it has translated of the guest, page by page.
            self.old_emulator = False
            self.lab.kill("a")
            start(self.lab, "a")

    def compared(self, s):
        """It is done; KiB that were compared."""
        d = s["disk"]
        kib = {what: d[f"{what}_bytes"] >> 10
               for what in ("copied", "mirrored", "compared", "uncompared")}
        print(f"{self.ds}: {s['total_ns'] / 1e9:.1f} s, blackout "
              f"{s['blackout']['total_ns'] / 1e6:.0f} ms, KiB {kib}", flush=True)
        assert s["phase"] == "done" and kib["mirrored"], s
        return kib["compared"]


def start(lab, host):
    lab.up([host], files=FILES,
           disks=[f"{lab.images}/{name}{kind}" for name, kind in IMAGES[host].items()])
    mounted(lab, host)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Host a with two datastores, on NVMe and AHCI, b with one; lab.guest on a."""
    subprocess.run([f"{TOP}/tools/guest", "--judges", "fio", "--out", FILES], check=True)
    lab = Lab(f"fio-{os.getpid()}")
    lab.remove()
    lab.images = tmp = tmp_path_factory.mktemp("fio")
    (tmp / "zeros").write_bytes(bytes(DISK_MIB * MIB))
    for host, images in IMAGES.items():
        for name in images:
            terndisk("mkfs", tmp / name, "--size", "80M", "--name", name, *TIMES)
    terndisk("import", tmp / "nv", tmp / "zeros", "g/root.disk", "--kind", "thin")
    for host in IMAGES:
        start(lab, host)
    lab.guest = Fio(lab, "g")
    lab.guest.create("a", mode="shell", mem="512M", vcpus=2, options="--disk /ds/nv/g/root.disk")
    lab.guest.start()
    lab.guest.wait_text(r"guest# ", 180)
    yield lab
    lab.down()


def judged(lab, moves):
    """The moves, one after the other, under one run of fio."""
    g, begun = lab.guest, time.monotonic()
    g.work()
    for move in moves:
        move(g)
        g.flushes(5)
    reads, writes, trims = g.rest()
    assert reads and writes and trims
    g.whole()
    print(f"{time.monotonic() - begun:.1f} s: {writes} writes, {trims} trims, {reads} read back",
          flush=True)


def by_twos(lab, moves):
    for at in range(0, len(moves), 2):
        judged(lab, moves[at:at + 2])


@pytest.mark.svmotion
def test_storage_vmotion(lab):
    """From NVMe to AHCI and back, each time by the other way of copying."""
    by_twos(lab, [lambda g, n=n: g.store(("sata", "nv")[n % 2], ("", "--cbt")[(n + n // 2) % 2])
                  for n in range(SVMOTIONS)])


@pytest.mark.xvmotion
def test_x_vmotion(lab):
    by_twos(lab, [lambda g, n=n: g.go(*(("b", "there"), ("a", "nv"))[n % 2])
                  for n in range(XVMOTIONS)])
