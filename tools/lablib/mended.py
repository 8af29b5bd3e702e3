# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's translator without a race that ends guests of AMD-V.

    program() -> the path to run: a mended copy under build/emulator, or what is installed

When any emulated CPU executes FXRSTOR, XRSTOR, FRSTOR or FLDENV, QEMU clears the IGNNE bit in
the FIRST CPU's word of flags (cpu_clear_ignne), from its own thread and without a lock. In the
same word the first CPU keeps whether nested paging is on, and GIF. When both change it at once,
the first CPU's change is lost: the host goes on with nested paging after #VMEXIT, or a guest
without it after VMRUN. IGNNE has a meaning only with CR0.NE clear, as in DOS; so in the copy the
function returns at once. One byte of the program differs.

The copy stands in a directory with links to /usr/share and /usr/lib, because QEMU looks for its
firmware and modules beside itself. A program that has no such function is run as it is.
"""
import os
import re
import shutil
import subprocess

from .paths import TOP

NAME = "qemu-system-x86_64"
PLACE = f"{TOP}/build/emulator"
FUNCTION = "cpu_clear_ignne"
RETURN = b"\xc3"


def _readelf(option, path):
    """Nothing of what is no ELF file: somebody's script around the emulator, say."""
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True,
                          check=False).stdout


def place_of(path, function=FUNCTION):
    """Where in the file PATH the code of FUNCTION begins, None when it is not said."""
    symbol = re.search(rf"^ *\d+: ([0-9a-f]+) +\d+ FUNC .* {function}(?:@.*)?$",
                       _readelf("--dyn-syms", path), re.M)
    if not symbol:
        return None
    at = int(symbol[1], 16)
    for segment in re.findall(r"^ +LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)",
                              _readelf("--segments", path), re.M):
        offset, address, size = (int(n, 16) for n in segment)
        if address <= at < address + size:
            return at - address + offset
    return None


def _link(path, to):
    if not os.path.islink(path):
        fresh = f"{path}.{os.getpid()}"
        os.symlink(to, fresh)
        os.replace(fresh, path)


def _copy(installed, mended, at):
    fresh = f"{mended}.{os.getpid()}"
    shutil.copy2(installed, fresh)
    with open(fresh, "r+b") as f:
        f.seek(at)
        f.write(RETURN)
    shutil.copystat(installed, fresh)
    os.replace(fresh, mended)       # labs may start at once


def program(name=NAME, place=PLACE):
    installed, mended = shutil.which(name), f"{place}/bin/{os.path.basename(name)}"
    if not installed:
        return name
    if (os.path.exists(mended)
            and os.path.getmtime(mended) == os.path.getmtime(installed)
            and os.path.getsize(mended) == os.path.getsize(installed)):
        return mended
    at = place_of(installed)
    if at is None:
        return installed
    os.makedirs(f"{place}/bin", exist_ok=True)
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(installed)))
    for part in ("share", "lib"):
        _link(f"{place}/{part}", f"{prefix}/{part}")
    _copy(installed, mended, at)
    return mended
