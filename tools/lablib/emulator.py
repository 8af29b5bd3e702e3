# SPDX-License-Identifier: BSD-2-Clause
"""How one host is run.  `for_cpu(NAME)` gives the emulator for a CPU kind, QEMU
here or Bochs (bochs.py); each has

    check(options)          LabError when it cannot work here, or not so
    complaint(log)          what in its log says why it ended, or None
    patience                how many times as long as with QEMU things may take
    defaults                of the options that it has its own mind about
    mtu(lab_mtu)            the largest that its network devices take
    volume, make_volume     name and maker of the boot volume in HOST.dir
    cards                   the network cards it has
    argv(host)              the command line; HOST carries name, dir, mtu, port,
                            nics (net.Nic), opt (client.DEFAULTS)
    dials                   COM1: it connects to 127.0.0.1:HOST.port, else it listens
                            at the unix socket HOST.dir/serial
    offloads                its frames on a tap have a virtio-net header
"""
import os
import shutil

from . import image, mended
from .bochs import Bochs
from .paths import LabError

CODE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")


def kvm_asked():
    return os.environ.get("ACCEL") == "kvm"


def nesting():
    """The virtualization that KVM here can give to a host: svm, vmx or None."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return None
    for kind, module in (("svm", "kvm_amd"), ("vmx", "kvm_intel")):
        try:
            with open(f"/sys/module/{module}/parameters/nested", encoding="ascii") as f:
                if f.read().strip() in ("1", "Y"):
                    return kind
        except OSError:
            pass
    return None


def disk_words(disks):
    """A disk is `FILE[,WORD]...`: NVMe, or with `ide` a drive of a PIIX3, with `ahci` one of
    the chipset's AHCI, with `virtio` virtio-blk; `shared` with other hosts; `ro`;
    `debug=FILE`: fails as that file of QEMU's blkdebug says; `log=FILE`: all writes are
    recorded there in the format of dm-log-writes; `faults`: errors can be put in while it runs
    (diskfault.py); `bps=N`: no more than so many bytes a second; `ns`: another namespace of the
    NVMe controller before it; `KEY=VALUE`: the device's own."""
    out = []
    ide = ahci = nvme = 0
    for k, disk in enumerate(disks):
        path, *words = disk.split(",")
        own = "".join(f",{word}" for word in words
                      if "=" in word and word.split("=")[0] not in ("debug", "log", "bps"))
        for word in words:
            if word.startswith("debug="):
                path = f"blkdebug:{word[6:]}:{path}"
        lock, share = (",file.locking=off", ",share-rw=on") if "shared" in words else ("", "")
        log = next((word[4:] for word in words if word.startswith("log=")), None)
        drive = (f"driver=blklogwrites,file.driver=file,file.filename={path},"
                 f"log.driver=file,log.filename={log}" if log else
                 f"format=raw,file={path},cache=none,discard=unmap")
        if "faults" in words:
            drive = (f"driver=raw,node-name=f{k},file.driver=file,file.node-name=p{k},"
                     f"file.filename={path},cache=none,discard=unmap")
        lock += ",readonly=on" if "ro" in words else ""
        lock += "".join(f",throttling.bps-total={word[4:]}" for word in words
                        if word.startswith("bps="))
        out += ["-drive", f"if=none,id=d{k},{drive}{lock}", "-device"]
        if "ide" in words:
            if ide == 0:
                out += ["piix3-ide,id=pata", "-device"]
            out += [f"ide-hd,drive=d{k},bus=pata.{ide // 2},unit={ide % 2},serial=disk{k}"
                    + share + own]
            ide += 1
        elif "ahci" in words:
            out += [f"ide-hd,drive=d{k},bus=ide.{ahci},serial=disk{k}" + share + own]
            ahci += 1
        elif "virtio" in words:
            out += [f"virtio-blk-pci,drive=d{k},disable-legacy=on,serial=disk{k}" + share + own]
        elif "ns" in words:
            out += [f"nvme-ns,drive=d{k},bus=nvme{nvme}{share}{own}"]
        else:
            nvme = k
            out += [f"nvme,id=nvme{k},drive=d{k},serial=disk{k}{share}{own}"]
    return out


