# SPDX-License-Identifier: BSD-2-Clause
"""Disks on controllers with queues, one of each kind in one host: contents as in the image
file, errors told and survived, a device that does not answer reset and its requests replayed."""
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from lablib.client import Lab
from lablib.qmp import qmp
from test_disk import FLUSH_FAILS, INJECT, MIB, image, pattern

pytestmark = pytest.mark.storage

KINDS = {"virtio": "virtio-blk", "ahci": "ahci"}
DROPS = ("ahci",)   # at a reset QEMU waits for what these have in flight and drops it; or ends it
SLOW = 700_000      # bytes a second: a request behind one of 1 MiB takes longer than drivers wait
DEPTH = {"virtio": 8, "ahci": 1}    # more would wait for the reset longer than they have time
LIMIT = 60
FREE = dict(bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)


class Host:
    """Of each kind a good disk and one with bad blocks; at the end what only some kinds have."""

    def __init__(self, lab, tmp):
        self.lab, self.kinds = lab, list(KINDS)
        rules = tmp / "rules"
        rules.write_text("".join(INJECT.format(event=e, sector=s, once=o) for e, s, o in (
            ("read_aio", 1000, "on"), ("read_aio", 2000, "off"), ("write_aio", 3000, "off")))
            + 4 * FLUSH_FAILS)
        self.files = [image(tmp / f"d{k}", 4 + k, k) for k in range(2 * len(self.kinds) + 2)]
        words = [w for kind in self.kinds for w in (kind, f"{kind},debug={rules}")]
        words += ["virtio,ro", "virtio,logical_block_size=4096,physical_block_size=4096"]
        lab.up(["a"], nics=0, disks=[f"{f},{w}" for f, w in zip(self.files, words)])

    def number(self, kind, bad=False):
        return 2 * self.kinds.index(kind) + bad

    def stats(self, k):
        return next(d for d in self.lab.ask("a", "disk list") if d["serial"] == f"disk{k}")

    def name(self, k):
        return self.stats(k)["name"]

    def sum_is_right(self, k):
        got = self.lab.ask("a", f"disk sum {self.name(k)}")["crc32"]
        return got == zlib.crc32(self.files[k].read_bytes())

    def throttle(self, k, bps):
        qmp(self.lab, "a", "block_set_io_throttle", device=f"d{k}", bps=bps, **FREE)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    lab = Lab(f"disks-{os.getpid()}")
    lab.remove()
    try:
        yield Host(lab, tmp_path_factory.mktemp("disks"))
    finally:
        lab.down()


