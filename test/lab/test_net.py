# SPDX-License-Identifier: BSD-2-Clause
"""The hosts' own network: addresses, ping, bulk TCP, links that lose, links that are cut."""
import os
import re
import subprocess
import sys
import time

import pytest

from lablib.client import Lab

pytestmark = pytest.mark.net

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("TERN_SEED", "20261122"))
BENCH_PORT = 7801
LAB_SIDE = "10.77.0.254"


@pytest.fixture(scope="module")
def _hosts():
    lab = Lab(f"net-{os.getpid()}")
    lab.remove()
    lab.up(["a", "b"])
    yield lab
    lab.down()


@pytest.fixture
def hosts(_hosts):
    for host in ("a", "b"):
        _hosts.link(host, "clear")
    return _hosts


def net_pages(lab, host):
    """Bytes of packet buffers; what closes in the background gets a moment."""
    last = None
    for _ in range(50):
        now = lab.ask(host, "stats")["memory"]["net"]
        if now == last:
            return now
        last = now
        time.sleep(0.2)
    return last


def bench(lab, options="", host="a", to="b"):
    return lab.ask(host, f"net bench {to} {options}", timeout=90)


@pytest.mark.parametrize("smp,nics", [(1, 1), (2, 0), (4, 1)])
def test_selftests(smp, nics):
    lab = Lab(f"nets-{os.getpid()}")
    lab.remove()
    try:
        lab.up(["a"], smp=smp, nics=nics, conf=["selftest = net"])
        log = lab.log("a")
    finally:
        lab.down()
    assert not re.findall(r"selftest: FAILED.*", log)
    assert len(re.findall(r"selftest: ok stream-", log)) == 5


def test_ping(hosts):
    link_local = hosts.ask("b", "net info")[0]["mac"].split(":")
    link_local[0] = f"{int(link_local[0], 16) ^ 2:02x}"
    m = link_local
    for to in ("b", "10.77.0.2", "fd77::2",
               f"fe80::{m[0]}{m[1]}:{m[2]}ff:fe{m[3]}:{m[4]}{m[5]}", "a"):
        got = hosts.ask("a", f"net ping {to} --count 3")
        assert got["answered"] == 3, to
    assert hosts.ask("a", "net ping b --count 1 --size 8900")["answered"] == 1


@pytest.mark.parametrize("line,code", [
    ("net ping 10.77.0.99 --count 1", "unreachable"), ("net ping b --size 9000", "invalid"),
    ("net ping nobody", "invalid"), ("net ping", "usage"), ("net ping b --count 0", "invalid"),
    ("net bench 10.77.0.254", "refused"), ("net bench b --streams 9", "invalid"),
    ("net set net7 10.0.0.1/8", "not-found"), ("net set net0 10.0.0.1/40", "invalid"),
    ("net set net0", "usage"), ("net info x", "usage")])
def test_errors(hosts, line, code):
    before = hosts.ask("a", "net info")[0]["addr"]
    got = hosts.cmd("a", line)
    assert got.status == 1
    assert got.text.splitlines()[-1].startswith(f"error: {code} ")
    assert hosts.ask("a", "net info")[0]["addr"] == before


def test_bench_without_copies(hosts):
    """Sent without a copy, received with one, in large segments, nothing twice."""
    pages = {h: net_pages(hosts, h) for h in "ab"}
    before = {h: hosts.ask(h, "net stats") for h in "ab"}
    got = bench(hosts, "--seconds 3")
    after = {h: hosts.ask(h, "net stats") for h in "ab"}
    grew = {h: {k: after[h][k] - before[h][k] for k in after[h]} for h in "ab"}
    assert got["bytes"] > 20e6
    assert grew["a"]["tx_copied_bytes"] < got["bytes"] / 100
    assert grew["b"]["rx_copied_bytes"] < got["bytes"] * 1.02
    assert grew["a"]["tcp_segs_out"] < got["bytes"] / 30000
    assert after["b"]["rx_held_bytes"] == 0
    assert {h: net_pages(hosts, h) for h in "ab"} == pages


def test_bench_ways(hosts):
    assert bench(hosts, "--seconds 1 --streams 4")["streams"] == 4
    assert bench(hosts, "--seconds 1", to="fd77::2")["bytes"] > 1e6
    assert bench(hosts, "--seconds 1", host="b", to="a")["bytes"] > 1e6
    pools = hosts.ask("a", "stats")["net_pools"]
    assert 4 < pools["connections"]["most"] <= pools["connections"]["size"]
    assert not [name for name, p in pools.items() if p["refused"]]


def test_lossy_link(hosts):
    pages = net_pages(hosts, "a")
    hosts.link("b", "loss", 1)
    assert bench(hosts, "--seconds 3")["bytes"] > 1e6
    hosts.link("b", "clear")
    assert net_pages(hosts, "a") == pages


def test_cut_link(hosts):
    """The writer hears of it by its deadline, its pages come back, and later it works again."""
    pages = net_pages(hosts, "a")
    hosts.link("b", "down")
    start = time.monotonic()
    got = hosts.cmd("a", "net bench b --seconds 2", timeout=60)
    assert got.status == 1 and "error: " in got.text
    assert time.monotonic() - start < 20
    hosts.link("b", "up")
    assert net_pages(hosts, "a") == pages
    assert bench(hosts, "--seconds 1")["bytes"] > 1e6


def test_idle_is_quiet(hosts):
    """Without connections the owner world wakes about once a second."""
    time.sleep(3)
    before, start = hosts.ask("b", "net stats")["owner_wakes"], time.monotonic()
    time.sleep(5)
    wakes = hosts.ask("b", "net stats")["owner_wakes"] - before
    assert wakes <= 4 * (time.monotonic() - start) + 5


SENDER = """
import socket, struct, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.settimeout(30)
piece = bytes(range(256)) * 64
for _ in range(int(sys.argv[3])):
    s.sendall(piece)
if sys.argv[4] == "reset":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
else:
    s.shutdown(socket.SHUT_WR)
    assert s.recv(1) == b""
s.close()
"""


@pytest.mark.parametrize("end", ["close", "reset"])
def test_linux_peer(hosts, end):
    """Linux's TCP as the other side, with an orderly end and with a reset."""
    if hosts.status()["net"] != "tap":
        pytest.skip("no namespace: the lab has no taps here")
    pages = net_pages(hosts, "a")
    for _ in range(3):
        argv = [sys.executable, "-c", SENDER, hosts.addr("a"), str(BENCH_PORT), "2000", end]
        got = hosts.exec(argv,
                         capture_output=True, text=True, timeout=90)
        assert got.returncode == 0, got.stderr
    assert net_pages(hosts, "a") == pages


def test_hostile_frames(hosts):
    """Nothing on the wire stops a host."""
    if hosts.status()["net"] != "tap":
        pytest.skip("no namespace: the lab has no taps here")
    pages = net_pages(hosts, "a")
    mac = hosts.ask("a", "net info")[0]["mac"]
    got = hosts.exec([sys.executable, f"{HERE}/netfuzz.py", "br0", mac, hosts.addr("a"), LAB_SIDE,
                      str(SEED), "10"], stdout=subprocess.PIPE, text=True, timeout=60)
    assert got.returncode == 0 and int(got.stdout) > 500
    assert hosts.ask("a", "net ping b --count 2")["answered"] > 0
    assert bench(hosts, "--seconds 1")["bytes"] > 1e6
    time.sleep(4)               # reassembly and half-open connections time out
    assert net_pages(hosts, "a") <= pages + (1 << 20)
