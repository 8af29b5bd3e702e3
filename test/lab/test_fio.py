# SPDX-License-Identifier: BSD-2-Clause
"""fio judges a guest's disk while it moves: random writes with flushes, and trims followed by
writes, each read back and held against its checksum.

The guest boots once. While fio is at work its disk goes from NVMe to AHCI and back, by mirror and
by changed blocks, and then the guest goes with it to a host that shares nothing but the network,
and back. After each run the guest's own sum of its disk is that of what
terndisk exports from the datastore it is on then.

    TERN_FIO_SVMOTIONS=10 TERN_FIO_XVMOTIONS=10 /usr/bin/python3 -m pytest -s test/lab/test_fio.py

So often there and back, and figures are printed (`make soak`).
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

DISK_MIB = 32
FILES = f"{BUILD}/fio"
IMAGES = {"a": {"nv": "", "sata": ",ahci"}, "b": {"there": ""}}
FIO = ("fio --filename=/dev/vda --direct=1 --ioengine=libaio --time_based --runtime=7200 "
       "--verify=crc32c --verify_fatal=1 --verify_backlog=32 --group_reporting "
       "--name=writes --size=24M --rw=randwrite --bsrange=4k-64k --iodepth=8 --fsync=16 "
       "--name=trims --offset=24M --size=8M --rw=randtrimwrite --bs=64k --iodepth=4 --fsync=16")
SVMOTIONS = int(os.environ.get("TERN_FIO_SVMOTIONS", "1"))
XVMOTIONS = int(os.environ.get("TERN_FIO_XVMOTIONS", "1"))


class Fio(Disked):
    """A guest with fio on its one disk, which is on datastore `ds`."""

    ds = "nv"

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
        s = self.lab.ask("a", f"svmotion g --disk 0={ds} --verify --wait {' '.join(options)}",
                         timeout=120)
        self.ds = ds
        assert self.compared(s) >= DISK_MIB << 9

    def go(self, host, ds):
        """An X-vMotion."""
        s = self.migrate(host, "--disks", ds, "--budget", "1000", timeout=180)
        self.ds = ds
        self.compared(s)

    def compared(self, s):
        """It is done; KiB that were compared."""
        d = s["disk"]
        kib = {what: d[f"{what}_bytes"] >> 10
               for what in ("copied", "mirrored", "compared", "uncompared")}
        print(f"{self.ds}: {s['total_ns'] / 1e9:.1f} s, blackout "
              f"{s['blackout']['total_ns'] / 1e6:.0f} ms, KiB {kib}", flush=True)
        assert s["phase"] == "done" and kib["mirrored"], s
        return kib["compared"]


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
    for host, images in IMAGES.items():
        lab.up([host], files=FILES, disks=[f"{tmp}/{n}{kind}" for n, kind in images.items()])
        mounted(lab, host)
    lab.guest = Fio(lab, "g")
    lab.guest.create("a", mode="shell", mem="512M", vcpus=2, options="--disk /ds/nv/g/root.disk")
    lab.guest.start()
    lab.guest.wait_text(r"guest# ", 180)
    yield lab
    lab.down()


def judged(lab, moves):
    """The moves, one after the other, under one run of fio."""
    g, start = lab.guest, time.monotonic()
    g.work()
    for move in moves:
        move(g)
        g.flushes(5)
    reads, writes, trims = g.rest()
    assert reads and writes and trims
    g.whole()
    print(f"{time.monotonic() - start:.1f} s: {writes} writes, {trims} trims, {reads} read back",
          flush=True)


@pytest.mark.svmotion
@pytest.mark.parametrize("how", ["", "--cbt"])
def test_storage_vmotion(lab, how):
    for _ in range(SVMOTIONS):
        judged(lab, [lambda g: g.store("sata", how), lambda g: g.store("nv", how)])


@pytest.mark.xvmotion
def test_x_vmotion(lab):
    for _ in range(XVMOTIONS):
        judged(lab, [lambda g: g.go("b", "there"), lambda g: g.go("a", "nv")])
