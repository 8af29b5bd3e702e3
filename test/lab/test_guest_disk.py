# SPDX-License-Identifier: BSD-2-Clause
"""Guests' disks: a stock kernel's virtio-blk on files of a datastore, and what is then there."""
import os
import re
import subprocess
import time

import pytest

from lablib.client import Lab
from lablib.diskdata import MIB, SECTOR, pattern, terndisk
from lablib.guest import Guest
from test_disk import INJECT

pytestmark = pytest.mark.storage

# A loaded machine is given time for its heartbeats.
TIMES = ["--beat", "1000", "--lease", "6000", "--io-timeout", "500"]
ROOT_MIB = 6


class Disked(Guest):
    """A shell guest that is told what to do with its disks, one line at a time."""

    def boot(self, disks, vcpus=2, mem="256M", **files):
        self.create("a", mode="shell", vcpus=vcpus, mem=mem,
                    options=" ".join(f"--disk {d}" for d in disks), **files)
        self.start()
        self.wait_text(r"guest# ", 180)
        return self

    def tell(self, line, answer, timeout=120):
        """What it says to a line, the first that matches."""
        self.poll()
        start = len(self.text)
        self.lab.run(self.host, f"vm type {self.name} {line}")
        return self.wait_text(answer, timeout, start)

    def disk(self, device, *words):
        """Sectors, wrong ones, errors, of test/guest/disk.c; and the last error's name."""
        said = self.tell(f"/init disk /dev/{device} {' '.join(map(str, words))}",
                         rf"(?:^disk: E\w+\r?\n)?^disk: {words[0]} .*errors=\d+")
        numbers = [int(n) for n in re.findall(r"=(\d+)", said)]
        name = re.match(r"disk: (E\w+)", said)
        return numbers, name[1] if name else None


