# SPDX-License-Identifier: BSD-2-Clause
"""NVMe: namespaces, block sizes, one interrupt or many, errors, a controller without answers."""
import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from lablib.client import Lab
from lablib.qmp import qmp
from test_disk import FLUSH_FAILS, INJECT, MIB, PATTERN, image, pattern

pytestmark = pytest.mark.storage

# Files in order, and what the lab is told of each beside its name.
WORDS = ["", ",ns,logical_block_size=4096,physical_block_size=4096", ",msix_qsize=1",
         ",debug={rules}", ""]
BAD, ONCE = 1000, 2000                  # blocks of disk3
FREE = dict(bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Host a with five namespaces on four controllers, and their images."""
    tmp = tmp_path_factory.mktemp("nvme")
    rules = tmp / "rules"
    rules.write_text(INJECT.format(event="read_aio", sector=BAD, once="off")
                     + INJECT.format(event="read_aio", sector=ONCE, once="on")
                     + INJECT.format(event="write_aio", sector=4096, once="off") + 4 * FLUSH_FAILS)
    files = [image(tmp / f"d{k}", 4 + k, 20 + k) for k in range(len(WORDS))]
    lab = Lab(f"nvme-{os.getpid()}")
    lab.remove()
    lab.up(["a"], nics=0, smp=2,
           disks=[f"{f}{w.format(rules=rules)}" for f, w in zip(files, WORDS)])
    yield lab, files
    lab.down()


def disk(lab, n):
    return lab.ask("a", "disk list")[n]


def sum_of(lab, n):
    return lab.ask("a", f"disk sum disk{n}")["crc32"]


def unharmed(lab, n):
    return all(disk(lab, n)[k] == 0 for k in ("errors", "retries", "timeouts", "resets",
                                              "lost_interrupts"))


def test_namespaces(host):
    """Each shows its own image, and all answer at once, from both CPUs."""
    lab, files = host
    listed = lab.ask("a", "disk list")
    assert {d["driver"] for d in listed} == {"nvme"}
    assert [d["serial"] for d in listed] == ["disk0", "disk0:2", "disk2", "disk3", "disk4"]
    assert [d["block_bytes"] for d in listed] == [512, 4096, 512, 512, 512]
    assert [d["bytes"] for d in listed] == [f.stat().st_size for f in files]
    assert all(d["cache"] for d in listed)
    assert "nvme0: QEMU NVMe Ctrl, 2 queues of 128, an interrupt each" in lab.log("a")
    assert "nvme1: QEMU NVMe Ctrl, 2 queues of 128, one interrupt" in lab.log("a")
    got = lab.ask("a", "disk read disk1 9 1")
    assert bytes.fromhex(got["hex"]) == files[1].read_bytes()[9 * 4096:10 * 4096]
    with ThreadPoolExecutor(4) as pool:
        lines = [f"disk bench disk{k} --seconds 1 --size 8K --depth 128 --random"
                 for k in (0, 0, 1, 2)]
        assert all(r["requests"] > 256 for r in pool.map(lambda line: lab.ask("a", line), lines))
    for k in range(3):
        assert sum_of(lab, k) == zlib.crc32(files[k].read_bytes()), k
        assert unharmed(lab, k)


@pytest.mark.parametrize("n,first,blocks", [(0, 1027, 4096 + 8), (1, 3, 512 + 8)])
def test_written(host, n, first, blocks):
    """A range is written, flushed, zeroed and discarded; around it nothing changes."""
    lab, files = host
    before, size = files[n].read_bytes(), disk(lab, n)["block_bytes"]
    got = lab.ask("a", f"disk test disk{n} --force --from {first} --blocks {blocks}")
    assert got["zeroed"] and got["discarded"]
    s = disk(lab, n)
    assert s["flushes"] >= 2 and s["zeroes"] >= 1 and s["discards"] >= 1 and unharmed(lab, n)
    after = files[n].read_bytes()
    start, end = first * size, (first + blocks) * size
    zero, gone = end - blocks // 4 * size, end - blocks // 8 * size
    assert after[:start] == before[:start] and after[end:] == before[end:]
    assert after[start:zero] == pattern(start, zero - start)
    assert after[zero:gone] == bytes(gone - zero)


def test_bench_writes(host):
    """Requests larger than the controller takes are cut; every block is written, with a pattern."""
    lab, files = host
    got = lab.ask("a", "disk bench disk2 --write --force --seconds 1 --size 1M --depth 4")
    assert got["write"] and got["bytes"] == got["requests"] * MIB
    assert got["requests"] >= 2 * (files[2].stat().st_size // MIB)
    words = b"".join(struct.pack("<Q", k * PATTERN % (1 << 64)) for k in range(MIB // 8))
    assert files[2].read_bytes() == words * (files[2].stat().st_size // MIB)
    assert unharmed(lab, 2)


def test_errors(host):
    """A lasting error is told after its tries, one that passes is not; neighbours are well."""
    lab, _ = host
    lab.run("a", f"disk read disk3 {ONCE}")
    assert (disk(lab, 3)["retries"], disk(lab, 3)["errors"]) == (1, 0)
    got = lab.cmd("a", f"disk read disk3 {BAD}")
    assert got.status == 1 and got.text.startswith("error: io ")
    assert (disk(lab, 3)["retries"], disk(lab, 3)["errors"]) == (3, 1)
    assert f"read of 1 blocks at {BAD}: data cannot be corrected, given up" in lab.log("a")
    lab.run("a", f"disk read disk3 {BAD + 1}")
    got = lab.cmd("a", "disk test disk3 --force --from 4096 --blocks 8")
    assert got.status == 1 and got.text.startswith("error: io ")
    before, test = disk(lab, 3), "disk test disk3 --force --from 5000 --blocks 64"
    got = lab.cmd("a", test)
    assert got.status == 1 and got.text.startswith("error: io "), "its flush fails three times"
    assert "disk3: flush of 0 blocks at 0: " in lab.log("a")
    lab.run("a", test)
    now = disk(lab, 3)
    assert (now["retries"], now["errors"]) == (before["retries"] + 3, before["errors"] + 1)
    assert now["resets"] == now["timeouts"] == 0


def test_silent(host):
    """Without answers: aborted, reset, ended as a time-out; other controllers and, later, all
    is well."""
    lab, files = host
    qmp(lab, "a", "block_set_io_throttle", device="d4", bps=1, **FREE)
    with ThreadPoolExecutor(1) as pool:
        sum4 = pool.submit(lab.cmd, "a", "disk sum disk4", timeout=60)
        assert sum_of(lab, 2) == zlib.crc32(files[2].read_bytes())
        got = sum4.result()
    assert got.status == 1 and got.text.startswith("error: timeout ")
    s = disk(lab, 4)
    assert s["timeouts"] >= 2 and s["resets"] >= 2 and s["errors"] >= 1
    assert "no answer, reset, given up" in lab.log("a")
    qmp(lab, "a", "block_set_io_throttle", device="d4", bps=0, **FREE)
    assert sum_of(lab, 4) == zlib.crc32(files[4].read_bytes())
    assert disk(lab, 4)["errors"] == s["errors"] and unharmed(lab, 2)


def test_replayed(host):
    """Answers come back after the reset: what was in flight is done, and nobody is told."""
    lab, files = host
    before = disk(lab, 4)
    qmp(lab, "a", "block_set_io_throttle", device="d4", bps=1, **FREE)
    with ThreadPoolExecutor(1) as pool:
        test = pool.submit(lab.cmd, "a", "disk test disk4 --force --from 8 --blocks 1024",
                           timeout=60)
        end = time.monotonic() + 30
        while disk(lab, 4)["resets"] == before["resets"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        qmp(lab, "a", "block_set_io_throttle", device="d4", bps=0, **FREE)
        got = test.result()
    assert got.status == 0, got.text
    s = disk(lab, 4)
    assert s["errors"] == before["errors"] and s["retries"] > before["retries"]
    assert files[4].read_bytes()[8 * 512:8 * 512 + 4096] == pattern(8 * 512, 4096)
