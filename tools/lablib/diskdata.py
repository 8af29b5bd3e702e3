# SPDX-License-Identifier: BSD-2-Clause
"""What is on the disks of a guest that writes them all the time (test/guest/disk.c), and in images.

    terndisk("ls", image)            -> its output; AssertionError if it failed
    pattern(seed, first, sectors)    -> what the guest's `fill` writes there
    slot_sectors(image)              where a datastore's slots are, the hosts' heartbeats
    whole(data)                      AssertionError unless of two passes that follow each other
    LOST                             what a guest says whose disk fails, or is wrong
"""
import struct
import subprocess

from .paths import BUILD

MIB, SECTOR = 1 << 20, 512
BLOCK, SUPER_BLOCK = 4096, 16
LOST = r"disk: E\w+|wrong=[1-9]|errors=[1-9]"


def terndisk(*args):
    done = subprocess.run([f"{BUILD}/terndisk", *map(str, args)], capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pattern(seed, first, count):
    return b"".join(struct.pack("<Q", seed << 32 | s) * (SECTOR // 8)
                    for s in range(first, first + count))


def slot_sectors(image):
    """By docs/datastore.md "Superblock"."""
    with open(image, "rb") as f:
        f.seek(SUPER_BLOCK * BLOCK)
        head = f.read(SECTOR)
    first, count = struct.unpack_from("<Q", head, 88)[0], struct.unpack_from("<I", head, 132)[0]
    return [block * BLOCK // SECTOR for block in range(first, first + count)]


def whole(data):
    words = [struct.unpack_from("<Q", data, at) + struct.unpack_from("<Q", data, at + SECTOR - 8)
             for at in range(0, len(data), SECTOR)]
    assert all(first == last for first, last in words)
    assert [first & 0xffffffff for first, _ in words] == list(range(len(words)))
    seeds = {first >> 32 for first, _ in words}
    assert max(seeds) - min(seeds) <= 1, seeds
