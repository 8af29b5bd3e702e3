# SPDX-License-Identifier: BSD-2-Clause
"""Addresses by DHCP: without a server, with one, with one that lies, and back to a fixed one."""
import os
import queue
import subprocess
import sys
import threading
import time

import pytest

from lablib.client import Lab

pytestmark = pytest.mark.net

HERE = os.path.dirname(os.path.abspath(__file__))
LAB_SIDE = "10.77.0.254"
FIRST = "10.77.0.100"


class Server:
    """test/lab/dhcpd.py in the lab's network; what it says, line by line."""

    def __init__(self, lab, lease=3600, lies=0):
        self.proc = subprocess.Popen(
            lab.exec_argv([sys.executable, f"{HERE}/dhcpd.py", "br0", LAB_SIDE, FIRST, LAB_SIDE,
                           str(lease), str(lies)]), stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.wait("serving")

    def _read(self):
        for line in self.proc.stdout:
            self.lines.put(line.strip())

    def wait(self, start, timeout=90):
        end = time.monotonic() + timeout
        while True:
            line = self.lines.get(timeout=max(end - time.monotonic(), 0.01))
            if line.startswith(start):
                return line

    def stop(self):
        self.proc.kill()
        self.proc.wait()


@pytest.fixture
def lab():
    lab = Lab(f"dhcp-{os.getpid()}")
    lab.remove()
    lab.up(["a"], conf=["net0.addr = dhcp"])
    if lab.status()["net"] != "tap":
        lab.down()
        pytest.skip("no namespace: the lab has no taps here")
    yield lab
    lab.down()


def net(lab):
    return lab.ask("a", "net info")[0]


def test_life_of_a_lease(lab):
    """No server: the host is up all the same, says so once, and asks on until there is one."""
    lab.wait("a", "no DHCP server answers", 60)
    before = net(lab)
    assert before["dhcp"] and before["addr"] == "none" and before["addr6"] != "none"
    assert "error: unreachable" in lab.cmd("a", f"net ping {LAB_SIDE} --count 1").text
    assert "DHCP: no answer yet" in lab.run("a", "net info")
    for line, code in (("net7 dhcp", "not-found"), ("net0 dhcp6", "invalid"),
                       ("net0 dhcp x", "usage")):
        assert f"error: {code} " in lab.cmd("a", f"net set {line}").text
    assert net(lab)["dhcp"]

    server = Server(lab, lies=6)
    try:
        assert server.wait("discover") == f"discover {before['mac']}"
        assert server.wait("ack") == f"ack {FIRST} a"
        lab.wait("a", f"{FIRST}/24 by DHCP from {LAB_SIDE}, router {LAB_SIDE}, for 3600 s", 30)
        info = net(lab)
        assert (info["addr"], info["router"]) == (f"{FIRST}/24", LAB_SIDE)
        assert (info["dhcp_server"], info["lease_s"]) == (LAB_SIDE, 3600)
        assert info["lease_left_s"] > 3400
        assert lab.ask("a", f"net ping {LAB_SIDE} --count 2")["answered"] == 2
        assert len(lab.log("a").split("no DHCP server answers")) == 2

        lab.run("a", "net set net0 10.77.0.9/24")
        assert server.wait("release", 10) == f"release {FIRST}"
        info = net(lab)
        assert info["addr"] == "10.77.0.9/24" and not info["dhcp"]
        assert "dhcp_server" not in info

        lab.run("a", "net set net0 dhcp")
        assert server.wait("ack") == f"ack {FIRST} a"
        lab.wait("a", "by DHCP", 30, lab.log("a").rindex("address by DHCP"))
    finally:
        server.stop()


def test_a_lease_that_ends(lab):
    """The server is gone when a lease of a minute is over: the address is given up."""
    server = Server(lab, lease=60)
    try:
        server.wait("ack")
        lab.wait("a", "by DHCP from", 30)
    finally:
        server.stop()
    mark = lab.mark("a")
    lab.wait("a", "the lease is over", 150, mark)
    assert net(lab)["addr"] == "none"
    lab.wait("a", "no DHCP server answers", 60, mark)
    server = Server(lab)
    try:
        server.wait("ack")
        lab.wait("a", "for 3600 s", 30, mark)
        assert net(lab)["addr"] == f"{FIRST}/24"
    finally:
        server.stop()
