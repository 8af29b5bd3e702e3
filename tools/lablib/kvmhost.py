# SPDX-License-Identifier: BSD-2-Clause
"""What Tern is measured beside: Linux, KVM and QEMU with one guest, in the lab's network.

    host = KvmHost(lab, directory); host.up(addr="10.77.0.60/24"); ...; host.exits(); host.down()

The host is Debian's kernel under the very emulator that a Tern host has (QEMU by
translation, the same CPU, memory and network card), with kvm_amd, a bridge, and this
machine's own QEMU; the guest is the lab's test guest with the kernel and the initrd of
Tern's, its virtio-net served by vhost in the host's kernel.  Made from what tools/setup has
unpacked and what is installed here; nothing is downloaded.
"""
import importlib.machinery
import importlib.util
import os
import re
import socket
import subprocess
import time

from . import image, net
from .paths import TOP, LabError

INDEX = 200             # in the lab's network: 10.77.0.200
TAP = f"h{INDEX}n0"
KERNEL_WORDS = "console=ttyS0 quiet mitigations=off"
MODULES = ["virtio_pci", "virtio_net", "bridge", "tun", "vhost_net", "kvm_amd"]
FIRMWARE = {"/usr/share/seabios": ["bios-256k.bin"],
            "/usr/share/qemu": ["linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin"]}
QEMU = "/usr/bin/qemu-system-x86_64"


def _tool(name):
    """A program of tools/ as a module."""
    loader = importlib.machinery.SourceFileLoader(f"tool_{name}", f"{TOP}/tools/{name}")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def _libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", out)))


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def _qemu_words(addr, mac, mtu, cmdline):
    return (f"-M q35 -accel kvm -cpu host -smp 1 -m 256 -nodefaults -display none -no-reboot "
            f"-L /usr/share/qemu -kernel /guest/vmlinux -initrd /guest/initrd "
            f"-append '{cmdline} tern.net={addr}' -serial file:/dev/ttyS0 "
            f"-netdev tap,id=n0,ifname=t0,script=no,downscript=no,vhost=on "
            f"-device virtio-net-pci,netdev=n0,mac={mac},host_mtu={mtu},mrg_rxbuf=on,romfile=")


class KvmHost:
    def __init__(self, lab, directory):
        self.lab, self.dir, self.process = lab, directory, None
        self.console = f"{directory}/console"

    def _initrd(self, host_file):
        tool, files = _tool("guest"), {}
        modules = tool.module_files(f"{tool.SETUP}/modules")
        order = tool.in_order(MODULES, modules)
        for name in order:
            files[f"lib/modules/{name}.ko"] = modules[name]
        for path in _libraries(QEMU):
            files[path.lstrip("/") if path.startswith("/lib64") else
                  f"lib/{os.path.basename(path)}"] = path
        for directory, names in FIRMWARE.items():
            files.update({f"usr/share/qemu/{n}": f"{directory}/{n}" for n in names})
        files.update({"bin/busybox": f"{tool.SETUP}/busybox", "bin/qemu-system-x86_64": QEMU,
                      "init": f"{TOP}/tools/lablib/kvmhost.init",
                      "guest/vmlinux": f"{self.dir}/vmlinux", "guest/initrd": f"{self.dir}/initrd"})
        pack = tool.Cpio()
        for name in ("dev", "bin", "etc", "lib", "lib64", "lib/modules", "guest", "usr",
                     "usr/share", "usr/share/qemu"):
            pack.entry(name, 0o040755)
        pack.entry("dev/console", 0o020600, rdev=(5, 1))
        for name, path in files.items():
            pack.entry(name, 0o100755, _read(path))
        pack.entry("etc/host", 0o100644, host_file.encode())
        pack.entry("lib/modules/order", 0o100644, "".join(f"{n}.ko\n" for n in order).encode())
        with open(f"{self.dir}/host.cpio", "wb") as f:
            f.write(pack.finish())

    def _tap(self, mtu):
        for words in (f"tuntap add {TAP} mode tap vnet_hdr",
                      f"link set {TAP} mtu {mtu} master br0 up"):
            done = self.lab.exec(["ip", *words.split()], capture_output=True)
            if done.returncode:
                raise LabError(f"ip {words}: {done.stderr.decode().strip()}")

    def _argv(self, mtu, smp, mem):
        cpu = os.environ.get("TERN_LAB_CPU", "max")
        return [QEMU, "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", cpu,
                "-m", str(mem), "-smp", str(smp), "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-kernel", f"{self.dir}/vmlinux",
                "-initrd", f"{self.dir}/host.cpio", "-append", KERNEL_WORDS,
                "-serial", f"file:{self.console}",
                "-chardev", f"socket,id=ask,path={self.dir}/ask,server=on,wait=off",
                "-serial", "chardev:ask",
                "-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no,vnet_hdr=on",
                "-device", "virtio-net-pci,disable-legacy=on,mrg_rxbuf=on,rx_queue_size=1024,"
                f"host_mtu={mtu},netdev=n0,mac={net.mac(INDEX, 0)},romfile="]

    def up(self, addr, mac, cmdline, smp=2, mem=2048, timeout=300):
        """Returns when the guest with ADDR (ADDR/BITS) is ready."""
        mtu = self.lab.status()["mtu"]
        os.makedirs(self.dir, exist_ok=True)
        subprocess.run([f"{TOP}/tools/guest", "--vmlinux", "--out", self.dir], check=True,
                       stdout=subprocess.DEVNULL)
        words = _qemu_words(addr, mac, mtu, cmdline)
        self._initrd(f'MTU={mtu}\nADDRESS={image.address(INDEX)}/24\nQEMU="{words}"\n')
        self._tap(mtu)
        with open(f"{self.dir}/emulator.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.lab.exec_argv(self._argv(mtu, smp, mem)),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait(r"^guest: ready", timeout)

    def _wait(self, pattern, timeout):
        end = time.monotonic() + timeout
        while True:
            text = _read(self.console).decode(errors="replace") if os.path.exists(self.console) \
                else ""
            if re.search(pattern, text, re.M):
                return
            if self.process.poll() is not None or time.monotonic() > end:
                raise LabError(f"the Linux host did not say '{pattern}': {text[-800:]}")
            time.sleep(0.2)

    def exits(self):
        """All exits of its guest so far, by KVM's own count."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(f"{self.dir}/ask")
            s.sendall(b"\n")
            seen = b""
            while True:
                found = re.search(rb"host: exits (\d+)\r?\n", seen)
                if found:
                    return int(found[1])
                seen += s.recv(4096)

    def down(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.lab.exec(["ip", "link", "del", TAP], capture_output=True)
            self.process = None