def test_contents(host):
    """Each disk shows its own image, by single requests and by many at once."""
    def read_all(k):
        name = host.name(k)
        bench = f"disk bench {name} --seconds 1 --size 8K --depth 32 --random"
        assert host.sum_is_right(k), name
        assert host.lab.ask("a", bench)["requests"] > 10 * 32, name

    good = [host.number(kind) for kind in host.kinds] + [len(host.files) - 2, len(host.files) - 1]
    for kind in host.kinds:
        s = host.stats(host.number(kind))
        assert s["driver"] == KINDS[kind] and s["cache"] and s["block_bytes"] == 512
        assert s["bytes"] == host.files[host.number(kind)].stat().st_size
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read_all, good))
    for k in good:
        s = host.stats(k)
        assert s["errors"] == s["retries"] == s["timeouts"] == s["lost_interrupts"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_written(host, kind):
    """A range is written, flushed, zeroed and discarded; around it nothing changes."""
    k = host.number(kind)
    before = host.files[k].read_bytes()
    first, blocks = 1003, 4096 + 8
    got = host.lab.ask("a", f"disk test {host.name(k)} --force --from {first} --blocks {blocks}")
    assert got["zeroed"] and got["discarded"]
    s = host.stats(k)
    assert s["flushes"] >= 2 and s["zeroes"] >= 1 and s["discards"] >= 1
    assert s["errors"] == s["retries"] == s["timeouts"] == 0
    after = host.files[k].read_bytes()
    start, end = first * 512, (first + blocks) * 512
    zero, gone = end - blocks // 4 * 512, end - blocks // 8 * 512
    assert after[:start] == before[:start] and after[end:] == before[end:]
    assert after[start:zero] == pattern(start, zero - start)
    assert after[zero:gone] == bytes(gone - zero)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_blocks(host, kind):
    """One failure is tried again, a lasting one is told; requests beside it are well."""
    k = host.number(kind, bad=True)
    name, lab = host.name(k), host.lab
    lab.run("a", f"disk read {name} 1000")
    assert (host.stats(k)["retries"], host.stats(k)["errors"]) == (1, 0)
    with ThreadPoolExecutor(2) as pool:
        beside = pool.submit(lab.ask, "a", f"disk sum {name} --from 4000")
        got = pool.submit(lab.cmd, "a", f"disk read {name} 2000").result()
        assert got.status == 1 and got.text.startswith("error: io ")
        assert beside.result()["crc32"] == zlib.crc32(host.files[k].read_bytes()[4000 * 512:])
    assert (host.stats(k)["retries"], host.stats(k)["errors"]) == (3, 1)
    assert f"{name}: read of 1 blocks at 2000: " in lab.log("a")
    got = lab.cmd("a", f"disk test {name} --force --from 3000 --blocks 8")
    assert got.status == 1 and got.text.startswith("error: io ")
    lab.run("a", f"disk read {name} 3000")
    assert host.stats(k)["timeouts"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_flush_errors(host, kind):
    """After the bad blocks: a flush that fails three times is told, one that fails once is not."""
    k = host.number(kind, bad=True)
    name, before = host.name(k), host.stats(k)
    test = f"disk test {name} --force --from 4096 --blocks 64"
    got = host.lab.cmd("a", test)
    assert got.status == 1 and got.text.startswith("error: io ")
    assert f"{name}: flush of 0 blocks at 0: " in host.lab.log("a")
    host.lab.run("a", test)
    now = host.stats(k)
    assert (now["retries"], now["errors"]) == (before["retries"] + 3, before["errors"] + 1)
    assert now["timeouts"] == 0
    assert host.files[k].read_bytes()[4096 * 512:4100 * 512] == pattern(4096 * 512, 4 * 512)


def await_resets(host, numbers, resets):
    end = time.monotonic() + LIMIT
    while any(host.stats(k)["resets"] < resets for k in numbers):
        assert time.monotonic() < end, "no reset"


def test_silent_for_a_while(host):
    """Requests in flight when a device is reset end well in the end: the users see no error."""
    numbers = [host.number(kind) for kind in host.kinds]
    before = {k: host.stats(k)["resets"] for k in numbers}
    lines = [f"disk bench {host.name(k)} --seconds 2 --size 1M --depth {DEPTH[kind]}"
             for kind, k in zip(host.kinds, numbers)]
    with ThreadPoolExecutor(len(numbers)) as pool:
        for k in numbers:
            host.throttle(k, SLOW)
        under_way = [pool.submit(host.lab.ask, "a", line) for line in lines]
        await_resets(host, numbers, 1 + max(before.values()))
        for k in numbers:
            host.throttle(k, 0)
        assert all(f.result()["requests"] >= 2 for f in under_way)
    for kind, k in zip(host.kinds, numbers):
        s = host.stats(k)
        assert s["errors"] == 0 and s["timeouts"] >= 1
        assert s["retries"] >= 1 or kind not in DROPS
        assert host.sum_is_right(k)


@pytest.mark.parametrize("kind", DROPS)
def test_silent_for_good(host, kind):
    """The request ends with a time-out, after resets; when the device is back all is well."""
    k = host.number(kind)
    before = host.stats(k)
    host.throttle(k, SLOW)
    got = host.lab.cmd("a", f"disk sum {before['name']}", timeout=LIMIT)
    assert got.status == 1 and got.text.startswith("error: timeout ")
    now = host.stats(k)
    assert now["resets"] - before["resets"] == now["timeouts"] - before["timeouts"] >= 2
    assert now["errors"] == before["errors"] + 1
    host.throttle(k, 0)
    assert host.sum_is_right(k)
    assert host.stats(k)["errors"] == before["errors"] + 1


def test_what_virtio_says(host):
    """A disk that cannot be written, and one with blocks of 4096 bytes."""
    k = len(host.files) - 2
    before = host.files[k].read_bytes()
    got = host.lab.cmd("a", f"disk test {host.name(k)} --force --from 0 --blocks 8")
    assert got.status == 1 and got.text.startswith("error: read-only ")
    assert host.files[k].read_bytes() == before
    k += 1
    s = host.stats(k)
    assert s["block_bytes"] == 4096 and s["bytes"] == host.files[k].stat().st_size
    host.lab.run("a", f"disk test {s['name']} --force --from 10 --blocks 300")
    at = 10 * 4096
    assert host.files[k].read_bytes()[at:at + MIB // 2] == pattern(at, MIB // 2)
