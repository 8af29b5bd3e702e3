# SPDX-License-Identifier: BSD-2-Clause
"""Disks of a host: contents as in the image file, errors told and survived, time-outs."""
import os
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from lablib.client import Lab
from lablib.qmp import qmp

pytestmark = pytest.mark.storage

MIB = 1 << 20
PATTERN = 0x9E3779B97F4A7C15            # of `disk test`


def pattern(start, size):
    words = ((x * 8 * PATTERN) % (1 << 64) for x in range(start // 8, (start + size) // 8))
    return struct.pack(f"<{size // 8}Q", *words)


def image(path, mib, seed):
    with open(path, "wb") as f:
        f.write(random.Random(seed).randbytes(mib * MIB))
    return path


@pytest.fixture
def lab():
    lab = Lab(f"disk-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


def disk(lab, name="disk0"):
    return next(d for d in lab.ask("a", "disk list") if d["name"] == name)


def test_four_drives(lab, tmp_path):
    """Both channels, both drives: each shows its own image, and all answer at once."""
    files = [image(tmp_path / f"d{k}", 3 + k, k) for k in range(4)]
    lab.up(["a"], nics=0, disks=[f"{f},ide" for f in files])
    listed = lab.ask("a", "disk list")
    assert [d["name"] for d in listed] == ["disk0", "disk1", "disk2", "disk3"]
    assert {d["driver"] for d in listed} == {"ide"}
    assert [d["serial"] for d in listed] == ["disk0", "disk1", "disk2", "disk3"]
    assert [d["bytes"] for d in listed] == [f.stat().st_size for f in files]
    assert all(d["cache"] and d["block_bytes"] == 512 for d in listed)
    for d, f in zip(listed, files):
        assert lab.ask("a", f"disk sum {d['name']}")["crc32"] == zlib.crc32(f.read_bytes())
    got = lab.ask("a", "disk read disk2 9 3")
    assert bytes.fromhex(got["hex"]) == files[2].read_bytes()[9 * 512:12 * 512]
    assert lab.run("a", "disk read disk2 9").splitlines()[0].startswith("000000001200  ")
    with ThreadPoolExecutor(4) as pool:
        lines = [f"disk bench disk{k} --seconds 2 --size 8K --depth 4 --random" for k in range(4)]
        assert all(r["requests"] > 4 for r in pool.map(lambda line: lab.ask("a", line), lines))
    for d, f in zip(lab.ask("a", "disk list"), files):
        assert lab.ask("a", f"disk sum {d['name']}")["crc32"] == zlib.crc32(f.read_bytes())
        assert d["errors"] == d["retries"] == d["timeouts"] == d["lost_interrupts"] == 0


def test_written(lab, tmp_path):
    """A range is written, flushed, zeroed and discarded; around it nothing changes."""
    path = image(tmp_path / "d", 16, 1)
    before = path.read_bytes()
    lab.up(["a"], nics=0, disks=[f"{path},ide"])
    first, blocks = 4099, 16384 + 8
    got = lab.cmd("a", f"disk test disk0 --from {first} --blocks {blocks}")
    assert got.status == 1 and got.text.startswith("error: refused ")
    assert path.read_bytes() == before
    got = lab.ask("a", f"disk test disk0 --force --from {first} --blocks {blocks}")
    assert got["zeroed"] and got["discarded"]
    s = disk(lab)
    assert s["flushes"] >= 2 and s["zeroes"] >= 1 and s["discards"] >= 1
    assert s["errors"] == s["retries"] == s["timeouts"] == 0
    after = path.read_bytes()
    start, end = first * 512, (first + blocks) * 512
    zero, gone = end - blocks // 4 * 512, end - blocks // 8 * 512
    assert after[:start] == before[:start] and after[end:] == before[end:]
    assert after[start:zero] == pattern(start, zero - start)
    assert after[zero:gone] == bytes(gone - zero)


def test_bench_and_bad_lines(lab, tmp_path):
    path = image(tmp_path / "d", 4, 2)
    lab.up(["a"], nics=0, disks=[f"{path},ide"])
    before = path.read_bytes()
    got = lab.ask("a", "disk bench disk0 --seconds 1 --size 4096 --depth 8 --random")
    assert got["requests"] > 8 and got["bytes"] == got["requests"] * 4096
    assert got["max_ns"] >= got["avg_ns"] > 0
    got = lab.ask("a", "disk bench disk0 --seconds 1 --size 1M --depth 2")
    assert got["requests"] > 8 and got["bytes"] == got["requests"] * MIB
    assert path.read_bytes() == before
    for line, code in (("disk bench disk0 --size 1000", "invalid"),
                       ("disk bench disk0 --depth 0", "invalid"),
                       ("disk bench disk0 --size 2M", "invalid"),
                       ("disk bench disk0 --write", "refused"),
                       ("disk bench", "usage"),
                       ("disk read disk0 8192", "invalid"),
                       ("disk read disk0 0 9", "invalid"),
                       ("disk read disk0 8191 2", "invalid"),
                       ("disk read disk7 0", "not-found"),
                       ("disk sum disk0 --from 8192", "invalid"),
                       ("disk test disk0 --force --from 1 --blocks 8192", "invalid"),
                       ("disk list all", "usage")):
        got = lab.cmd("a", line)
        assert got.status == 1 and got.text.startswith(f"error: {code} "), line
    assert path.read_bytes() == before


INJECT = """[inject-error]
event = "{event}"
errno = "5"
sector = "{sector}"
once = "{once}"
"""


FLUSH_FAILS = """[inject-error]
event = "flush_to_disk"
errno = "5"
once = "on"
"""


@pytest.mark.parametrize("once", ["on", "off"])
def test_read_error(lab, tmp_path, once):
    """A bad block: one failure is tried again, a lasting one is told; its neighbours are well."""
    path = image(tmp_path / "d", 4, 3)
    rules = tmp_path / "rules"
    rules.write_text(INJECT.format(event="read_aio", sector=1000, once=once))
    lab.up(["a"], nics=0, disks=[f"{path},ide,debug={rules}"])
    lab.run("a", "disk read disk0 999")
    got = lab.cmd("a", "disk read disk0 1000")
    if once == "on":
        assert got.status == 0
        assert (disk(lab)["retries"], disk(lab)["errors"]) == (1, 0)
    else:
        assert got.status == 1 and got.text.startswith("error: io ")
        assert (disk(lab)["retries"], disk(lab)["errors"]) == (2, 1)
        assert "read of 1 blocks at 1000: command aborted, given up" in lab.log("a")
        assert lab.cmd("a", "disk sum disk0").text.startswith("error: io ")
    lab.run("a", "disk read disk0 1001")
    assert disk(lab)["resets"] == 0


def test_write_error(lab, tmp_path):
    path = image(tmp_path / "d", 4, 4)
    rules = tmp_path / "rules"
    rules.write_text(INJECT.format(event="write_aio", sector=2048, once="off"))
    lab.up(["a"], nics=0, disks=[f"{path},ide,debug={rules}"])
    got = lab.cmd("a", "disk test disk0 --force --from 2048 --blocks 8")
    assert got.status == 1 and got.text.startswith("error: io ")
    lab.run("a", "disk test disk0 --force --from 4096 --blocks 64")
    assert path.read_bytes()[4096 * 512:4100 * 512] == pattern(4096 * 512, 4 * 512)


def test_silent_drive(lab, tmp_path):
    """A drive that does not answer is reset, the request fails in the end, and then all is well."""
    path = image(tmp_path / "d", 4, 5)
    lab.up(["a"], nics=0, disks=[f"{path},ide"])
    free = dict(bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)
    qmp(lab, "a", "block_set_io_throttle", device="d0", bps=1, **free)
    got = lab.cmd("a", "disk sum disk0", timeout=120)
    assert got.status == 1 and got.text.startswith("error: timeout ")
    s = disk(lab)
    assert s["timeouts"] == s["resets"] == 3 and s["errors"] == 1
    assert "no answer, reset, given up" in lab.log("a")
    got = lab.cmd("a", "disk bench disk0 --depth 8 --seconds 1", timeout=120)
    assert got.status == 1 and got.text.startswith("error: timeout ")
    assert disk(lab)["errors"] == 9 and disk(lab)["resets"] == 6    # they wait, but not in turn
    qmp(lab, "a", "block_set_io_throttle", device="d0", bps=0, **free)
    assert lab.ask("a", "disk sum disk0")["crc32"] == zlib.crc32(path.read_bytes())
    assert disk(lab)["errors"] == 9


def test_bochs(lab, tmp_path):
    """Another make of the same controller: a CD drive beside a disk, and the second channel."""
    files = [image(tmp_path / f"d{k}", 4, 10 + k) for k in range(2)]
    for k, f in enumerate(files):
        os.truncate(f, (5 + k) * 16 * 63 * 512)
    lab.up(["a"], cpu="vmx", nics=0, disks=[f"{f},ide" for f in files])
    assert "drive 0 is a CD drive or the like (ATAPI): not used" in lab.log("a")
    listed = lab.ask("a", "disk list")
    assert [d["bytes"] for d in listed] == [f.stat().st_size for f in files]
    for d, f in zip(listed, files):
        assert lab.ask("a", f"disk sum {d['name']}")["crc32"] == zlib.crc32(f.read_bytes())
    lab.run("a", "disk test disk1 --force --from 100 --blocks 2000")
    assert files[1].read_bytes()[51200:51200 + 4096] == pattern(51200, 4096)
    assert all(d["retries"] == d["timeouts"] == 0 for d in lab.ask("a", "disk list"))