class Qemu:
    """AMD-V hosts by translation (TCG); with ACCEL=kvm what this machine has, where it nests."""

    program = "qemu-system-x86_64"
    defaults = dict(smp=2, mem=1024, nic="virtio", cpu_model=None)
    cards = ("virtio", "e1000", "e1000e")
    dials, offloads, patience = False, True, 1
    volume, make_volume = "esp.img", staticmethod(image.make)

    def __init__(self, kind):
        self.kind, self.kvm = kind, kvm_asked()

    @staticmethod
    def mtu(lab_mtu):
        return lab_mtu

    @staticmethod
    def complaint(_log):
        return None

    def check(self, options):
        if options["ips"]:
            raise LabError(f"--ips {options['ips']}: only with --cpu vmx, in Bochs")
        if not shutil.which(self.program):
            raise LabError(f"{self.program} is missing: run tools/setup")
        if not os.path.exists(CODE[0]):
            raise LabError(f"{CODE[0]} is missing: run tools/setup")
        if self.kvm and self.kind != nesting():
            raise LabError(f"ACCEL=kvm: --cpu {self.kind} needs a machine that has it and nests "
                           "it, and access to /dev/kvm")

    def _cpu(self, host):
        if self.kvm:
            return ["-accel", "kvm", "-cpu", "host"]
        model = host.opt["cpu_model"] or os.environ.get("TERN_LAB_CPU", "max")
        return ["-accel", "tcg,thread=multi", "-cpu", model]

    @staticmethod
    def _disks(host):
        """The boot volume is on SCSI, for which hosts have no driver: their first disk is the
        first that was asked for."""
        return ["-drive", f"if=none,id=esp,format=raw,file={host.dir}/esp.img",
                "-device", "virtio-scsi-pci,id=boot,disable-legacy=on",
                "-device", "scsi-hd,drive=esp,bus=boot.0,bootindex=1",
                *disk_words(host.opt["disks"])]

    @staticmethod
    def _nics(host, mtu):
        card = host.opt["nic"]
        if card == "virtio":
            card = ("virtio-net-pci,disable-legacy=on,mrg_rxbuf=on,rx_queue_size=1024,"
                    f"host_mtu={mtu}")
        out = []
        for k, nic in enumerate(host.nics):
            out += ["-netdev", f"{nic.netdev},id=n{k}",
                    "-device", f"{card},netdev=n{k},mac={nic.mac},romfile="]
        return out

    def argv(self, host):
        shutil.copyfile(CODE[1], f"{host.dir}/vars.fd")
        program = self.program if self.kvm else mended.program(self.program)
        return [program, "-name", f"tern-{host.name}", "-machine", "q35", *self._cpu(host),
                "-m", str(host.opt["mem"]), *(["-mem-prealloc"] if host.opt["prealloc"] else []),
                "-smp", str(host.opt["smp"]),
                "-nodefaults", "-no-user-config", "-display", "none",
                *([] if host.opt["reset"] else ["-no-reboot"]), "-boot", "menu=off",
                "-drive", f"if=pflash,format=raw,readonly=on,file={CODE[0]}",
                "-drive", f"if=pflash,format=raw,file={host.dir}/vars.fd",
                *self._disks(host), *self._nics(host, host.mtu),
                "-chardev", f"socket,id=com1,path={host.dir}/serial,server=on,wait=on",
                "-serial", "chardev:com1", *(["-device", "VGA"] if host.opt["vga"] else []),
                "-chardev", f"socket,id=qmp,path={host.dir}/qmp,server=on,wait=off",
                "-mon", "chardev=qmp,mode=control"]


def for_cpu(kind):
    if kind not in ("svm", "vmx"):
        raise LabError(f"--cpu {kind}: svm or vmx")
    return Qemu(kind) if kind == "svm" or kvm_asked() else Bochs()
