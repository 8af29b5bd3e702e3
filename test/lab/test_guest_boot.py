# SPDX-License-Identifier: BSD-2-Clause
"""Guests that start from files of a datastore: a whole Debian on its virtual disk."""
import os
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
PROMPT = r"^root@deb:~# "


def run(*argv, ok=True):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout


class Debian(Guest):
    """It, with root logged in on its serial line."""

    def boot(self, host):
        self.host = host
        self.start()
        self.wait_text(r"^deb login: ", 300, len(self.text))
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
        end = time.monotonic() + 60 * lab.patience
        while not [d for d in lab.ask(host, "datastore list") if d["writable"]]:
            assert time.monotonic() < end, f"no datastore on {host}"
            time.sleep(0.2)
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


def test_debian_from_its_disk(lab, image, tmp_path):
    """To its login prompt; what it writes is on the disk; its file system ends clean."""
    lab.run("a", f"vm create deb --mem 384M {KERNEL} --disk {DISK}")
    deb = Debian(lab, "deb")
    deb.boot("a")
    assert "/dev/vda / ext4 rw" in deb.tell("grep -w / /proc/mounts")
    assert lab.ask("a", f"datastore ls {DISK}")[0]["lease"] == "here"
    status, said = Judge(lab, "deb", ["kernel-log"]).wait(60)
    assert status == 0, said
    deb.tell("seq 300000 >/root/numbers; sync; systemctl --failed")
    assert "0 loaded units listed" in deb.text
    deb.tell("poweroff", "Power down|reboot: Power down", 120)
    end = time.monotonic() + 60 * lab.patience
    while deb.state() != "off":
        assert time.monotonic() < end, "still on"
        time.sleep(0.3)
    out = tmp_path / "root"
    run(TERNDISK, "export", image, "deb/root.disk", out)
    run("e2fsck", "-fn", out)
    numbers = run("debugfs", "-R", "cat /root/numbers", out)
    assert numbers == "".join(f"{n}\n" for n in range(1, 300001))
