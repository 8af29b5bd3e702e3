# SPDX-License-Identifier: BSD-2-Clause
"""Hostile streams at the migration port: refused, logged, nothing changed.

Sent from inside the lab's network; a proxy there (proxy.py) also cuts and bends
real migrations.  After each the host answers and a real migration succeeds.
"""
import os
import random
import re
import subprocess
import sys

import pytest

from conftest import clear, revive
from lablib.guest import Guest
from lablib.paths import TOP, LabError

pytestmark = pytest.mark.fault

PORT = 8902
HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("TERN_SEED", "20261122"))
LAB_SIDE = "10.77.0.254"

SENDER = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.settimeout(30)
data = sys.stdin.buffer.read()
got = b""
try:
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    while True:
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
except (ConnectionError, BrokenPipeError):
    pass
print("closed", len(got))
"""


@pytest.fixture
def netlab(pair):
    if pair.status()["net"] != "tap":
        pytest.skip("this needs taps (root): the lab's network cannot be entered")
    return pair


def send(lab, data, host="b"):
    """DATA to a host's migration port; its connection must end by itself."""
    done = lab.exec([sys.executable, "-c", SENDER, lab.addr(host), str(PORT)], input=data,
                    capture_output=True, timeout=90)
    assert done.returncode == 0 and b"closed" in done.stdout, done.stderr.decode()[-500:]


def unharmed(lab):
    assert lab.ask("b", "vm list") == []
    assert lab.ask("b", "host info")["hostname"] == "b"


def noise():
    rng = random.Random(SEED)
    yield "nothing", b""
    yield "one byte", b"\0"
    yield "zeros", bytes(65536)
    yield "ones", b"\xff" * 65536
    yield "text", b"GET / HTTP/1.1\r\nHost: tern\r\n\r\n" * 100
    for i in range(6):
        yield f"random {i}", rng.randbytes(rng.choice([7, 64, 1000, 70000]))
    yield "much", rng.randbytes(4 << 20)


@pytest.mark.parametrize("name,data", noise(), ids=lambda v: v if isinstance(v, str) else "")
def test_garbage(netlab, name, data):
    send(netlab, data)
    unharmed(netlab)


class Proxy:
    """proxy.py inside the lab, in front of host b."""

    def __init__(self, lab, *options):
        self.proc = subprocess.Popen(
            lab.exec_argv([sys.executable, f"{HERE}/proxy.py", LAB_SIDE, lab.addr("b"), str(PORT),
                           *options]), stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def mover(_pair_lab, payload, kept):
    """A guest on a for all tests of the file; b without any VM."""
    lab = _pair_lab
    if lab.status()["net"] != "tap":
        pytest.skip("this needs taps (root): the lab's network cannot be entered")
    revive(lab, ["a", "b"], payload)
    g = kept.get("g")
    try:
        if g and g.state("a") == "running":
            return g
    except LabError:
        pass
    clear(lab, ["a", "b"], payload)
    g = kept["g"] = Guest(lab, "m")
    g.create("a", mode="dirty", ws=16, rate=10)
    g.start()
    g.wait_ready()
    return g


def spoiled(g, *options):
    """Migrates through a proxy that spoils the stream; how the job ended."""
    with Proxy(g.lab, *options):
        job = g.lab.ask("a", f"migrate m {LAB_SIDE}")["id"]
        return g.migrate_wait(job, timeout=120)


def settled(g):
    """The guest runs on a, b has nothing (after its time-out), all pages right."""
    assert g.state("a") == "running"
    g.wait_passes(1)
    g.verify()
    g.wait(lambda: not g.exists("b"), 60, "end of the skeleton on b")


@pytest.mark.parametrize("cut", [1, 7, 16, 40, 100, 333, 1000, 5000, 100000, 3000000])
def test_truncated(mover, cut):
    st = spoiled(mover, "--cut", str(cut))
    assert st["phase"] == "failed" and st["error_code"], st
    settled(mover)


@pytest.mark.parametrize("cut", [0, 16, 64, 300, 4000, 200000])
@pytest.mark.parametrize("junk", ["ff", "00", "deadbeef"])
def test_oversized(mover, cut, junk):
    """A good beginning, then lengths and counts beyond any cap."""
    st = spoiled(mover, "--cut", str(cut), "--append", junk)
    assert st["phase"] == "failed" and st["error_code"], st
    settled(mover)


def flips():
    rng = random.Random(SEED)
    return [(rng.randrange(200), rng.randrange(8)) for _ in range(12)]


@pytest.mark.parametrize("offset,bit", flips())
def test_bent_header(mover, offset, bit):
    """One wrong bit in the first records: refused, or of no consequence; never a crash."""
    st = spoiled(mover, "--flip", f"{offset}:{bit}")
    if st["phase"] == "done":
        mover.host = "b"
        mover.wait_beats(3)
        mover.migrate("a")
    settled(mover)


with open(f"{TOP}/mig/wire.h", encoding="ascii") as header:
    VERSION = int(re.search(r"#define WIRE_VERSION (\d+)u", header.read()).group(1))


def as_version(version, option):
    """HELLO's version taken for an older one."""
    bits = [bit for bit in range(3) if (VERSION ^ version) >> bit & 1]
    return [word for bit in bits for word in (option, f"16:{bit}")]


def test_version_1_is_understood(mover):
    """Both sides take the other for one of version 1: it moves, without any delta."""
    words = as_version(1, "--flip") + as_version(1, "--flip-back")
    st = spoiled(mover, *words)
    assert st["phase"] == "done" and st["delta_pages"] == 0 and st["base_pages"] == 0, st
    mover.host = "b"
    mover.wait_passes(1)
    mover.verify()
    mover.migrate("a")
    settled(mover)


def test_delta_in_version_1_is_refused(mover):
    """Only the destination takes the stream for one of version 1; to the source it is one of 2."""
    words = as_version(1, "--flip") + as_version(2, "--flip-back")
    st = spoiled(mover, *words)
    if st["delta_pages"]:       # its last words may be lost with the connection
        assert st["phase"] == "failed" and st["error_code"] in ("bad-stream", "link"), st
    else:                       # no page was sent twice
        assert st["phase"] == "done", st
        mover.host = "b"
        mover.migrate("a")
    settled(mover)


def test_real_migration_still_works(mover):
    mover.migrate("b")
    mover.wait_passes(1)
    mover.verify()
    mover.migrate("a")
    mover.wait_passes(1)
    mover.verify()
