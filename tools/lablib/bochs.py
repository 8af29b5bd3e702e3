# SPDX-License-Identifier: BSD-2-Clause
"""Hosts with Intel VT-x: Debian's Bochs, started by GRUB (multiboot2).

Bochs dials the hub for its serial line and starts its CPUs when the hub has
answered.  Its own log goes to HOST.dir/emulator.log.  One guest instruction is
one tick of every clock; `sync=slowdown` holds these clocks back to the time of
day, never ahead of it; a host that falls behind does not catch up in a rush
(docs/testing.md).  There is no VESA BIOS: asked for modes by GRUB, which Tern's
loader wants a framebuffer of, Bochs' one leaves GRUB with a broken heap.
"""
import os
import re
import shutil
import subprocess

from . import paths
from .paths import LabError

GRUB_DIR = "/usr/lib/grub/i386-pc"
GRUB_MODULES = "multiboot2 normal iso9660 biosdisk serial"
NEEDS = ("/usr/bin/bochs-bin", "/usr/share/bochs/BIOS-bochs-latest",
         "/usr/share/vgabios/vgabios.bin", f"{GRUB_DIR}/multiboot2.mod",
         "/usr/bin/grub-mkrescue", "/usr/bin/xorriso")
MAX_MEM_MIB, MAX_CPUS, MAX_DISKS, MAX_NICS = 2048, 8, 3, 4
MTU = 1500              # its network modules take frames of 1514 bytes
IPS = 40_000_000        # guest instructions that make a second; about what it reaches
MIN_IPS, MAX_IPS = 10_000_000, 200_000_000
DISK_UNIT = 16 * 63 * 512

CONFIG = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
plugin_ctrl: speaker=0
megs: {mem}
cpu: model={model}, count={smp}, ips={ips}, reset_on_triple_fault=0, ignore_bad_msrs=0
log: {log}
clock: {clock}
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=none, update_freq=1
pci: enabled=1, chipset=i440fx{slots}
com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
{devices}"""

GRUB = """\
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
set default=0
menuentry tern {{
  multiboot2 /boot/tern.mb2
  module2 --nounzip /tern/kernel.elf kernel.elf
  module2 --nounzip /tern.conf tern.conf
{files}}}
"""


def make_iso(path, config, files):
    """Writes a bootable CD to PATH; CONFIG is tern.conf, FILES are put under /boot/."""
    loader, kernel = f"{paths.BUILD}/tern.mb2", f"{paths.BUILD}/kernel.elf"
    for need in (loader, kernel):
        if not os.path.exists(need):
            raise LabError(f"{need} is missing: run make")
    tree = path + ".tree"
    shutil.rmtree(tree, ignore_errors=True)
    put = [(loader, "boot/tern.mb2"), (kernel, "tern/kernel.elf"),
           *((f, "boot/files/" + os.path.basename(f)) for f in files)]
    for source, name in put:
        os.makedirs(os.path.dirname(f"{tree}/{name}"), exist_ok=True)
        shutil.copyfile(source, f"{tree}/{name}")
    modules = "".join(f"  module2 --nounzip /boot/files/{n} /boot/{n}\n"
                      for n in map(os.path.basename, files))
    os.makedirs(f"{tree}/boot/grub", exist_ok=True)
    for name, text in (("tern.conf", config), ("boot/grub/grub.cfg", GRUB.format(files=modules))):
        with open(f"{tree}/{name}", "w", encoding="ascii") as f:
            f.write(text)
    done = subprocess.run(
        ["grub-mkrescue", "-d", GRUB_DIR, "--locales=", "--fonts=", "--themes=",
         f"--install-modules={GRUB_MODULES}", "-o", path, tree],
        capture_output=True, text=True, check=False)
    shutil.rmtree(tree)
    if done.returncode:
        raise LabError(f"grub-mkrescue: {done.stderr.strip()[-300:]}")


def command(config, debugger):
    """Debian's Bochs has the debugger built in: the file DEBUGGER tells it to continue."""
    return ["bochs-bin", "-q", "-unlock", "-f", config, "-rc", debugger]


class Bochs:
    """VT-x hosts, and with --cpu-model ryzen AMD-V hosts of another kind."""

    defaults = dict(smp=1, mem=512, nic="e1000", cpu_model="corei7_skylake_x", ips=IPS)
    cards = ("e1000",)
    dials = True            # for its serial line, by TCP; nobody listens at HOST.dir/serial
    offloads = False        # its frames on a tap have no virtio-net header
    patience = 5
    volume = "tern.iso"

    def check(self, opt):
        for need in NEEDS:
            if not os.path.exists(need):
                raise LabError(f"{need} is missing: run tools/setup")
        for what, most in (("mem", MAX_MEM_MIB), ("smp", MAX_CPUS), ("nics", MAX_NICS)):
            if opt[what] > most:
                raise LabError(f"--{what} {opt[what]}: hosts with --cpu vmx have at most {most}")
        if not MIN_IPS <= opt["ips"] <= MAX_IPS:
            raise LabError(f"--ips {opt['ips']}: from {MIN_IPS} to {MAX_IPS}")
        if opt["reset"]:
            raise LabError("--reset: not with --cpu vmx")
        if opt["prealloc"]:
            raise LabError("--prealloc: not with --cpu vmx")
        if len(opt["disks"]) > MAX_DISKS:
            raise LabError(f"--disk: hosts with --cpu vmx have at most {MAX_DISKS}")
        for disk in opt["disks"]:
            path, _, mode = disk.partition(",")
            if mode not in ("", "ide"):
                raise LabError(f"--disk {disk}: hosts with --cpu vmx do not share disks")
            if not os.path.isfile(path) or os.path.getsize(path) % DISK_UNIT:
                raise LabError(f"--disk {path}: its size must be a multiple of {DISK_UNIT} bytes "
                               "with --cpu vmx")

    @staticmethod
    def mtu(lab_mtu):
        return min(lab_mtu, MTU)

    @staticmethod
    def complaint(log):
        found = re.findall(r"^\d+[ep]\[.{6}\] (?!notify)(.*)", log, re.M)
        return found[0] if found else None

    make_volume = staticmethod(make_iso)

    @staticmethod
    def _devices(host):
        disks = ["ata0-slave", "ata1-master", "ata1-slave"]
        lines = [f"{unit}: type=disk, path={disk.partition(',')[0]}, mode=flat"
                 for unit, disk in zip(disks, host.opt["disks"])]
        lines += [f"e1000: card={k}, enabled=1, mac={nic.mac}, ethmod=tuntap, "
                  f"ethdev=/dev/net/tun:{nic.tap}, script=none" for k, nic in enumerate(host.nics)]
        return "".join(line + "\n" for line in lines)

    def argv(self, host):
        if any(not nic.tap for nic in host.nics):
            raise LabError("--cpu vmx: its network needs taps (root, or a user namespace and "
                           "access to /dev/net/tun), or --nics 0")
        text = CONFIG.format(
            mem=host.opt["mem"], smp=host.opt["smp"], ips=host.opt["ips"], log="-", port=host.port,
            model=host.opt["cpu_model"],
            clock="sync=slowdown, time0=utc", iso=f"{host.dir}/{self.volume}",
            slots="".join(f", slot{k + 1}=e1000" for k in range(len(host.nics))),
            devices=self._devices(host))
        with open(f"{host.dir}/bochsrc", "w", encoding="ascii") as f:
            f.write(text)
        with open(f"{host.dir}/debugger", "w", encoding="ascii") as f:
            f.write("c\n")
        return command(f"{host.dir}/bochsrc", f"{host.dir}/debugger")
