# SPDX-License-Identifier: BSD-2-Clause
"""Guests that start by Debian's UEFI firmware, which starts the loader of their disk."""
import contextlib
import os
import subprocess
import time

import pytest

from lablib import bochs, debian
from lablib.client import Lab
from lablib.guest import Guest
from lablib.paths import BUILD

pytestmark = pytest.mark.guests

long = pytest.mark.skipif(not os.environ.get("TERN_FIRMWARE_LONG"),
                          reason="some minutes: make soak")
TERNDISK = f"{BUILD}/terndisk"
OVMF = "/usr/share/ovmf/OVMF.fd"
FIRMWARE = "--firmware /ds/ds1/OVMF.fd"
# A loaded machine is given time for its heartbeats.
TIMES = ["--beat", "1000", "--lease", "6000", "--io-timeout", "500"]
GRUB = r"(?s)the loader of this disk.*grub> "
GRUB_CFG = """echo "the loader of this disk"
# no menu: a prompt
"""


def terndisk(*args):
    done = subprocess.run([TERNDISK, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


class Firmware(Guest):
    def boot(self, host, options):
        self.host = host
        self.lab.run(host, f"vm create {self.name} {options}")
        self.start()

    def wait_next(self, pattern, timeout=90):
        """It comes behind all that was read so far."""
        return self.wait_text(pattern, timeout, len(self.text))

    def type(self, line):
        self.lab.run(self.host, f"vm type {self.name} {line}")

    def tell(self, line, answer):
        self.type(line)
        return self.wait_next(answer)

    def wait_off(self):
        end = time.monotonic() + 60 * self.lab.patience
        while self.state() != "off":
            assert time.monotonic() < end, "still on"
            time.sleep(0.2)


def mounted(lab, host):
    end = time.monotonic() + 60 * lab.patience
    while not [d for d in lab.ask(host, "datastore list") if d["writable"]]:
        assert time.monotonic() < end, f"no datastore on {host}"
        time.sleep(0.2)


def refused(lab, line, code, text):
    got = lab.cmd("a", line)
    assert got.status and got.text.startswith(f"error: {code} ") and text in got.text, got.text


@pytest.fixture
def image(tmp_path):
    """A datastore that has the firmware and a disk with a boot loader."""
    image, esp, cfg = tmp_path / "ds1.img", tmp_path / "esp", tmp_path / "grub.cfg"
    cfg.write_text(GRUB_CFG)
    debian.boot_partition(esp, 8, cfg)
    terndisk("mkfs", image, "--size", "64M", "--name", "ds1", *TIMES)
    terndisk("import", image, OVMF, "OVMF.fd", "--kind", "plain")
    terndisk("import", image, esp, "esp.disk", "--kind", "flat")
    return image


@contextlib.contextmanager
def hosts(names, **options):
    lab = Lab(f"fw-{os.getpid()}")
    lab.remove()
    try:
        lab.up(names, **options)
        mounted(lab, "a")
        yield lab
    finally:
        lab.down()


@pytest.fixture
def lab(image):
    with hosts(["a", "b"], disks=[f"{image},shared"]) as lab:
        yield lab


def test_firmware(lab):
    """The loader of a disk moves with it, reads on, is suspended and restored, and reboots into the
    firmware where nobody has the file of that any more; what cannot start."""
    refused(lab, "vm create x --firmware /ds/ds1/none", "not-found", "/ds/ds1/none")
    refused(lab, f"vm create x {FIRMWARE} --initrd /ds/ds1/OVMF.fd", "usage", "firmware")
    lab.run("a", "vm create x --firmware /ds/ds1/esp.disk")
    refused(lab, "vm start x", "invalid", "at most 4 MiB")
    lab.run("a", "vm delete x")

    vm = Firmware(lab, "fw")
    vm.boot("a", f"--mem 128M --vcpus 2 {FIRMWARE} --disk /ds/ds1/esp.disk")
    assert (vm.info()["boot"], vm.info()["kernel"]) == ("firmware", "/ds/ds1/OVMF.fd")
    vm.wait_next(GRUB)
    exits = lab.ask("a", "vm stats fw")["vcpus"][0]["exits"]
    assert exits["pio"] < 60_000 and exits["slat_fault"] < 20_000, exits
    vm.migrate("b")
    vm.tell("cat /EFI/debian/grub.cfg", "no menu: a prompt")
    lab.run("b", "vm suspend fw")
    lab.run("b", "vm restore fw")
    lab.run("b", "datastore rm /ds/ds1/OVMF.fd")
    vm.tell("reboot", GRUB)
    vm.type("halt")
    vm.wait_off()
    assert "OVMF.fd" in lab.cmd("b", "vm start fw").text


@long
def test_firmware_with_vt_x(image):
    os.truncate(image, 131 * bochs.DISK_UNIT)
    with hosts(["a"], cpu="vmx", disks=[str(image)]) as lab:
        vm = Firmware(lab, "fw")
        vm.boot("a", f"--mem 128M --vcpus 2 {FIRMWARE} --disk /ds/ds1/esp.disk")
        vm.wait_next(GRUB, 300)
        vm.type("reboot")
        vm.wait_next(GRUB, 300)
        vm.tell("cat /EFI/debian/grub.cfg", "no menu: a prompt")
        vm.type("halt")
        vm.wait_off()


@long
def test_debian_by_its_own_loader(payload, tmp_path):
    """Firmware, shim, GRUB, Debian's kernel with four processors, its prompt; it reboots by itself,
    and powers off."""
    debian.make(f"{BUILD}/debian", uefi=True)
    image = tmp_path / "ds1.img"
    subprocess.run(["cp", "--sparse=always", f"{BUILD}/debian/ds1.img", image], check=True)
    terndisk("import", image, OVMF, "OVMF.fd", "--kind", "plain")
    with hosts(["a"], disks=[f"{image},shared"], mem=1200) as lab:
        deb = Firmware(lab, "deb")
        deb.boot("a", f"--mem 640M --vcpus 4 {FIRMWARE} --disk /ds/ds1/deb/uefi.disk")
        for last_word in ("reboot", "poweroff"):
            deb.wait_next(r"^deb login: ", 600)
            deb.tell("root", r"^root@deb:~# ")
            deb.tell("dmesg", r"efi: EFI v2")
            assert deb.tell("nproc", r"^\d+\s").strip() == "4"
            deb.type(last_word)
        deb.wait_off()
    image.unlink()
