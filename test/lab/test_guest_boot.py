# SPDX-License-Identifier: BSD-2-Clause
"""Guests that start from files of a datastore: a whole Debian on its virtual disk, at work.

It boots once. fio writes and verifies while it moves (TERN_FIO_MOVES times); its host is killed
as it moves (in TERN_FIO_KILLS, phases of a migration), and it starts on the other.
"""
import os
import re
import subprocess
import time

import pytest

from lablib import debian
from lablib.client import Lab
from lablib.guest import Guest
from lablib.judges import Judge
from lablib.paths import BUILD

pytestmark = pytest.mark.storage

TERNDISK = f"{BUILD}/terndisk"
DISK = "/ds/ds1/deb/root.disk"
KERNEL = "--kernel /ds/ds1/deb/vmlinuz --initrd /ds/ds1/deb/initrd.img " \
         '--cmdline "root=/dev/vda ro quiet console=ttyS0"'
FIO = "fio --name=v --filename=/root/v --size=24M --rw=randwrite --bsrange=4k-64k --direct=1 " \
      "--ioengine=libaio --iodepth=8 --fsync=16 --verify=crc32c --verify_fatal=1 " \
      "--verify_backlog=64 --time_based --runtime=7200".split()
NUMBERS = 300000
MOVES = int(os.environ.get("TERN_FIO_MOVES", "3"))
PHASES = os.environ.get("TERN_FIO_KILLS", "ready").split(",")
OTHER = {"a": "b", "b": "a"}
PROMPT = r"^root@deb:~# "


def run(*argv, ok=True):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout


def wait(condition, what, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not yet: {what}"
        time.sleep(0.3)


def mounted(lab, host):
    wait(lambda: [d for d in lab.ask(host, "datastore list") if d["writable"]],
         f"a datastore on {host}", 60 * lab.patience)


class Debian(Guest):
    """It, with root logged in on its serial line."""

    def boot(self, host):
        """From nothing; a dead host's lease is waited for."""
        self.host, self.text, self.offset = host, "", 0
        self.lab.run(host, f"vm create deb --mem 256M --vcpus 2 {KERNEL} --disk {DISK}")
        wait(lambda: self.lab.cmd(host, "vm start deb").status == 0, "started",
             60 * self.lab.patience)
        self.wait_text(r"^deb login: ", 300)
        return self.tell("root", PROMPT)

    def tell(self, line, answer=PROMPT, timeout=120):
        """What it says to a line, up to what is awaited."""
        self.poll()
        start = len(self.text)
        self.lab.run(self.host, f"vm type {self.name} {line}")
        self.wait_text(answer, timeout, start)
        return self.text[start:]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A datastore with the Debian of tools/guest and a multiboot payload, for these tests alone."""
    debian.make(f"{BUILD}/debian")
    image = tmp_path_factory.mktemp("deb") / "ds1.img"
    run("cp", "--sparse=always", f"{BUILD}/debian/ds1.img", image)
    run(TERNDISK, "import", image, f"{BUILD}/guest/cpu", "cpu", "--kind", "plain")
    yield image
    image.unlink()


@pytest.fixture(scope="module")
def lab(payload, image):
    lab = Lab(f"deb-{os.getpid()}")
    lab.remove()
    lab.up(["a", "b"], files=payload, disks=[f"{image},shared"])
    for host in "ab":
        mounted(lab, host)
    yield lab
    lab.down()


def refused(lab, command, code, text):
    got = lab.cmd("a", command)
    assert got.status and got.text.startswith(f"error: {code} ") and text in got.text, got.text


def test_kernels_that_cannot_be_read(lab):
    """What is not there is told at once; what is no kernel, or has gone, at the start."""
    refused(lab, "vm create x --kernel /ds/ds1/none", "not-found", "/ds/ds1/none")
    refused(lab, "vm create x --kernel /ds/ds2/vmlinuz", "not-found", "not mounted")
    refused(lab, "vm create x --kernel /vmlinuz", "not-found", "/ds/DATASTORE/FILE")
    refused(lab, "vm create x --kernel /ds/ds1/deb/vmlinuz --initrd /ds/ds1/none", "not-found",
            "/ds/ds1/none")
    lab.run("a", f"vm create x --kernel {DISK}")
    refused(lab, "vm start x", "invalid", "larger than 256 MiB")
    lab.run("a", "vm delete x")
    lab.run("a", "datastore cp /boot/vmlinuz /ds/ds1/gone --kind plain")
    lab.run("a", "vm create x --kernel /boot/vmlinuz --initrd /ds/ds1/gone")
    lab.run("a", "datastore rm /ds/ds1/gone")
    refused(lab, "vm start x", "not-found", "/ds/ds1/gone")
    lab.run("a", "vm delete x")


def test_a_payload_and_its_module(lab):
    """A multiboot file of a datastore, with modules from there and from the boot volume."""
    lab.run("a", 'vm create c --mem 64M --multiboot /ds/ds1/cpu --module /ds/ds1/deb/vmlinuz '
                 '--module /boot/initrd --cmdline "paging"')
    guest = Guest(lab, "c", "a")
    guest.start()
    guest.wait_text(r"done \d+ checks, 0 failures", 120)
    lab.run("a", "vm delete c")


@pytest.fixture(scope="module")
def deb(lab):
    """The Debian, running on a, root logged in."""
    deb = Debian(lab, "deb")
    deb.boot("a")
    return deb


def again(lab, image, payload):
    """Hosts that were killed, anew."""
    dead = [h["name"] for h in lab.status()["hosts"] if not h["alive"]]
    if dead:
        lab.up(dead, files=payload, disks=[f"{image},shared"])
    for host in dead:
        mounted(lab, host)


def lease(lab, host):
    entry, = lab.ask(host, f"datastore ls {DISK}")
    return entry["lease"], entry["holder"]


def test_debian_from_its_disk(lab, deb):
    assert "/dev/vda / ext4 rw" in deb.tell("grep -w / /proc/mounts")
    assert lease(lab, "a") == ("here", "a")
    status, said = Judge(lab, "deb", ["kernel-log"]).wait(60)
    assert status == 0, said
    assert "0 loaded units listed" in deb.tell("systemctl --failed --no-pager")
    deb.tell(f"seq {NUMBERS} >/root/numbers; sync")


def flushes(deb, more):
    """What is at work in it goes on."""
    def count():
        return deb.lab.ask(deb.host, "vm stats deb")["disks"][0]["flush"]["count"]

    goal = count() + more
    deb.wait(lambda: count() >= goal, 60, f"{more} more flushes")


def fio_ended(deb, fio):
    """By our signal, and all that it has read was what it had written: reads, writes, flushes."""
    deb.tell("kill -INT \\$(pidof fio)")
    status, said = fio.wait(60)
    text = "\n".join(said)
    assert status == 128 and " err= 0: " in text and "verify:" not in text, text
    return [int(n) for n in re.search(r"issued rwts: total=(\d+),(\d+),0,(\d+)", text).groups()]


def test_fio_while_it_moves(lab, deb, image, payload):
    """Random writes and flushes, read back, to and fro: the lease is the running host's."""
    fio = Judge(lab, "deb", FIO)
    for n in range(MOVES):
        host, to = deb.host, OTHER[deb.host]
        flushes(deb, 5)
        deb.migrate(to, timeout=300)
        assert lease(lab, to) == ("here", to) and lease(lab, host) == ("held", to)
        fio.poll()
        assert fio.verdict is None, fio.lines
        if n == 0:      # its emulator would drop what it has translated, piece by piece
            lab.kill(host)
            again(lab, image, payload)
    assert all(fio_ended(deb, fio))
    status, said = Judge(lab, "deb", ["kernel-log"]).wait(60)
    assert status == 0, said


def starts_anew(lab, deb, to):
    """What its disk had told it was written is there, and it goes on with a sound file system."""
    told = int(re.findall(r"^mark (\d+)\r?$", deb.text, re.M)[-1])
    wait(lambda: not deb.exists(to), "the VM that was moved is gone", 60 * lab.patience)
    deb.boot(to)
    kept = int(re.search(r"^(\d+)\r?$", deb.tell("cat /root/marks"), re.M)[1])
    assert kept >= told, "what was on the disk is not"
    return Judge(lab, "deb", FIO)


@pytest.mark.parametrize("phase", PHASES)
def test_source_killed(lab, deb, image, payload, phase):
    """It goes on at the other host when the lease was given, or can be started there when the
    lease's time is over."""
    again(lab, image, payload)
    deb.tell("marks /root/marks &", "^mark 3")
    fio = Judge(lab, "deb", FIO)
    host, to = deb.host, OTHER[deb.host]
    flushes(deb, 20)
    fio.poll()
    assert fio.verdict is None, fio.lines
    deb.migrate_wait(deb.migrate_start(to, "--hold", phase), until=(phase,), timeout=300)
    deb.poll()
    lab.kill(host)
    if phase == "go":
        deb.host = to
        wait(lambda: deb.state() == "running", "it goes on", 60 * lab.patience)
    else:
        fio = starts_anew(lab, deb, to)
    assert lease(lab, to) == ("here", to)
    flushes(deb, 20)
    assert all(fio_ended(deb, fio))


def test_its_disk_at_the_end(lab, deb, image, tmp_path):
    """Its file system is clean, and a file of the beginning is what it was."""
    deb.tell("poweroff", "reboot: Power down", 120)
    wait(lambda: deb.state() == "off", "off")
    out = tmp_path / "root"
    run(TERNDISK, "export", image, "deb/root.disk", out)
    run("e2fsck", "-fn", out)
    numbers = run("debugfs", "-R", "cat /root/numbers", out)
    assert numbers == "".join(f"{n}\n" for n in range(1, NUMBERS + 1))
    lab.down()
    assert "0 found" in run(TERNDISK, "check", image)
