# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's base on the emulated machine: self-tests at boot, the panic report."""
import os
import re
import zlib

import pytest

from lablib.client import Lab
from lablib.paths import LabError
from lablib.qmp import qmp

pytestmark = pytest.mark.svm

# A bank's status, and the whole CPU's.
MCE_VALID, MCE_UNCORRECTED, MCE_ADDR, MCE_CORRUPT = 1 << 63, 1 << 61, 1 << 58, 1 << 57
MCG_RIPV, MCG_MCIP = 1, 4

SELFTESTS = {"page", "heap", "sched", "wake", "timer", "calls"}


@pytest.fixture
def lone():
    lab = Lab(f"base-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


@pytest.mark.parametrize("smp", [1, 2, 4])
def test_selftests(lone, smp):
    lone.up(["a"], smp=smp, nics=0, conf=["selftest = all"])
    log = lone.log("a")
    assert not re.findall(r"selftest: FAILED.*", log)
    assert set(re.findall(r"selftest: ok (\w+)", log)) >= SELFTESTS
    assert lone.ask("a", "host info")["cpus"] == smp


def test_panic_report(lone):
    with pytest.raises(LabError):
        lone.up(["a"], nics=0, conf=["selftest = panic"])
    lone.wait("a", "tern: halted")
    log = lone.log("a")
    assert "panic: asked for by selftest" in log
    assert "world init" in log
    assert re.search(r"[0-9a-f]{16} selftest_run\+0x", log)


def test_without_acpi(lone, tmp_path):
    """One CPU of two, the old ways to the devices: clock, serial line, PCI, ISA interrupts."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(range(256)) * 8192)
    lone.up(["a"], smp=2, nics=1, disks=[f"{path},ide"],
            conf=["acpi = off", "selftest = timer,wake"])
    log = lone.log("a")
    assert "acpi: acpi = off in tern.conf: one processor" in log
    assert re.search(r"clock: TSC [0-9.]+ MHz by PIT", log)
    assert "the console is polled" not in log
    assert set(re.findall(r"selftest: ok (\w+)", log)) == {"timer", "wake"}
    info = lone.ask("a", "host info")
    assert (info["cpus"], info["acpi"]) == (1, False)
    assert "one only: acpi = off in tern.conf" in lone.run("a", "host info")
    assert lone.run("a", "disk sum disk0") == f"{zlib.crc32(path.read_bytes()):08x}"
    assert lone.ask("a", "disk list")[0]["timeouts"] == 0      # its interrupt came
    if lone.status()["net"] == "tap":       # by MSI-X
        lone.run("a", "net ping 10.77.0.254 --count 1")
    assert lone.cmd("a", "host poweroff").text.startswith("error: unsupported ")


def machine_check(lab, status, mcg_status):
    qmp(lab, "a", "human-monitor-command",
        **{"command-line": f"mce 1 2 {status:#x} {mcg_status:#x} 0x12345000 0"})


def test_machine_check(lone):
    """An uncorrected error after which the host can go on, twice: logged each time, cleared."""
    lone.up(["a"], smp=2, nics=0)
    for n in (1, 2):
        machine_check(lone, MCE_VALID | MCE_UNCORRECTED | MCE_ADDR | 0x135, MCG_RIPV | MCG_MCIP)
        lone.wait("a", r"(?s)" + r".*".join(
            [r"CPU 1: machine check in the host: bank 2: uncorrected, context intact, "
             r"address 12345000, code 0135"] * n))
    assert lone.ask("a", "host info")["cpus"] == 2


def test_machine_check_panics(lone):
    lone.up(["a"], smp=2, nics=0)
    machine_check(lone, MCE_VALID | MCE_UNCORRECTED | MCE_CORRUPT, MCG_RIPV | MCG_MCIP)
    lone.wait("a", "tern: halted")
    assert "panic: machine check: the processor's context is corrupt; in the host: bank 2" in \
        lone.log("a")
