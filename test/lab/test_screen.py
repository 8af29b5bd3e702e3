# SPDX-License-Identifier: BSD-2-Clause
"""The framebuffer shows what the serial line shows: log, commands, panics."""
import os
import re
import subprocess
import time

import pytest

import screen
from lablib import bochs
from lablib.client import Lab
from lablib.paths import LabError

pytestmark = pytest.mark.svm


@pytest.fixture
def lab():
    lab = Lab(f"screen-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


def test_log_and_commands(lab):
    lab.up(["a"], nics=0, vga=True)
    lines = screen.wait(lab, "a", r"^tern:a>")
    assert not any("\ufffd" in line for line in lines)
    # The log from its beginning, though the screen was found after its first lines.
    logged = [line for line in lab.log("a").splitlines() if line.startswith("[ ")]
    assert [line for line in lines if line.startswith("[ ")] == logged
    assert any(line.endswith("tern: ready") for line in lines)
    lab.run("a", "help")
    lab.run("a", "help")
    lines = screen.wait(lab, "a", r"^@2=0$")
    said = [line for line in lab.log("a").splitlines() if line.startswith("@2|")]
    assert [line for line in lines if line.startswith("@2|")][-1] == said[-1]
    assert not any("tern: ready" in line for line in lines)     # it has scrolled


def test_panic(lab):
    with pytest.raises(LabError):
        lab.up(["a"], nics=0, vga=True, conf=["selftest = panic"])
    lab.wait("a", "tern: halted")
    lines = screen.wait(lab, "a", "^tern: halted$")
    assert "panic: asked for by selftest" in lines
    assert any(re.match(r"  [0-9a-f]{16} selftest_run\+0x", line) for line in lines)
    assert not any("\ufffd" in line for line in lines)


def test_no_screen(lab):
    lab.up(["a"], nics=0)
    assert "info  screen:" not in lab.log("a")
    assert "screen" not in {w["name"] for w in lab.ask("a", "host worlds")}


class Machine:
    """QEMU with a BIOS, which starts GRUB from a CD; as much of a lab as the screen needs."""

    def __init__(self, path):
        self.dir = str(path)
        os.mkdir(f"{path}/a")
        bochs.make_iso(f"{path}/tern.iso", "hostname = a\n", [])
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-m", "512",
             "-smp", "2", "-nodefaults", "-display", "none", "-vga", "std",
             "-cdrom", f"{path}/tern.iso", "-serial", f"file:{path}/log",
             "-qmp", f"unix:{path}/a/qmp,server=on,wait=off"],
            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while "tern: ready" not in self.log():
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.2)

    def log(self):
        try:
            with open(f"{self.dir}/log", encoding="ascii", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def end(self):
        self.process.kill()
        self.process.wait()


def test_multiboot2(tmp_path):
    """The framebuffer that GRUB set, and the BIOS' old RSDP, from which the second CPU is known."""
    machine = Machine(tmp_path)
    try:
        lines = screen.wait(machine, "a", "tern: ready$")
    finally:
        machine.end()
    assert any(line.endswith("smp: 2 of 2 CPUs are up") for line in lines)
    assert not any("no ACPI tables" in line for line in lines)