@pytest.fixture
def lab(payload):
    lab = Lab(f"gdisk-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


def refused(lab, host, command):
    """The error's code, and its text."""
    got = lab.cmd(host, command)
    assert got.status, f"{command} was obeyed"
    return re.search(r"error: (\S+) (.*)", got.text).groups()


def mounted(lab, host):
    end = time.monotonic() + 60 * lab.patience
    while not [d for d in lab.ask(host, "datastore list") if d["writable"]]:
        assert time.monotonic() < end, f"no datastore on {host}"
        time.sleep(0.2)


def test_files_of_a_datastore(lab, payload, tmp_path):
    """Several requests at a time, in pieces of many sizes; what the guest read back is what
    terndisk finds afterwards. A full datastore is an I/O error of that one disk."""
    image, ro, zeros = tmp_path / "ds.img", tmp_path / "ro", tmp_path / "zeros"
    ro.write_bytes(pattern(9, 0, 2 * MIB // SECTOR))
    zeros.write_bytes(bytes(ROOT_MIB * MIB))
    terndisk("mkfs", image, "--size", "16M", "--name", "ds1", *TIMES)
    terndisk("import", image, zeros, "g/root.disk", "--kind", "thin")
    terndisk("import", image, ro, "g/ro.disk", "--kind", "flat")
    zeros.write_bytes(bytes(12 * MIB))
    terndisk("import", image, zeros, "g/big.disk", "--kind", "thin")
    lab.up(["a", "b"], files=payload, disks=[f"{image},ide,shared"])
    mounted(lab, "a")

    no_file = "vm create x --kernel /boot/vmlinuz --disk"
    assert refused(lab, "a", f"{no_file} /ds/ds1/none")[0] == "not-found"
    assert refused(lab, "a", f"{no_file} /ds/ds2/none")[0] == "not-found"
    assert refused(lab, "a", f"{no_file} disk7")[0] == "not-found"
    assert refused(lab, "a", f"{no_file} disk0") == (
        "busy", "disk0 is in use: by datastore ds1")
    assert refused(lab, "a", f"{no_file} /ds/ds1/g/ro.disk,rw")[0] == "invalid"

    guest = Disked(lab, "g").boot(["/ds/ds1/g/root.disk,serial=first", "/ds/ds1/g/ro.disk,ro",
                                   "/ds/ds1/g/big.disk"])
    # Serial numbers end without a newline.
    guest.tell("cat /sys/block/vda/serial /sys/block/vdc/serial /sys/block/vdb/ro", r"^firstg-21")
    sectors = ROOT_MIB * MIB // SECTOR
    assert guest.disk("vda", "fill", 7) == ([sectors, 0, 0], None)
    assert guest.disk("vdb", "check", 9) == ([len(ro.read_bytes()) // SECTOR, 0, 0], None)
    (_, wrong, errors), name = guest.disk("vdc", "fill", 5)
    assert errors and not wrong and name == "EIO"
    assert guest.disk("vda", "check", 7) == ([sectors, 0, 0], None)
    assert on_disk(lab) == ROOT_MIB * MIB
    assert guest.disk("vda", "discard", 5, 1)[0][2] == 0
    assert on_disk(lab) == (ROOT_MIB - 1) * MIB
    assert guest.disk("vda", "zero", 1, 2)[0][2] == 0

    disks = lab.ask("a", "vm info g")["disks"]
    assert [(d["open"], d["read_only"], d["queues"]) for d in disks] == \
        [(True, False, 2), (True, True, 2), (True, False, 2)]
    root, read_only, big = lab.ask("a", "stats")["vms"]["g"]["disks"]
    assert root["written_bytes"] >= ROOT_MIB * MIB and root["flushes"] and not root["errors"]
    assert not read_only["writes"] and read_only["read_bytes"] >= 2 * MIB
    assert big["errors"] and not root["in_flight"]
    limited(lab, guest)
    held_and_given_up(lab, guest)
    lab.down()

    assert "0 found" in terndisk("check", image)
    out = tmp_path / "out"
    terndisk("export", image, "g/root.disk", out)
    data = out.read_bytes()
    # What was discarded is a hole; nothing beside it has changed.
    assert data[:MIB] == pattern(7, 0, MIB // SECTOR)
    assert data[MIB:3 * MIB] == bytes(2 * MIB)
    assert data[3 * MIB:5 * MIB] == pattern(7, 3 * MIB // SECTOR, 2 * MIB // SECTOR)
    assert data[5 * MIB:] == bytes(MIB)
    terndisk("export", image, "g/ro.disk", out)
    assert out.read_bytes() == ro.read_bytes()


def on_disk(lab):
    return lab.ask("a", "datastore ls /ds/ds1/g/root")[0]["backed_bytes"]


def limited(lab, guest):
    """A limit that is set while it runs holds requests, in order, and is lifted again."""
    assert refused(lab, "a", "vm disk limit g 1 --iops 0")[0] == "invalid"
    assert refused(lab, "a", "vm disk limit g 5 --iops 1")[0] == "not-found"
    before = lab.ask("a", "vm stats g")["disks"][1]
    lab.run("a", "vm disk limit g 1 --mbps 4 --iops 1000")
    assert guest.disk("vdb", "check", 9)[0][1:] == [0, 0]
    after = lab.ask("a", "vm stats g")["disks"][1]
    assert not before["held"] and after["held"] and after["held_ns"]
    assert after["read"]["count"] == sum(after["read"]["steps"]) > before["read"]["count"]
    lab.run("a", "vm disk limit g 1 --mbps none")
    info = lab.ask("a", "vm info g")["disks"][1]
    assert (info["limit_iops"], info["limit_mbps"]) == (1000, 0)


def held_and_given_up(lab, guest):
    """The disks are the running VM's, on whichever host; a suspended one keeps them."""
    mounted(lab, "b")
    lab.run("b", "vm create other --kernel /boot/vmlinuz --disk /ds/ds1/g/root.disk")
    lab.run("a", "vm create twin --kernel /boot/vmlinuz --disk /ds/ds1/g/root.disk")
    code, text = refused(lab, "b", "vm start other")
    assert code == "busy" and "host 'a' has its lease" in text
    assert refused(lab, "a", "vm start twin") == \
        ("busy", "/ds/ds1/g/root.disk is in use on this host")
    lab.run("a", "vm suspend g")
    assert refused(lab, "a", "vm start twin")[0] == "busy"
    lab.run("a", "vm restore g")
    assert guest.disk("vdb", "check", 9)[0][1:] == [0, 0]
    lab.run("a", "vm stop g")
    assert not any(d["open"] for d in lab.ask("a", "vm info g")["disks"])
    lab.run("b", "vm start other")
    assert "host 'b' has its lease" in refused(lab, "a", "vm start g")[1]
    lab.run("b", "vm stop other")


def qemu_img(*args):
    done = subprocess.run(["qemu-img", *map(str, args)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_errors_of_the_device(lab, payload, tmp_path):
    """Blocks of a datastore's disk that cannot be read or written: the guest is told of those
    and of no other, and nothing else is harmed. Its other disk came as qcow2, and goes as that."""
    image, raw, qcow2 = tmp_path / "ds.img", tmp_path / "raw", tmp_path / "qcow2"
    sectors = 4 * MIB // SECTOR
    terndisk("mkfs", image, "--size", "24M", "--name", "ds1", *TIMES)
    raw.write_bytes(pattern(9, 0, sectors))
    terndisk("import", image, raw, "g/bad.disk", "--kind", "flat")
    content = image.read_bytes()
    bad = [content.index(pattern(9, s, 1)) // SECTOR for s in (1000, 6000)]
    raw.write_bytes(pattern(3, 0, sectors))
    qemu_img("convert", "-O", "qcow2", raw, qcow2)
    terndisk("import", image, qcow2, "g/good.disk", "--kind", "thin")
    rules = tmp_path / "rules"
    rules.write_text("".join(INJECT.format(event=e, sector=s, once="off")
                             for e, s in zip(("read_aio", "write_aio"), bad)))
    lab.up(["a"], files=payload, nics=0, disks=[f"{image},debug={rules}"])
    mounted(lab, "a")

    guest = Disked(lab, "g").boot(["/ds/ds1/g/good.disk", "/ds/ds1/g/bad.disk"], vcpus=1)
    assert guest.disk("vda", "check", 3) == ([sectors, 0, 0], None)
    assert guest.disk("vdb", "check", 9) == ([sectors, 0, 1], "EIO")
    assert guest.disk("vdb", "fill", 9) == ([sectors, 0, 1], "EIO")
    assert guest.disk("vda", "fill", 4) == ([sectors, 0, 0], None)
    guest.tell("dmesg | grep -c I/O.error,.dev.vdb,.sector", r"^2\r?$")
    good, failed = lab.ask("a", "vm stats g")["disks"]
    assert (good["errors"], failed["errors"]) == (0, 2)
    assert [d["writable"] for d in lab.ask("a", "datastore list")] == [True]
    lab.run("a", "datastore cp /boot/initrd /ds/ds1/more --kind plain")
    lab.run("a", "vm stop g")
    lab.down()

    assert "0 found" in terndisk("check", image)
    raw.write_bytes(pattern(4, 0, sectors))
    qemu_img("convert", "-O", "qcow2", raw, qcow2)
    terndisk("export", image, "g/good.disk", tmp_path / "out")
    qemu_img("compare", tmp_path / "out", qcow2)
    terndisk("export", image, "g/bad.disk", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == pattern(9, 0, sectors)
