# SPDX-License-Identifier: BSD-2-Clause
"""What QEMU's blklogwrites recorded (the format of Linux' dm-log-writes): a disk's writes in order.

    log = WriteLog(path)
    log.entries            of Entry, in the order in which the device was given them
    log.apply(fd, entry)   does one to a copy of the image as it was at the start
"""
import os
import struct
from dataclasses import dataclass

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


@dataclass
class Entry:
    sector: int
    nr_sectors: int
    flags: int
    data_at: int        # in the log's file

    @property
    def flush(self):
        return bool(self.flags & FLUSH)


class WriteLog:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
        magic, _, count, self.sector_bytes = struct.unpack("<QQQI", os.pread(self.fd, 28, 0))
        assert magic == MAGIC, "no log of writes"
        self.entries = []
        at = self.sector_bytes
        for _ in range(count):
            sector, nr, flags, length = struct.unpack("<QQQQ", os.pread(self.fd, 32, at))
            at += self.sector_bytes
            self.entries.append(Entry(sector, nr, flags, at))
            if not flags & DISCARD:
                at += nr * self.sector_bytes
            assert length <= nr * self.sector_bytes

    def apply(self, fd, entry, sectors=None):
        """Writes entry to fd; of its sectors only those given."""
        for k in range(entry.nr_sectors) if sectors is None else sectors:
            data = (bytes(self.sector_bytes) if entry.flags & DISCARD else
                    os.pread(self.fd, self.sector_bytes, entry.data_at + k * self.sector_bytes))
            os.pwrite(fd, data, (entry.sector + k) * self.sector_bytes)

    def close(self):
        os.close(self.fd)
