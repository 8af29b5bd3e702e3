# SPDX-License-Identifier: BSD-2-Clause
"""The test guest without Tern: directly in the same emulator, as a baseline."""
import os
import subprocess
import tempfile
import time

from .paths import LabError


def _grow(path, text, process, deadline):
    """Time at which TEXT is first seen in the file PATH."""
    while time.monotonic() < deadline and process.poll() is None:
        if os.path.exists(path):
            with open(path, "rb") as f:
                if text in f.read():
                    return time.monotonic()
        time.sleep(0.005)
    raise LabError(f"direct boot: no '{text.decode()}'")


def boot_seconds(kernel, initrd, cmdline, mem_mib=256, timeout=120):
    """Kernel entry to `guest: init` with one vCPU.

    The firmware says "Booting from" on its debug port just before it enters the
    kernel, so firmware and emulator start-up are not counted."""
    with tempfile.TemporaryDirectory() as tmp:
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
             "-m", str(mem_mib), "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none",
             "-no-reboot", "-device", "virtio-rng-pci", "-kernel", kernel, "-initrd", initrd,
             "-append", cmdline, "-serial", f"file:{tmp}/s0", "-serial", f"file:{tmp}/s1",
             "-chardev", f"file,id=fw,path={tmp}/fw",
             "-device", "isa-debugcon,iobase=0x402,chardev=fw"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + timeout
            entered = _grow(f"{tmp}/fw", b"Booting from", process, deadline)
            return _grow(f"{tmp}/s0", b"guest: init", process, deadline) - entered
        finally:
            process.kill()
            process.wait()
