# SPDX-License-Identifier: BSD-2-Clause
"""Guests' network: a stock kernel on the virtual switch, seen from a third machine."""
import subprocess

import pytest

from lablib.guest import Guest
from lablib.paths import TOP

pytestmark = pytest.mark.guests

ADDR, PORT = "10.77.0.50", 5000
ECHO = f"{TOP}/test/lab/echoclient.py"


class Netted(Guest):
    """A shell guest with an address, and an echo service on it."""

    def boot(self, host="a", vcpus=1):
        self.create(host, mode="shell", vcpus=vcpus, options="--net net0,02:00:00:00:00:32")
        self.start()
        self.wait_text(r"guest# ", 180)
        for line in (f"ip addr add {ADDR}/24 dev eth0", "ip link set eth0 up",
                     f"nc -ll -p {PORT} -e cat &", "echo net-$((1+1))"):
            self.lab.run(host, f"vm type {self.name} {line}")
        self.wait_text(r"^net-2", 60)
        return self


@pytest.fixture
def netted(pair):
    return Netted(pair, "net").boot()


def client(pair, *args):
    """test/lab/echoclient.py inside of the lab's network, where the third machine is."""
    argv = pair.exec_argv(["/usr/bin/python3", ECHO, ADDR, str(PORT), *map(str, args)])
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(proc, timeout=300):
    out, _ = proc.communicate("stop\n", timeout=timeout)
    assert proc.returncode == 0, out
    return out


def test_hosts_and_a_third_machine_reach_it(pair, netted):
    for host in "ab":
        pair.run(host, f"net ping {ADDR}")
    assert "ok" in finish(client(pair, "--bytes", 3000000))
    assert netted.info()["nets"] == [{"network": "net0", "mac": "02:00:00:00:00:32"}]
    ports = pair.ask("a", "net ports")
    assert [p["vm"] for p in ports] == ["net"] and not ports[0]["muted"]
    assert ports[0]["rx_bytes"] > 3000000 and ports[0]["tx_bytes"] > 3000000


def test_a_connection_survives_moves_to_and_fro(pair, netted):
    talk = client(pair, "--until-stop")
    assert talk.stdout.readline().startswith("connected")
    for to in "ba":
        netted.migrate(to)
        assert [p["vm"] for p in pair.ask(to, "net ports")] == ["net"]
        assert ADDR in pair.ask(to, "net ports")[0]["addresses"]
    assert "ok" in finish(talk)


def test_the_address_is_where_the_vm_runs(pair, netted):
    job = netted.migrate_start("b", "--hold", "ready")
    netted.migrate_wait(job, until=("ready",))
    assert [p["muted"] for p in pair.ask("a", "net ports")] == [True]
    assert [p["muted"] for p in pair.ask("b", "net ports")] == [True]
    pair.run("a", f"migrate cancel {job}")
    netted.migrate_wait(job, until=("canceled",))
    assert [p["muted"] for p in pair.ask("a", "net ports")] == [False]
    pair.run("b", f"net ping {ADDR}")


def test_another_source_address_is_dropped(pair, netted):
    pair.run("a", "vm type net ip link set eth0 down")
    pair.run("a", "vm type net ip link set eth0 address 02:00:00:00:00:99")
    pair.run("a", "vm type net ip link set eth0 up")
    pair.run("a", "vm type net ping -c 2 -w 3 10.77.0.1")
    pair.run("a", "vm type net echo spoof-$((1+1))")
    netted.wait_text(r"^spoof-2", 60)
    assert pair.ask("a", "net ports")[0]["spoofed"] > 0


def test_an_unknown_network_is_refused(pair):
    got = pair.cmd("a", "vm create x --kernel /boot/vmlinuz --net nowhere")
    assert got.status == 1 and got.text.startswith("error: not-found")
    got = pair.cmd("a", "vm create x --kernel /boot/vmlinuz --net net0,01:00:00:00:00:00")
    assert got.status == 1 and got.text.startswith("error: invalid")
