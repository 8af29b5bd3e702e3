# SPDX-License-Identifier: BSD-2-Clause
"""Errors of a host's disk that begin and end while the host runs.

    lab.up(["a"], disks=["image,faults"])
    broken(lab, "a", 0, "write")             each write of disk 0 fails from now on
    broken(lab, "a", 0, "read", [4096])      each read that touches one of these 512-octet sectors
    mended(lab, "a", 0)                      none

A disk with the word `faults` has named nodes in the emulator: `fN`, which the device uses, over
`pN`, the file. An error is QEMU's blkdebug, put between the two.
"""
from .qmp import qmp

EIO = 5


def _over(lab, host, disk, below):
    qmp(lab, host, "blockdev-reopen",
        options=[{"driver": "raw", "node-name": f"f{disk}", "file": below,
                  "cache": {"direct": True}, "discard": "unmap"}])


def broken(lab, host, disk, what, sectors=None):
    rule = {"event": "none", "iotype": what, "errno": EIO, "once": False, "immediately": True}
    rules = [rule] if sectors is None else [{**rule, "sector": s} for s in sectors]
    qmp(lab, host, "blockdev-add", **{
        "driver": "blkdebug", "node-name": f"bad{disk}", "image": f"p{disk}",
        "cache": {"direct": True}, "discard": "unmap", "inject-error": rules})
    _over(lab, host, disk, f"bad{disk}")


def mended(lab, host, disk):
    _over(lab, host, disk, f"p{disk}")
    qmp(lab, host, "blockdev-del", **{"node-name": f"bad{disk}"})
