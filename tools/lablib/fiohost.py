# SPDX-License-Identifier: BSD-2-Clause
"""Linux with fio and dd on emulated disks, which Tern's own work on disks is measured beside.

    host = FioHost(directory, ["virtio", "nvme"]); host.up(disks)
    host.fio("virtio", rw="randread", bs=4096, depth=32, seconds=4) -> {"iops": ..., "mb_s": ...}
    host.shell("dd ...", 60) -> what it says

Debian's kernel, with its own drivers and its own choice of queues and schedulers, and
Debian's fio as it is installed here. The cloud kernel has no driver for AHCI: with the package of
another (DEB) that kind is there too. To be fair to it: its clock is the TSC, as Tern's, because
fio looks at it often and the emulated HPET that Linux would choose costs three quarters of the
rate; two seconds go before the measuring, in which the emulator translates; and a run in which
a request took longer than any disk is not counted (QEMU 7.2's NVMe sometimes overlooks Linux's
doorbell in memory, which Tern does not use, and Linux then waits for its time-out).
"""
import json

from .emulator import disk_words
from .linuxhost import LinuxHost, with_libraries
from .paths import TOP, LabError

WORDS = "tsc=reliable clocksource=tsc no_timer_check"
MODULES = ["nvme", "virtio_pci", "virtio_blk", "sd_mod", "ata_piix", "ahci"]
WARM_UP_S, STALL_US, TRIES = 2, 5e6, 4
# Those of one driver are numbered in the order in which the emulator is told of them.
DEVICE = {"nvme": "/dev/nvme0n1", "nvme2": "/dev/nvme1n1", "virtio": "/dev/vda",
          "virtio2": "/dev/vdb", "ide": "/dev/sda", "ahci": "/dev/sdb"}


class FioHost(LinuxHost):
    def __init__(self, directory, kinds, deb=None):
        super().__init__(directory)
        self.kinds, self.deb = kinds, deb

    def up(self, disks, smp=2, mem=2048, timeout=300):
        """DISKS: what the lab is told of each, in the order of the kinds."""
        nodes = "".join(f"{self.device(k)}\n" for k in self.kinds)
        programs = {**with_libraries("bin/fio", "/usr/bin/fio"),
                    **with_libraries("bin/dd", "/bin/dd")}
        self.pack(programs, MODULES,
                  f"{TOP}/tools/lablib/fiohost.init", {"etc/disks": nodes}, self.deb)
        self.start([*self.argv(smp, mem, WORDS), *disk_words(disks)])
        self.wait(r"^host: ready", timeout)

    def device(self, kind):
        """Its node here: a SATA disk is the first where there is none of IDE."""
        return "/dev/sda" if kind == "ahci" and "ide" not in self.kinds else DEVICE[kind]

    def shell(self, line, timeout):
        said = self.ask(line, rb"(.*)host: ended: (\d+)\r?\n", timeout)
        text = said[1].decode(errors="replace")
        if said[2] != b"0":
            raise LabError(f"{line}: {text[-500:]}")
        return text

    def fio(self, kind, rw, bs, depth, seconds):
        for _ in range(TRIES):
            got = self._one_run(kind, rw, bs, depth, seconds)
            if got["max_us"] < STALL_US:
                return got
        raise LabError(f"fio, {kind}, {rw}: a stall in each of {TRIES} runs")

    def _one_run(self, kind, rw, bs, depth, seconds):
        line = (f"fio --name=bench --filename={self.device(kind)} --ioengine=libaio --direct=1 "
                f"--thread --ramp_time={WARM_UP_S} --runtime={seconds} --time_based --rw={rw} "
                f"--bs={bs} --iodepth={depth} --norandommap --randrepeat=0 --output-format=json")
        text = self.shell(line, 90 + 3 * seconds)
        got, = json.loads(text[text.index("{"):])["jobs"]
        side = got["write" if "write" in rw else "read"]
        return {"iops": side["iops"], "mb_s": side["bw_bytes"] / 1e6,
                "avg_us": side["lat_ns"]["mean"] / 1e3, "max_us": side["lat_ns"]["max"] / 1e3}
