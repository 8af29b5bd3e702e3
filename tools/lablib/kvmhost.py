# SPDX-License-Identifier: BSD-2-Clause
"""What Tern is measured beside: Linux, KVM and QEMU with one guest, in the lab's network.

    host = KvmHost(lab, directory); host.up(addr="10.77.0.60/24"); ...; host.exits(); host.down()

The host is Debian's kernel under the very emulator that a Tern host has (QEMU by
translation, the same CPU, memory and network card), with kvm_amd, a bridge, and this
machine's own QEMU; the guest is the lab's test guest with the kernel and the initrd of
Tern's, its virtio-net served by vhost in the host's kernel.  Made from what tools/setup has
unpacked and what is installed here; nothing is downloaded.
"""
from . import image, net
from .linuxhost import QEMU, LinuxHost, with_libraries
from .paths import TOP, LabError

INDEX = 200             # in the lab's network: 10.77.0.200
TAP = f"h{INDEX}n0"
MODULES = ["virtio_pci", "virtio_net", "bridge", "tun", "vhost_net", "kvm_amd"]
FIRMWARE = {"/usr/share/seabios": ["bios-256k.bin"],
            "/usr/share/qemu": ["linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin"]}


def _qemu_words(addr, mac, mtu, cmdline):
    return (f"-M q35 -accel kvm -cpu host -smp 1 -m 256 -nodefaults -display none -no-reboot "
            f"-L /usr/share/qemu -kernel /guest/vmlinux -initrd /guest/initrd "
            f"-append '{cmdline} tern.net={addr}' -serial file:/dev/ttyS0 "
            f"-netdev tap,id=n0,ifname=t0,script=no,downscript=no,vhost=on "
            f"-device virtio-net-pci,netdev=n0,mac={mac},host_mtu={mtu},mrg_rxbuf=on,romfile=")


class KvmHost(LinuxHost):
    def __init__(self, lab, directory):
        super().__init__(directory)
        self.lab = lab

    def _pack(self, host_file):
        files = with_libraries("bin/qemu-system-x86_64", QEMU)
        for directory, names in FIRMWARE.items():
            files.update({f"usr/share/qemu/{n}": f"{directory}/{n}" for n in names})
        files.update({"guest/vmlinux": f"{self.dir}/vmlinux", "guest/initrd": f"{self.dir}/initrd"})
        self.pack(files, MODULES, f"{TOP}/tools/lablib/kvmhost.init", {"etc/host": host_file})

    def _tap(self, mtu):
        for words in (f"tuntap add {TAP} mode tap vnet_hdr",
                      f"link set {TAP} mtu {mtu} master br0 up"):
            done = self.lab.exec(["ip", *words.split()], capture_output=True)
            if done.returncode:
                raise LabError(f"ip {words}: {done.stderr.decode().strip()}")

    @staticmethod
    def _nic(mtu):
        return ["-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no,vnet_hdr=on",
                "-device", "virtio-net-pci,disable-legacy=on,mrg_rxbuf=on,rx_queue_size=1024,"
                f"host_mtu={mtu},netdev=n0,mac={net.mac(INDEX, 0)},romfile="]

    def up(self, addr, mac, cmdline, smp=2, mem=2048, timeout=300):
        """Returns when the guest with ADDR (ADDR/BITS) is ready."""
        mtu = self.lab.status()["mtu"]
        words = _qemu_words(addr, mac, mtu, cmdline)
        self._pack(f'MTU={mtu}\nADDRESS={image.address(INDEX)}/24\nQEMU="{words}"\n')
        self._tap(mtu)
        self.start(self.lab.exec_argv([*self.argv(smp, mem), *self._nic(mtu)]))
        self.wait(r"^guest: ready", timeout)

    def exits(self):
        """All exits of its guest so far, by KVM's own count."""
        return int(self.ask("", rb"host: exits (\d+)\r?\n")[1])

    def down(self):
        if self.process:
            super().down()
            self.lab.exec(["ip", "link", "del", TAP], capture_output=True)
