# SPDX-License-Identifier: BSD-2-Clause
"""A third machine in the lab's network: `lab up ... --client NAME`.

It is a network namespace with one device, eth0, whose cable (a veth pair) ends in
bridge br0 like a host's; it has no other way out.  What runs in it sees the hosts and
their guests as a machine beside them does, on a port of the bridge's own.
The namespace lives by a process that reads from the hub and so ends with it; what
else runs in it is ended when the client is.
"""
import os
import signal
import subprocess

from . import image, net, paths

FIRST = 253         # clients' addresses count down from here: 10.77.0.253, fd77::fd
MOST = 16
HOLD = "ip link set lo up; echo; exec cat"


class NetClient:
    def __init__(self, name, number, mtu):
        self.name, self.index = name, FIRST - number
        self.cable = f"c{self.index}"
        self.proc = subprocess.Popen(["unshare", "-n", "sh", "-c", HOLD], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        try:
            if not self.proc.stdout.readline():
                raise paths.LabError(f"client {name}: no network namespace can be made here")
            self._plug(mtu)
        except BaseException:
            self.stop()
            raise

    def _plug(self, mtu):
        net.run_ip("link", "add", self.cable, "mtu", str(mtu), "type", "veth", "peer", "name",
                   "eth0", "address", net.mac(self.index, 0), "mtu", str(mtu), "netns",
                   str(self.proc.pid))
        net.run_ip("link", "set", self.cable, "master", "br0", "up")
        self._inside("link", "set", "eth0", "up")
        self._inside("addr", "add", f"{image.address(self.index)}/24", "dev", "eth0")
        self._inside("addr", "add", f"{image.address6(self.index)}/64", "dev", "eth0", "nodad")

    def _inside(self, *args):
        subprocess.run(["nsenter", "-t", str(self.proc.pid), "-n", "ip", *args], check=True,
                       capture_output=True)

    def status(self):
        return {"name": self.name, "pid": self.proc.pid, "addr": image.address(self.index),
                "addr6": image.address6(self.index)}

    def _residents(self):
        """Every process in the namespace."""
        here = os.stat(f"/proc/{self.proc.pid}/ns/net").st_ino
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino == here:
                    yield int(pid)
            except OSError:
                pass            # gone meanwhile, or another user's

    def stop(self):
        for pid in self._residents():
            if pid != self.proc.pid:
                os.kill(pid, signal.SIGKILL)
        self.proc.stdin.close()
        self.proc.wait()
