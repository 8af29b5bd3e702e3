# SPDX-License-Identifier: BSD-2-Clause
"""The lab's network, closed in itself.

With taps (root, or a user namespace and a writable /dev/net/tun) the hub lives
in a network namespace of its own: one bridge per NIC number, one tap per host
and NIC.  The namespace has no other device and goes away with the hub.  A rule
of `lab link` takes the tap out of its bridge and puts a relay between the two.

Without taps the relay is the switch, and the emulators talk to it by unix
datagrams: slower, no offloads, and the machine itself has no address in it.
"""
import os
import subprocess

from . import paths
from .image import address, address6

LAB_SIDE = 254      # the machine's own address in each of the lab's networks
SLOW_QUEUE = 8192   # frames that wait for a host which takes one a millisecond: two TCP windows


def wrapper():
    """(mode, command prefix) to start the hub with: mode is tap or dgram."""
    want = os.environ.get("TERN_LAB_NET", "")
    if want == "dgram":
        return "dgram", []
    for prefix in (["unshare", "-n"], ["unshare", "-Urn"]):
        probe = [*prefix, "ip", "tuntap", "add", "probe0", "mode", "tap"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return "tap", prefix
    if want == "tap":
        raise paths.LabError("TERN_LAB_NET=tap: no tap can be made here (needs root, or a user "
                             "namespace and access to /dev/net/tun)")
    return "dgram", []


def mac(index, nic):
    return f"52:54:00:77:{nic:02x}:{index:02x}"


def run_ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


def _sysctl(name, value):
    try:
        with open("/proc/sys/net/" + name, "w", encoding="ascii") as f:
            f.write(value)
    except OSError:
        pass


class Nic:
    """One host's port: what the emulator is told, and the link's present rules."""

    def __init__(self, host, index, number, mtu, offloads):
        self.host, self.index, self.number = host, index, number
        self.mtu, self.offloads = mtu, offloads
        self.mac = mac(index, number)
        self.name = f"{host}.{number}"
        self.rules = {}
        self.tap = self.netdev = ""


class Relay:
    """A running tools/relay; rules are sent one line at a time."""

    def __init__(self, ports):
        self.proc = subprocess.Popen([paths.relay(), *ports], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.proc.stdout.readline().strip() != "ready":
            raise paths.LabError("the link relay did not start")

    def rule(self, port, rule, value=""):
        self.proc.stdin.write(f"{port} {rule} {value}\n")
        answer = self.proc.stdout.readline().strip()
        if answer != "ok":
            raise paths.LabError(f"link: {answer or 'relay died'}")

    def stop(self):
        self.proc.stdin.close()
        self.proc.wait()


class TapNet:
    """Bridges and taps in the namespace that the hub was started in."""

    def __init__(self, mtu):
        self.mtu, self.bridges, self.relays = mtu, set(), {}
        _sysctl("ipv4/conf/all/arp_ignore", "1")
        _sysctl("ipv6/conf/default/disable_ipv6", "1")
        run_ip("link", "set", "lo", "up")

    def bridge(self, number):
        """The switch of all NICs of that number, made when it is first asked for."""
        name = f"br{number}"
        if name in self.bridges:
            return name
        run_ip("link", "add", name, "address", mac(LAB_SIDE, number), "type", "bridge",
            "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        _sysctl(f"ipv6/conf/{name}/disable_ipv6", "0")
        run_ip("link", "set", name, "mtu", str(self.mtu), "up")
        run_ip("addr", "add", f"{address(LAB_SIDE, number)}/24", "dev", name)
        subprocess.run(["ip", "addr", "add", f"{address6(LAB_SIDE, number)}/64", "dev", name,
                        "nodad"], check=False, capture_output=True)
        self.bridges.add(name)
        return name

    def add(self, nic):
        bridge = self.bridge(nic.number)
        nic.tap = f"h{nic.index}n{nic.number}"
        run_ip("tuntap", "add", nic.tap, "mode", "tap", *(["vnet_hdr"] if nic.offloads else []))
        run_ip("link", "set", nic.tap, "mtu", str(nic.mtu), "master", bridge, "up")
        if not nic.offloads:
            run_ip("link", "set", nic.tap, "txqueuelen", str(SLOW_QUEUE))
        nic.netdev = f"tap,ifname={nic.tap},script=no,downscript=no,vnet_hdr=on"

    def remove(self, nic):
        self._unrelay(nic)
        run_ip("link", "del", nic.tap)

    def _relay(self, nic):
        """The relay in this NIC's link, put in if it is not there."""
        if nic.name in self.relays:
            return self.relays[nic.name]
        far = f"r{nic.index}n{nic.number}"
        run_ip("tuntap", "add", far, "mode", "tap", "vnet_hdr")
        run_ip("link", "set", far, "mtu", str(self.mtu), "master", self.bridge(nic.number), "up")
        run_ip("link", "set", nic.tap, "nomaster")
        self.relays[nic.name] = Relay([f"host=packet:{nic.tap}", f"net=tap:{far}"])
        return self.relays[nic.name]

    def _unrelay(self, nic):
        relay = self.relays.pop(nic.name, None)
        if relay:
            relay.stop()
            run_ip("link", "del", f"r{nic.index}n{nic.number}")
            run_ip("link", "set", nic.tap, "master", self.bridge(nic.number))

    def apply(self, nic, rule, value):
        if rule == "clear":
            self._unrelay(nic)
        if rule in ("down", "up", "clear") and nic.offloads:
            run_ip("link", "set", nic.tap, "down" if rule == "down" else "up")
        elif rule != "clear":       # without: a tap that is down would end Bochs at its next frame
            self._relay(nic).rule("host", rule, value)

    def stop(self):
        for relay in self.relays.values():
            relay.stop()


class DgramNet:
    """One relay per NIC number as the switch; a port is made for each of 24 hosts."""

    PORTS = 24

    def __init__(self, directory):
        self.dir, self.switches = directory, {}

    def _paths(self, index, number):
        return f"{self.dir}/net{number}.{index}.r", f"{self.dir}/net{number}.{index}.q"

    def add(self, nic):
        if nic.index > self.PORTS:
            raise paths.LabError(f"without taps a lab has at most {self.PORTS} hosts")
        if nic.number not in self.switches:
            self.switches[nic.number] = Relay(
                [f"p{i}=dgram:" + ",".join(self._paths(i, nic.number))
                 for i in range(1, self.PORTS + 1)])
        relay_side, host_side = self._paths(nic.index, nic.number)
        if os.path.exists(host_side):
            os.unlink(host_side)
        nic.netdev = (f"dgram,local.type=unix,local.path={host_side},"
                      f"remote.type=unix,remote.path={relay_side}")

    def remove(self, nic):
        self.apply(nic, "clear", "")

    def apply(self, nic, rule, value):
        self.switches[nic.number].rule(f"p{nic.index}", rule, value)

    def stop(self):
        for relay in self.switches.values():
            relay.stop()
