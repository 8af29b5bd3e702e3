# SPDX-License-Identifier: BSD-2-Clause
"""Datastores on hosts: made, mounted, shared by two of them, and as terndisk sees them."""
import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lablib.client import Lab
from lablib.paths import BUILD, TOP
from writelog import WriteLog

pytestmark = pytest.mark.storage

TERNDISK = f"{BUILD}/terndisk"
MIB = 1 << 20
# What a loaded machine needs for a beat, and what a test waits for the death of a host.
TIMES = ["--beat", "1000", "--lease", "6000", "--io-timeout", "500"]


def terndisk(*args, ok=True):
    got = subprocess.run([TERNDISK, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert (got.returncode == 0) == ok, got.stdout + got.stderr
    return got.stdout if ok else got.stderr


def wait(what, limit_s=60):
    end = time.monotonic() + limit_s
    while not (got := what()):
        assert time.monotonic() < end, f"still not: {what.__doc__ or what}"
        time.sleep(0.3)
    return got


@pytest.fixture
def lab():
    lab = Lab(f"ds-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


def mounted(lab, host):
    return wait(lambda: [d for d in lab.ask(host, "datastore list") if d["writable"]])


def files(lab, host, prefix=""):
    return {f["name"]: f for f in lab.ask(host, f"datastore ls /ds/ds1/{prefix}")}


def test_two_hosts_one_datastore(lab, tmp_path):
    """Each sees the other's files and the other; at the end the metadata agree."""
    image = tmp_path / "ds.img"
    boot = tmp_path / "boot"
    boot.mkdir()
    data = os.urandom(3 * MIB + 12345)
    (boot / "data").write_bytes(data)
    terndisk("mkfs", image, "--size", "64M", "--name", "ds1", *TIMES)
    lab.up(["a", "b"], files=str(boot), disks=[f"{image},shared"])
    assert lab.ask("a", "disk list")[0]["driver"] == "nvme"
    for host in "ab":
        assert mounted(lab, host)[0]["name"] == "ds1"
    lab.run("a", "datastore cp /boot/data /ds/ds1/vm/data --kind plain")
    assert files(lab, "b")["vm/data"]["size"] == len(data)
    lab.run("b", "datastore cp /ds/ds1/vm/data /ds/ds1/vm/copy --kind flat")
    lab.run("b", "datastore mv /ds/ds1/vm/copy /ds/ds1/other")
    assert set(files(lab, "a")) == {"vm/data", "other"}
    assert set(files(lab, "a", "vm/")) == {"vm/data"}
    states = {h["name"]: h["state"] for h in lab.ask("a", "datastore hosts ds1")}
    assert states["a"] == "this host" and states["b"] == "alive"
    error = lab.cmd("a", "datastore rm /ds/ds1/none")
    assert "error: not-found" in str(error)
    lab.kill("b")
    wait(lambda: {h["name"]: h["state"] for h in lab.ask("a", "datastore hosts ds1")}["b"]
         == "dead")
    assert "a host that is alive" in terndisk("check", image, "--repair", ok=False)
    lab.run("a", "datastore umount ds1")
    lab.run("a", "datastore mount disk0")
    lab.run("a", "datastore rm /ds/ds1/other")
    lab.run("a", "datastore umount ds1")
    lab.down()
    assert "0 found" in terndisk("check", image)
    terndisk("export", image, "vm/data", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    listed = json.loads(terndisk("ls", image, "--json"))
    assert [f["name"] for f in listed["files"]] == ["vm/data"]


def test_made_on_the_console(lab, tmp_path):
    """Nothing is overwritten without being told to."""
    full, empty = tmp_path / "full.img", tmp_path / "empty.img"
    full.write_bytes(b"\x55" * 32 * MIB)
    empty.write_bytes(bytes(32 * MIB))
    lab.up(["a"], nics=0, disks=[f"{full},ide", f"{empty},ide"])
    assert lab.ask("a", "datastore list") == []
    assert "error: exists disk0 is not empty" in str(lab.cmd("a", "datastore create disk0 x"))
    lab.run("a", "datastore create disk1 mine")
    for force in ("", "--force"):   # it is mounted: that would not help
        assert "error: busy" in str(lab.cmd("a", f"datastore create disk1 other {force}"))
    assert "error: invalid" in str(lab.cmd("a", "datastore create disk0 a/b --force"))
    lab.run("a", "datastore create disk0 second --force")
    assert {d["name"] for d in lab.ask("a", "datastore list")} == {"mine", "second"}


def test_what_terndisk_refuses(tmp_path):
    image = tmp_path / "ds.img"
    assert "'mkfs --size SIZE' makes one" in terndisk("mkfs", image, "--name", "x", ok=False)
    terndisk("mkfs", image, "--size", "32M", "--name", "x")
    assert "exists" in terndisk("mkfs", image, "--size", "32M", "--name", "x", ok=False)
    assert "not empty" in terndisk("mkfs", image, "--name", "x", ok=False)
    assert "no such file" in terndisk("export", image, "nothing", "-", ok=False)
    (tmp_path / "f").write_bytes(b"abc")
    assert "out of range" in terndisk("import", image, tmp_path / "f", "../f", ok=False)
    terndisk("import", image, tmp_path / "f", "f")
    assert "there already" in terndisk("import", image, tmp_path / "f", "f", ok=False)
    assert terndisk("export", image, "f", "-") == "abc"


def test_the_manual_knows_all():
    """Each command has its own help, and the manual has its usage."""
    with open(f"{TOP}/tools/terndisk/terndisk.1", encoding="ascii") as f:
        manual = re.sub(r"\\f[BIR]", "", f.read()).replace("\\-", "-")
    commands = re.findall(r"^  ([a-z]+) ", terndisk("--help"), re.M)
    assert len(commands) >= 10
    for command in commands:
        usage = terndisk(command, "--help").splitlines()[0]
        words = usage.split()[1:4]
        assert " ".join(words) in manual, usage


def test_one_at_a_time(tmp_path):
    """Two terndisks do not write one image; nor is one made or mended that QEMU has open. Reading
    goes on beside both."""
    image = tmp_path / "ds.img"
    (tmp_path / "f").write_bytes(b"abc")
    terndisk("mkfs", image, "--size", "32M", "--name", "x")
    with open(image, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another terndisk" in terndisk("import", image, tmp_path / "f", "f", ok=False)
        assert "another terndisk" in terndisk("check", image, "--repair", ok=False)
        assert "0 found" in terndisk("check", image)
        terndisk("ls", image)
    with subprocess.Popen(["qemu-io", "-f", "raw", image], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as qemu:
        qemu.stdin.write(b"length\n")
        qemu.stdin.flush()
        qemu.stdout.readline()
        for args in (["mkfs", image, "--name", "y", "--force"], ["check", image, "--repair"],
                     ["mkfs", image, "--name", "y", "--force", "--size", "16M"]):
            assert "QEMU has it open" in terndisk(*args, ok=False)
        terndisk("import", image, tmp_path / "f", "f")
        qemu.stdin.close()
    assert terndisk("export", image, "f", "-") == "abc"
    terndisk("check", image, "--repair")


def test_other_formats(tmp_path):
    """A qcow2 image goes in and comes out as the same disk."""
    raw, qcow2, out = tmp_path / "raw", tmp_path / "qcow2", tmp_path / "out"
    raw.write_bytes(os.urandom(2 * MIB) + bytes(4 * MIB) + os.urandom(MIB))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, qcow2], check=True)
    image = tmp_path / "ds.img"
    terndisk("mkfs", image, "--size", "32M", "--name", "x")
    terndisk("import", image, qcow2, "vm/root.disk", "--kind", "thin")
    terndisk("export", image, "vm/root.disk", out)
    subprocess.run(["qemu-img", "compare", out, qcow2], check=True, stdout=sys.stderr)
    entry = json.loads(terndisk("ls", image, "--json"))["files"][0]
    assert entry["backed"] < entry["size"]


def found_clean(image, kept, mount):
    """The metadata agree, before and after a mount; what was there before is what it was. A mount
    may wait until the host whose power was cut is dead."""
    assert "0 found" in terndisk("check", image)
    if mount:
        terndisk("mv", image, "nothing", "nowhere", ok=False)
        assert "0 found" in terndisk("check", image)
    out = f"{image}.out"
    terndisk("export", image, "kept", out)
    with open(out, "rb") as f:
        assert f.read() == kept


def test_power_cuts(lab, tmp_path):
    """Whatever of a host's writes reached the disk: as many as there are, in order, and some
    of those since the last flush, in any."""
    image, log, start = tmp_path / "ds.img", tmp_path / "log", tmp_path / "start"
    boot = tmp_path / "boot"
    boot.mkdir()
    kept = os.urandom(MIB)
    (boot / "data").write_bytes(kept)
    terndisk("mkfs", image, "--size", "48M", "--name", "ds1", *TIMES)
    terndisk("import", image, boot / "data", "kept")
    shutil.copyfile(image, start)
    log.write_bytes(b"")
    lab.up(["a"], files=str(boot), nics=0, disks=[f"{image},ide,log={log}"])
    mounted(lab, "a")
    lab.run("a", "datastore cp /boot/data /ds/ds1/vm/flat --kind flat")
    lab.run("a", "datastore snapshot /ds/ds1/vm/flat /ds/ds1/vm/flat.s")
    lab.run("a", "disk test /ds/ds1/vm/flat --force --blocks 64")
    lab.run("a", "datastore merge /ds/ds1/vm/flat.s")
    lab.run("a", "datastore mv /ds/ds1/vm/flat /ds/ds1/moved")
    lab.run("a", "datastore rm /ds/ds1/moved")
    lab.run("a", "datastore umount ds1")
    lab.down()
    writes = WriteLog(log)
    assert len(writes.entries) > 60
    prefix = tmp_path / "prefix"
    shutil.copyfile(start, prefix)
    fd = os.open(prefix, os.O_RDWR)
    for entry in writes.entries:
        writes.apply(fd, entry)
        if not entry.flush:
            assert "0 found" in terndisk("check", prefix)
    os.close(fd)
    found_clean(prefix, kept, True)
    dice = random.Random(7)
    for sample in range(25):
        upto = dice.randrange(len(writes.entries))
        flushed = max((k for k in range(upto) if writes.entries[k].flush), default=0)
        cut = tmp_path / "cut"
        shutil.copyfile(start, cut)
        fd = os.open(cut, os.O_RDWR)
        for k, entry in enumerate(writes.entries[:upto]):
            some = None if k < flushed else [
                x for x in range(entry.nr_sectors) if dice.random() < .5]
            writes.apply(fd, entry, some)
        os.close(fd)
        found_clean(cut, kept, sample % 8 == 0)
    writes.close()


def test_a_lease_is_one_hosts(lab, tmp_path):
    """Refused while its holder lives; taken when it is dead; and who wakes up too late writes
    nothing more."""
    image = tmp_path / "ds.img"
    terndisk("mkfs", image, "--size", "64M", "--name", "ds1", *TIMES)
    (tmp_path / "f").write_bytes(bytes(32 * MIB))
    terndisk("import", image, tmp_path / "f", "disk", "--kind", "flat")
    lab.up(["a", "b"], disks=[f"{image},ide,shared"])
    for host in "ab":
        mounted(lab, host)
    test = "disk test /ds/ds1/disk --force"
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(lab.cmd, "a", f"{test} --seed 1000", 240)
        wait(lambda: files(lab, "b")["disk"]["lease"] == "held")
        assert "error: busy" in str(lab.cmd("b", f"{test} --seed 2000 --blocks 2048"))
        lab.freeze("a")
        try:
            wait(lambda: "all right" in str(lab.cmd("b", f"{test} --seed 2000 --blocks 2048")), 90)
            held = lab.ask("b", "disk sum /ds/ds1/disk --blocks 2048")["crc32"]
        finally:
            lab.thaw("a")
        # One whose disk has come to think so, or has forgotten what it was asked for.
        assert re.search("error: (lost|timeout)", str(writer.result()))
    assert lab.ask("b", "disk sum /ds/ds1/disk --blocks 2048")["crc32"] == held
