# SPDX-License-Identifier: BSD-2-Clause
"""A host's addresses, its tern.conf, and its boot volume (made by tools/mkimage)."""
import os
import subprocess

from .paths import BUILD, TOP, LabError


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


def boot_files(directory):
    if not directory:
        return []
    if not os.path.isdir(directory):
        raise LabError(f"--files: no directory {directory}")
    return sorted(e.path for e in os.scandir(directory)
                  if e.is_file() and not e.name.startswith("."))


def make(path, config, files):
    """Writes the volume to PATH; CONFIG is text, FILES are paths put under /boot/."""
    loader, kernel = f"{BUILD}/tern.efi", f"{BUILD}/kernel.elf"
    for need in (loader, kernel):
        if not os.path.exists(need):
            raise LabError(f"{need} is missing: run make")
    conf = path + ".conf"
    with open(conf, "w", encoding="ascii") as f:
        f.write(config)
    done = subprocess.run([f"{TOP}/tools/mkimage", "-o", path, "--efi", loader, "--kernel", kernel,
                           "--conf", conf, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"mkimage: {done.stderr.strip()[-300:]}")
