# SPDX-License-Identifier: BSD-2-Clause
"""Storage vMotion: a guest's disks change their datastore while it writes and reads them."""
import os
import re
import time

import pytest

from lablib.client import Lab
from test_guest_disk import MIB, TIMES, Disked, mounted, pattern, refused, terndisk

pytestmark = pytest.mark.svmotion

DISK_MIB = 6
OVER = ("done", "failed", "canceled")


class Writer(Disked):
    """Fills its disk again and again, each time with other contents, and reads them back."""

    LOOP = ("i=0; while [ ! -e /stop ]; do i=$((i+1)); /init disk /dev/vda discard 1 2 > /dev/null;"
            " echo round $i; /init disk /dev/vda fill $i; done; echo stopped at $i")

    def write(self):
        self.tell(f"'({self.LOOP}) &'", r"^disk: fill .*wrong=0 errors=0")
        return self

    def rounds(self, more, timeout=90):
        """So many more fills, all of them right."""
        self.poll()
        start = len(self.text)
        self.wait(lambda: len(re.findall(r"^disk: fill", self.text[start:], re.M)) >= more,
                  timeout, f"{more} fills of the disk")
        self.right()

    def right(self):
        self.poll()
        for wrong, errors in re.findall(r"^disk: fill .*wrong=(\d+) errors=(\d+)", self.text, re.M):
            assert (wrong, errors) == ("0", "0"), self.text[-2000:]

    def stop(self):
        """The seed that all sectors carry."""
        seed = re.search(r"stopped at (\d+)", self.tell("'touch /stop'", r"^stopped at \d+", 120))
        self.right()
        return int(seed[1])


def job(lab, number):
    return lab.ask("a", f"migrate status {number}")


def until(lab, number, ready, timeout=90):
    """The job's states until it is so; the percent never goes back."""
    end, last = time.monotonic() + timeout * lab.patience, 0
    while True:
        s = job(lab, number)
        assert s["percent"] >= last
        last = s["percent"]
        if ready(s):
            return s
        assert s["phase"] not in OVER, s
        assert time.monotonic() < end, s
        time.sleep(0.1)


def files(lab, ds):
    return {f["name"] for f in lab.ask("a", f"datastore ls /ds/{ds}")}


@pytest.fixture
def lab(payload, tmp_path):
    """Host a: datastores nv (NVMe), sata and tiny (AHCI), their images in lab.images."""
    lab = Lab(f"svmotion-{os.getpid()}")
    lab.remove()
    lab.images = tmp_path
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(DISK_MIB * MIB))
    for name, size in (("nv", 24), ("sata", 24), ("tiny", 8)):
        terndisk("mkfs", tmp_path / name, "--size", f"{size}M", "--name", name, *TIMES)
    terndisk("import", tmp_path / "nv", zeros, "g/root.disk", "--kind", "thin")
    lab.up(["a"], files=payload,
           disks=[f"{tmp_path}/nv", f"{tmp_path}/sata,ahci", f"{tmp_path}/tiny,ahci"])
    mounted(lab, "a")
    yield lab
    lab.down()


def test_there_and_back(lab):
    """By mirror and by changed blocks, under a writer that checks itself; canceled on the way."""
    guest = Writer(lab, "g").boot(["/ds/nv/g/root.disk"]).write()
    s = lab.ask("a", "svmotion g sata --bw 16")
    mid = until(lab, s["id"], lambda s: s["phase"] == "copy" and 10 < s["percent"] < 90)
    assert not mid["error"]
    lab.run("a", f"svmotion cancel {s['id']}")
    until(lab, s["id"], lambda s: s["phase"] == "canceled")
    assert (files(lab, "nv"), files(lab, "sata")) == ({"g/root.disk"}, set())
    guest.rounds(1)

    s = lab.ask("a", "svmotion g sata --bw 32 --wait", timeout=120)
    assert s["phase"] == "done" and s["blackout"]["total_ns"] > 0
    assert s["disk"]["mirrored_bytes"] > 0
    assert (files(lab, "nv"), files(lab, "sata")) == (set(), {"g/root.disk"})
    assert lab.ask("a", "vm info g")["disks"][0]["path"] == "/ds/sata/g/root.disk"
    guest.rounds(1)

    s = lab.ask("a", "svmotion g --disk 0=nv --cbt --flat --wait", timeout=120)
    assert s["phase"] == "done" and s["disk"]["copied_bytes"] >= DISK_MIB * MIB
    assert (files(lab, "nv"), files(lab, "sata")) == ({"g/root.disk"}, set())
    guest.rounds(1)
    seed = guest.stop()
    lab.run("a", "vm stop g")
    lab.run("a", "datastore umount nv")
    out = lab.images / "out"
    terndisk("export", lab.images / "nv", "g/root.disk", out)
    assert out.read_bytes() == pattern(seed, 0, DISK_MIB * MIB // 512)
