# SPDX-License-Identifier: BSD-2-Clause
"""A Debian with systemd, on a virtual disk: packages of tools/deps/debian.txt, by mmdebstrap.

    debian.make("build/debian")              # about 80 s, then cached
    debian.make("build/debian", uefi=True)   # a disk with a boot loader too

Writes vmlinuz and initrd.img, as Debian made them in that system; root.disk, an ext4 file system
without a partition table; with UEFI also uefi.disk, a GPT disk of a boot partition (Debian's
signed shim and GRUB, in the places where firmware looks) and the same file system. ds1.img is a
datastore that has them all as /ds/ds1/deb/... . It needs no network and no loop devices: packages
are tools/setup's, and file systems are filled as they are made.
"""
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

from . import judges
from .paths import BUILD, TOP, LabError

TP = f"{TOP}/build/third-party"
PACKAGES = f"{TP}/dl/debian"            # tools/setup's, a repository of apt's
BOOT_CHAIN = f"{TP}/judges/usr/lib"     # where tools/setup unpacks shim and GRUB
SCRIPTS = f"{TOP}/test/guest/debian"
LIST = f"{TOP}/tools/deps/debian.txt"
FILES = ["vmlinuz", "initrd.img", "root.disk"]
ROOT_MIB, ESP_MIB, DATASTORE_MIB = 640, 34, 2048
NOT_NEEDED = ("man", "doc", "locale", "i18n", "info")
# A loaded machine is given time for its heartbeats.
TIMES = ["--beat", "1000", "--lease", "6000", "--io-timeout", "500"]


def _run(*argv, log=None, **kw):
    out = subprocess.DEVNULL if log is None else log
    try:
        subprocess.run([str(a) for a in argv], check=True, stdout=out, stderr=log and
                       subprocess.STDOUT, **kw)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is not installed: run tools/setup") from None
    except subprocess.CalledProcessError as e:
        where = f" (log: {log.name})" if log else ""
        raise LabError(f"{os.path.basename(str(argv[0]))} failed: {e.returncode}{where}") from None


def _names():
    with open(LIST, encoding="ascii") as f:
        return [line.strip() for line in f if line.strip() and not line.startswith("#")]


def _kernel():
    found = glob.glob(f"{TP}/dl/linux-image-*.deb")
    if not found or not os.path.exists(f"{PACKAGES}/Release"):
        raise LabError("the Debian guest's packages are missing: run tools/setup")
    return found[0]


def _key():
    """Changes when anything does that the disks are made of."""
    h = hashlib.sha256(os.path.basename(_kernel()).encode())
    scripts = glob.glob(f"{SCRIPTS}/*") + glob.glob(f"{judges.SCRIPTS}/*")
    for path in (__file__, LIST, f"{PACKAGES}/Packages", *sorted(scripts)):
        with open(path, "rb") as f:
            h.update(f.read())
    return h.hexdigest()


def _bootstrap(tar, log):
    """A file system of packages as a tar, whoever runs this: mmdebstrap finds a way."""
    without = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in NOT_NEEDED]
    _run("mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(_names())}",
         "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "--dpkgopt=force-unsafe-io", *without,
         f"--customize-hook='{SCRIPTS}/customize' \"$1\" '{_kernel()}' '{judges.SCRIPTS}'",
         "bookworm", tar, f"deb [trusted=yes] copy:{PACKAGES} ./", log=log)


def _file_system(tar, tmp, out, log):
    """fakeroot keeps owners and devices, which this user may not be able to make."""
    script = 'mkdir "$2/root" && tar -xf "$1" -C "$2/root" --exclude="./dev/*" && ' \
             'mke2fs -q -t ext4 -L root -d "$2/root" "$3"'
    with open(out, "wb") as f:
        f.truncate(ROOT_MIB << 20)
    _run("fakeroot", "sh", "-c", script, "sh", tar, tmp, out, log=log)


def _copy_at(source, target, at_mib):
    _run("dd", f"if={source}", f"of={target}", "bs=1M", f"seek={at_mib}", "conv=sparse,notrunc",
         "status=none")


def boot_partition(esp, mib, grub_cfg):
    """A FAT volume that UEFI firmware boots: Debian's signed shim, and GRUB with this file."""
    with open(esp, "wb") as f:
        f.truncate(mib << 20)
    _run("mkfs.vfat", "-n", "ESP", esp)
    _run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    for source, name in ((f"{BOOT_CHAIN}/shim/shimx64.efi.signed", "BOOT/BOOTX64.EFI"),
                         (f"{BOOT_CHAIN}/grub/x86_64-efi-signed/grubx64.efi.signed",
                          "BOOT/grubx64.efi"),
                         (grub_cfg, "debian/grub.cfg")):
        _run("mcopy", "-i", esp, source, f"::/EFI/{name}")


def _uefi_disk(root, tmp, out):
    table = f"label: gpt\nstart=1MiB, size={ESP_MIB - 1}MiB, type=U, name=esp\n" \
            f"start={ESP_MIB}MiB, size={ROOT_MIB}MiB, type=L, name=root\n"
    with open(out, "wb") as f:
        f.truncate((ESP_MIB + ROOT_MIB + 1) << 20)
    _run("sfdisk", "--quiet", out, input=table.encode())
    boot_partition(f"{tmp}/esp.img", ESP_MIB - 1, f"{SCRIPTS}/grub.cfg")
    _copy_at(f"{tmp}/esp.img", out, 1)
    _copy_at(root, out, ESP_MIB)


def _datastore(directory, files):
    image, tool = f"{directory}/ds1.img", f"{BUILD}/terndisk"
    if os.path.exists(image):
        os.unlink(image)
    if not os.path.exists(tool):
        raise LabError(f"{tool} is not built: run make")
    _run(tool, "mkfs", image, "--size", f"{DATASTORE_MIB}M", "--name", "ds1", *TIMES)
    for name in files:
        kind = "thin" if name.endswith(".disk") else "plain"
        _run(tool, "import", image, f"{directory}/{name}", f"deb/{name}", "--kind", kind)


def _build(directory, tmp):
    with open(f"{BUILD}/debian.log", "wb") as log:
        _bootstrap(f"{tmp}/root.tar", log)
        _file_system(f"{tmp}/root.tar", tmp, f"{tmp}/root.disk", log)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile(glob.glob(f"{tmp}/root/boot/{name}-*")[0], f"{directory}/{name}")
    os.replace(f"{tmp}/root.disk", f"{directory}/root.disk")
    if os.path.exists(f"{directory}/uefi.disk"):
        os.unlink(f"{directory}/uefi.disk")


def _made(mark):
    """By which key; what stands there was whole when this was written."""
    if not os.path.exists(mark):
        return ""
    with open(mark, encoding="ascii") as f:
        return f.read()


def make(directory, uefi=False, force=False):
    """True when something had to be made. Two at once wait for each other."""
    directory = os.path.abspath(directory)
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _make(directory, uefi, force)


def _make(directory, uefi, force):
    mark, disk = f"{directory}/made", f"{directory}/uefi.disk"
    current = not force and _made(mark) == _key()
    if current and (os.path.exists(disk) or not uefi):
        return False
    with tempfile.TemporaryDirectory(dir=directory) as tmp:
        if os.path.exists(mark):
            os.unlink(mark)
        if not current:
            _build(directory, tmp)
        if uefi:
            _uefi_disk(f"{directory}/root.disk", tmp, disk)
    _datastore(directory, FILES + (["uefi.disk"] if uefi else []))
    with open(mark, "w", encoding="ascii") as f:
        f.write(_key())
    return True
