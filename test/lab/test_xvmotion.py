# SPDX-License-Identifier: BSD-2-Clause
"""X-vMotion: a guest and its disk go to a host that shares nothing but the network."""
import os

import pytest

from lablib.client import Lab
from test_guest_disk import MIB, TIMES, mounted, pattern, terndisk
from test_svmotion import DISK_MIB, Writer

pytestmark = pytest.mark.xvmotion

NAMES = {"a": "here", "b": "there"}


def files(lab, host):
    return {f["name"] for f in lab.ask(host, f"datastore ls /ds/{NAMES[host]}")}


@pytest.fixture
def lab(payload, tmp_path):
    """Hosts a and b, each with a datastore of its own; the images are lab.images/a and b."""
    lab = Lab(f"xvmotion-{os.getpid()}")
    lab.remove()
    lab.images = tmp_path
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(DISK_MIB * MIB))
    for host, name in NAMES.items():
        terndisk("mkfs", tmp_path / host, "--size", "24M", "--name", name, *TIMES)
    terndisk("import", tmp_path / "a", zeros, "g/root.disk", "--kind", "thin")
    for host in NAMES:
        lab.up([host], files=payload, disks=[str(tmp_path / host)])
        mounted(lab, host)
    yield lab
    lab.down()


def test_there_and_back(lab):
    guest = Writer(lab, "g").boot(["/ds/here/g/root.disk"]).write()
    for target in ("b", "a", "b"):
        s = guest.migrate(target, "--disks", NAMES[target])
        assert s["phase"] == "done" and s["disk"]["copied_bytes"] > 0
        other = "a" if target == "b" else "b"
        assert files(lab, target) == {"g/root.disk"} and files(lab, other) == set()
        guest.rounds(1)
    seed = guest.stop()
    lab.run("b", "vm stop g")
    lab.run("b", "datastore umount there")
    out = lab.images / "out"
    terndisk("export", lab.images / "b", "g/root.disk", out)
    assert out.read_bytes() == pattern(seed, 0, DISK_MIB * MIB // 512)
