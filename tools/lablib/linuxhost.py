# SPDX-License-Identifier: BSD-2-Clause
"""A Linux that Tern is measured beside: Debian's kernel under the very emulator that a Tern
host has, with an initrd packed for its task.

    class Mine(LinuxHost): ...
    host.pack({"bin/tool": "/usr/bin/tool", ...}, ["virtio_net"], "/init's file", {"etc/x": "text"})
    host.start(argv + host.argv(smp, mem))
    host.wait(r"^ready", 60); host.ask("a line", rb"answer (.*)\\n", 60)
    host.down()

Made from what tools/setup has unpacked and what is installed here; nothing is downloaded.
"""
import importlib.machinery
import importlib.util
import os
import re
import socket
import subprocess
import time

from . import mended
from .paths import TOP, LabError

KERNEL_WORDS = "console=ttyS0 quiet mitigations=off"    # what costs it and not Tern is off
QEMU = "/usr/bin/qemu-system-x86_64"


def _tool(name):
    """A program of tools/ as a module."""
    loader = importlib.machinery.SourceFileLoader(f"tool_{name}", f"{TOP}/tools/{name}")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def with_libraries(name, program):
    """{path in the initrd: file here} of a program that is installed, and what it loads."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    files = {path.lstrip("/") if path.startswith("/lib64") else f"lib/{os.path.basename(path)}":
             path for path in sorted(set(re.findall(r"(/\S+) \(0x", out)))}
    return {**files, name: program}


class LinuxHost:
    def __init__(self, directory):
        self.dir, self.process = directory, None
        self.console = f"{directory}/console"
        os.makedirs(directory, exist_ok=True)

    def _take_kernel(self, tool, deb):
        """Debian's cloud kernel, or the one of a package; where its modules are."""
        if deb:
            bzimage, modules = tool.unpack(deb, f"{self.dir}/deb")
            os.symlink(bzimage, f"{self.dir}/vmlinux")
            return modules
        subprocess.run([f"{TOP}/tools/guest", "--vmlinux", "--out", self.dir], check=True,
                       stdout=subprocess.DEVNULL)
        return f"{tool.SETUP}/modules"

    def pack(self, files, modules, init, texts, deb=None):
        """The kernel, and an initrd of FILES, those of MODULES that are not in the kernel, all
        that they need, and small TEXTS."""
        tool = _tool("guest")
        known = tool.module_files(self._take_kernel(tool, deb))
        order = tool.in_order(modules, known)
        files = {**files, "bin/busybox": f"{tool.SETUP}/busybox", "init": init,
                 **{f"lib/modules/{n}.ko": known[n] for n in order}}
        texts = {**texts, "lib/modules/order": "".join(f"{n}.ko\n" for n in order)}
        pack, places = tool.Cpio(), {"dev", "bin", "etc", "lib", "lib64"}
        for name in (*files, *texts):
            while name := os.path.dirname(name):
                places.add(name)
        for name in sorted(places):
            pack.entry(name, 0o040755)
        pack.entry("dev/console", 0o020600, rdev=(5, 1))
        for name, path in files.items():
            pack.entry(name, 0o100755, _read(path))
        for name, text in texts.items():
            pack.entry(name, 0o100644, text.encode())
        with open(f"{self.dir}/host.cpio", "wb") as f:
            f.write(pack.finish())

    def argv(self, smp, mem, words=""):
        cpu = os.environ.get("TERN_LAB_CPU", "max")
        return [mended.program(QEMU), "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", cpu,
                "-m", str(mem), "-smp", str(smp), "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-kernel", f"{self.dir}/vmlinux",
                "-initrd", f"{self.dir}/host.cpio", "-append", f"{KERNEL_WORDS} {words}",
                "-serial", f"file:{self.console}",
                "-chardev", f"socket,id=ask,path={self.dir}/ask,server=on,wait=off",
                "-serial", "chardev:ask"]

    def start(self, argv):
        with open(f"{self.dir}/emulator.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self, pattern, timeout):
        """Until it says PATTERN on its console."""
        end = time.monotonic() + timeout
        while True:
            text = _read(self.console).decode(errors="replace") if os.path.exists(self.console) \
                else ""
            if re.search(pattern, text, re.M):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                raise LabError(f"the Linux host did not say '{pattern}': {text[-800:]}")
            time.sleep(0.2)

    def ask(self, line, pattern, timeout=60):
        """A line on its second serial port, and what it answers: a match of PATTERN."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(f"{self.dir}/ask")
            s.sendall(line.encode() + b"\n")
            seen = b""
            while True:
                found = re.search(pattern, seen, re.S)
                if found:
                    return found
                got = s.recv(4096)
                if not got:
                    raise LabError(f"the Linux host ended; it said {seen[-300:]}")
                seen += got

    def down(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
