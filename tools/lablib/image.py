# SPDX-License-Identifier: BSD-2-Clause
"""A host's boot volume: a FAT32 image made by mtools, no root needed.

    /EFI/BOOT/BOOTX64.EFI   the loader
    /tern/kernel.elf        the kernel
    /tern.conf              text of `key = value` lines (config_text)
    /boot/*                 the files given by `lab up --files DIR`
"""
import os
import subprocess

from .paths import BUILD, LabError

MIB = 1 << 20


def config_text(name, index, nics, mtu, extra=()):
    """tern.conf for one host: the only place that knows its keys."""
    lines = [f"hostname = {name}"]
    for k in range(nics):
        lines += [f"net{k}.addr = {address(index, k)}/24",
                  f"net{k}.addr6 = {address6(index, k)}/64",
                  f"net{k}.mtu = {mtu}"]
    lines += [f"host.{chr(96 + i)} = {address(i)}" for i in range(1, 9)]
    return "\n".join([*lines, *extra]) + "\n"


def address(index, nic=0):
    return f"10.77.{nic}.{index}"


def address6(index, nic=0):
    return f"fd77:{nic:x}::{index:x}" if nic else f"fd77::{index:x}"


def _run(*argv):
    env = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise LabError(f"{argv[0]}: {done.stderr.strip() or 'failed'}")


def boot_files(directory):
    if not directory:
        return []
    if not os.path.isdir(directory):
        raise LabError(f"--files: no directory {directory}")
    return sorted(e.path for e in os.scandir(directory)
                  if e.is_file() and not e.name.startswith("."))


def make(path, config, files):
    """Writes the image to PATH; CONFIG is text, FILES are paths put under /boot/."""
    loader, kernel = f"{BUILD}/tern.efi", f"{BUILD}/tern.elf"
    for need in (loader, kernel):
        if not os.path.exists(need):
            raise LabError(f"{need} is missing: run make")
    conf = path + ".conf"
    with open(conf, "w", encoding="ascii") as f:
        f.write(config)
    content = sum(os.path.getsize(p) for p in [loader, kernel, conf, *files])
    size = max(48 * MIB, (content + content // 50 + 8 * MIB) // MIB * MIB)
    with open(path, "wb") as f:
        f.truncate(size)
    _run("mformat", "-i", path, "-F", "-v", "TERN", "-T", str(size // 512), "-h", "64",
         "-s", "32", "::")
    _run("mmd", "-i", path, "::/EFI", "::/EFI/BOOT", "::/tern", "::/boot")
    _run("mcopy", "-i", path, loader, "::/EFI/BOOT/BOOTX64.EFI")
    _run("mcopy", "-i", path, kernel, "::/tern/kernel.elf")
    _run("mcopy", "-i", path, conf, "::/tern.conf")
    if files:
        _run("mcopy", "-i", path, *files, "::/boot/")
