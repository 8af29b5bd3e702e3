# SPDX-License-Identifier: BSD-2-Clause
"""The CPU payload (test/guest/cpu): processors as code inside a VM sees them.

Each group of checks runs in a VM of its own; every line that it prints is a test's verdict.
What an emulator gets wrong is skipped by the payload, by name; GAPS is what may be skipped.
"""
import re
import time

import pytest

pytestmark = pytest.mark.svm

GROUPS = ["exceptions", "interrupts", "cpuid", "modes", "time", "paging", "xsave", "debug", "mmio"]
# Checks that QEMU's translator cannot pass; the payload knows it by CPUID's brand string.
GAPS = {"ud-rf", "ss-address", "xm", "ac", "cr8-high", "cr0-pe", "dr7-high", "dr6-high", "int1"}
# What the host's CPU may not have.
OPTIONAL = {"smep", "smap", "page-1g", "exits-avx", "move-avx"}
PAYLOAD = "/boot/cpu"
END_S = 120


class Run:
    """One VM with the payload."""

    def __init__(self, lab, host, groups, vcpus=1, options=""):
        self.lab, self.host, self.name = lab, host, "cpu"
        lab.run(host, f"vm create cpu --multiboot {PAYLOAD} --mem 64M --vcpus {vcpus} {options} "
                      f"--cmdline '{groups}'")
        lab.run(host, "vm start cpu")

    def info(self):
        return self.lab.ask(self.host, "vm info cpu")

    def text(self):
        return self.lab.ask(self.host, "vm log cpu --since 0")["text"].replace("\r", "")

    def wait(self, condition, timeout=END_S):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"it last said: {self.text()[-800:]}"
            time.sleep(0.3)

    def finish(self, gaps=GAPS):
        """Checks that passed; every one that failed is told, none skipped but GAPS."""
        self.wait(lambda: self.info()["state"] != "running")
        info, text = self.info(), self.text()
        assert info["state"] == "off", f"{info['stop_reason']}: {text[-800:]}"
        bad = re.findall(r"^(?:FAIL|#) .*", text, re.M)
        assert not bad, "\n".join(bad)
        skipped = set(re.findall(r"^skip (\S+)", text, re.M))
        assert skipped <= gaps | OPTIONAL, skipped
        passed = re.findall(r"^ok (\S+)", text, re.M)
        end = re.search(r"^done (\d+) checks, 0 failures$", text, re.M)
        assert end and int(end[1]) == len(passed) > 0, text[-800:]
        assert info["exit_code"] == 0
        return passed


@pytest.mark.parametrize("group", GROUPS)
def test_group(pair, group):
    Run(pair, "a", group).finish()


@pytest.mark.parametrize("vcpus", [2, 3])
def test_processors(pair, vcpus):
    """As many as the host has, and more: one that holds a lock may be out."""
    Run(pair, "a", "smp", vcpus).finish()


def test_turns(pair):
    """Twice as many processors as the host has, and none leaves the guest by itself."""
    Run(pair, "a", "turns", 4).finish()


def test_state_moves(pair):
    """Registers, MSRs, timers and devices are on the other host what they were."""
    run = Run(pair, "a", "move")
    run.wait(lambda: "ready\n" in run.text())
    pair.run("a", f"migrate cpu {pair.addr('b')} --wait", 120)
    run.host = "b"
    assert run.info()["state"] == "running"
    pair.run("b", "vm type cpu go")
    assert len(run.finish()) >= 15


def test_exit_code(pair):
    """No group: nothing fails. The VM is off, its last run's end is shown until the next."""
    run = Run(pair, "a", "")
    run.wait(lambda: run.info()["state"] == "off")
    assert run.info()["exit_code"] == 0
    assert "exit     0" in pair.run("a", "vm info cpu")
    pair.run("a", "vm start cpu")
    run.wait(lambda: run.info()["state"] == "off")
    assert run.text().count("done 0 checks") == 2


def test_module(pair):
    pair.run("a", f"vm create cpu --multiboot {PAYLOAD} --module /boot/initrd --mem 64M")
    assert pair.ask("a", "vm info cpu")["modules"] == ["/boot/initrd"]
    pair.run("a", "vm start cpu")


@pytest.mark.parametrize("line,code", [
    ("--multiboot /boot/nothing", "not-found"),
    (f"--multiboot {PAYLOAD} --kernel /boot/vmlinuz", "usage"),
    (f"--multiboot {PAYLOAD} --initrd /boot/initrd", "usage"),
    (f"--multiboot {PAYLOAD} --module /boot/nothing", "not-found"),
    (f"--multiboot {PAYLOAD}" + " --module /boot/cpu" * 5, "invalid"),
    ("--kernel /boot/vmlinuz --module /boot/cpu", "usage"),
])
def test_refused_at_create(pair, line, code):
    got = pair.cmd("a", f"vm create x {line}")
    assert got.status == 1 and got.text.startswith(f"error: {code} "), got
    assert pair.ask("a", "vm list") == []


@pytest.mark.parametrize("line,text", [
    ("--multiboot /boot/vmlinuz", "no multiboot 1 header"),
    (f"--multiboot {PAYLOAD} --module /boot/vmlinuz --module /boot/vmlinuz --mem 16M", "need"),
])
def test_refused_at_start(pair, line, text):
    pair.run("a", f"vm create x {line}")
    got = pair.cmd("a", "vm start x")
    assert got.status == 1 and text in got.text, got
    pair.run("a", "vm delete x")
