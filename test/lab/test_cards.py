# SPDX-License-Identifier: BSD-2-Clause
"""Intel's gigabit cards: a has an e1000 (PCI, the pin), b an e1000e (PCIe, MSI)."""
import os

import pytest

from conftest import third
from lablib.client import Lab
from lablib.guest import Guest
from lablib.qmp import qmp
from test_guest_net import ADDR, Netted, echo

pytestmark = pytest.mark.net

OTHER = {"a": "b", "b": "a"}
DRIVER = {"a": "e1000", "b": "e1000e"}
GROWS = ("tcp_segs_out", "tcp_rexmit", "tx_copied_bytes", "rx_copied_bytes")


@pytest.fixture(scope="module")
def cards(payload):
    lab = Lab(f"cards-{os.getpid()}")
    lab.remove()
    for host, card in DRIVER.items():
        lab.up([host], nic=card, files=payload)
    lab.up([], clients=third())
    yield lab
    lab.down()


def test_what_they_are(cards):
    for host, driver in DRIVER.items():
        info = cards.ask(host, "net info")[0]
        assert (info["driver"], info["mtu"], info["up"]) == (driver, 9000, True)
        assert info["mac"].startswith("52:54:00:77:00:")
        assert info["tso"] and info["csum"]


@pytest.mark.parametrize("host", "ab")
def test_ping(cards, host):
    """From less than the shortest frame to one of three buffers, both families."""
    for size in (1, 17, 18, 19, 1472, 4042, 4096, 8900):
        assert cards.ask(host, f"net ping {OTHER[host]} --count 2 --size {size}")["answered"] == 2
    to = {"a": "fd77::2", "b": "fd77::1"}[host]
    for size in (1, 1452, 8900):
        assert cards.ask(host, f"net ping {to} --count 2 --size {size}")["answered"] == 2


@pytest.mark.parametrize("host", "ab")
@pytest.mark.parametrize("to", ["IPv4", "IPv6"])
def test_bench(cards, host, to):
    """Sent without a copy, received with one, next to nothing twice or dropped."""
    other = OTHER[host]
    name = other if to == "IPv4" else {"a": "fd77::1", "b": "fd77::2"}[other]
    before = {h: cards.ask(h, "net stats") for h in "ab"}
    dropped = cards.ask(other, "net info")[0]["dropped"]
    got = cards.ask(host, f"net bench {name} --seconds 3", timeout=90)
    after = {h: cards.ask(h, "net stats") for h in "ab"}
    grew = {h: {k: after[h][k] - before[h][k] for k in GROWS} for h in "ab"}
    assert got["bytes"] > 10e6
    assert grew[host]["tcp_rexmit"] <= grew[host]["tcp_segs_out"] / 50
    assert grew[host]["tx_copied_bytes"] < got["bytes"] / 100
    assert grew[other]["rx_copied_bytes"] < got["bytes"] * 1.02
    assert after[other]["rx_held_bytes"] == 0
    assert cards.ask(other, "net info")[0]["dropped"] - dropped < 20


@pytest.mark.parametrize("host", "ab")
def test_link(cards, host):
    """The host sees the cable at its card go and come, and works afterwards."""
    mark = cards.mark(host)
    qmp(cards, host, "set_link", name="n0", up=False)
    cards.wait(host, "net0: link down", 10, mark)
    assert not cards.ask(host, "net info")[0]["up"]
    assert "error: " in cards.cmd(host, f"net ping {OTHER[host]} --count 1").text
    qmp(cards, host, "set_link", name="n0", up=True)
    cards.wait(host, "net0: link up", 10, mark)
    assert cards.ask(host, f"net ping {OTHER[host]} --count 5")["answered"] > 0
    assert cards.ask(host, f"net bench {OTHER[host]} --seconds 1", timeout=60)["bytes"] > 1e6


def test_migrate(cards):
    """To and fro, so that each card carries a guest's pages out and in; all are checked."""
    g = Guest(cards, "g")
    g.create("a", mode="dirty", ws=32, rate=20, check=4)
    g.start()
    g.wait_ready()
    g.wait_passes(1)
    for _ in range(2):
        g.migrate(OTHER[g.host])
        g.wait_passes(2)
        g.verify()
    g.verify_log()
    g.remove()


def test_a_guest_behind_them(cards):
    """A guest's own address is reached through each card, with its large segments."""
    g = Netted(cards, "net").boot("a")
    for host in "ab":
        if g.host != host:
            g.migrate(host)
        assert "ok" in echo(cards, ADDR, "--bytes", 3000000).finish()
        port = cards.ask(host, "net ports")[0]
        assert port["vm"] == "net" and port["rx_bytes"] > 3000000
    g.remove()


def test_several(cards):
    """Three cards of one kind in a host, each with its own link."""
    cards.up(["c"], nic="e1000", nics=3)
    info = cards.ask("c", "net info")
    assert [i["driver"] for i in info] == ["e1000"] * 3
    assert len({i["mac"] for i in info}) == 3
    for number in range(3):
        assert cards.ask("c", f"net ping 10.77.{number}.254 --count 2")["answered"] == 2
    cards.kill("c")
