# SPDX-License-Identifier: BSD-2-Clause
"""The lab's process: it holds every host of one lab.

Started by `lab up` (client.py) inside the lab's network namespace, it runs the
emulators as its children, reads their serial lines, and serves clients on the
unix socket LAB/hub.sock: one request a connection, a JSON object a line each
way ({"op": ...} -> {"ok": true, ...} or {"ok": false, "error": TEXT}).  It ends
on `down`, on SIGTERM, or after --max-time, and takes the emulators with it
(they also die with it by PR_SET_PDEATHSIG).

Per host it keeps LAB/NAME/log, the serial output as received, and
LAB/NAME/times, "OFFSET NANOSECONDS" (CLOCK_MONOTONIC) for each chunk received.
"""
import argparse
import asyncio
import json
import os
import re
import signal
import sys
import time

from . import emulator, net, netclient, paths
from .host import Host

LINE_LIMIT = 1 << 20


class Hub:
    def __init__(self, args):
        self.dir, self.args = args.dir, args
        self.hosts, self.clients, self.done = {}, {}, asyncio.Event()
        self.net = net.TapNet(args.mtu) if args.net == "tap" else net.DgramNet(args.dir)

    # --- requests ---------------------------------------------------------------

    def host(self, req):
        host = self.hosts.get(req.get("host"))
        if not host:
            raise paths.LabError(f"no host '{req.get('host')}' in this lab")
        return host

    async def op_up(self, req):
        """Starts one host; returns at once, `wait` for its log then."""
        name = req["host"]
        if name in self.hosts and self.hosts[name].alive():
            raise paths.LabError(f"host {name} is up already")
        machine = emulator.for_cpu(req["options"]["cpu"])
        host = Host(self.dir, name, req, machine, machine.mtu(self.args.mtu))
        for nic in host.nics:
            self.net.add(nic)
        self.hosts[name] = host
        try:
            await host.start(self.gone)
        except BaseException:
            self.gone(host)
            raise
        return {"pid": host.proc.pid}

    async def op_client(self, req):
        """Adds a third machine."""
        name = req["name"]
        if name in self.clients:
            raise paths.LabError(f"client {name} is up already")
        if self.args.net != "tap":
            raise paths.LabError("--client: no taps here (they need root), so no third machine")
        if len(self.clients) == netclient.MOST:
            raise paths.LabError(f"--client: at most {netclient.MOST} of them")
        self.net.bridge(0)
        self.clients[name] = netclient.NetClient(name, len(self.clients), self.args.mtu)
        return {}

    def gone(self, host):
        for nic in host.nics:
            self.net.remove(nic)
        host.nics = []

    async def op_cmd(self, req):
        status, text = await self.host(req).command(req["line"], req.get("timeout", 60))
        return {"status": status, "text": text}

    async def op_wait(self, req):
        match, offset = await self.host(req).wait(re.compile(req["pattern"], re.M),
                                                  req.get("start", 0), req.get("timeout", 60))
        return {"text": match, "offset": offset}

    async def op_link(self, req):
        host = self.host(req)
        nics = [n for n in host.nics if req.get("nic") in (None, n.number)]
        if not nics:
            raise paths.LabError(f"host {host.name} has no such link (is it up?)")
        for nic in nics:
            self.net.apply(nic, req["rule"], req.get("value", ""))
            if req["rule"] in ("clear", "up"):
                nic.rules.pop("down", None)
            if req["rule"] == "clear":
                nic.rules.clear()
            elif req["rule"] != "up":
                nic.rules[req["rule"]] = req.get("value", "")
        return {}

    async def op_kill(self, req):
        host = self.host(req)
        if not host.alive():
            raise paths.LabError(f"host {host.name} is not running")
        await host.kill()
        return {}

    async def op_signal(self, req):
        self.host(req).signal({"freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}[req["what"]])
        return {}

    async def op_status(self, _req):
        left = self.args.max_time - (time.monotonic() - self.args.started)
        return {"net": self.args.net, "mtu": self.args.mtu, "seconds_left": int(left),
                "pid": os.getpid(), "hosts": [h.status() for h in self.hosts.values()],
                "clients": [c.status() for c in self.clients.values()]}

    async def op_down(self, _req):
        self.done.set()
        return {}

    # --- connections ------------------------------------------------------------

    async def console(self, host, reader, writer):
        """Raw bytes both ways until the client or the host goes."""
        host.watchers.add(writer)
        try:
            while host.alive():
                data = await reader.read(4096)
                if not data:
                    break
                await host.send(data)
        finally:
            host.watchers.discard(writer)

    async def client(self, reader, writer):
        try:
            req = json.loads(await reader.readline() or "{}")
            try:
                if req.get("op") == "console":
                    host = self.host(req)
                    writer.write(b'{"ok": true}\n')
                    await self.console(host, reader, writer)
                    return
                handler = getattr(self, "op_" + str(req.get("op")), None)
                if not handler:
                    raise paths.LabError(f"hub: no operation {req.get('op')!r}")
                answer = {"ok": True, **await handler(req)}
            except Exception as e:        # whatever it is, the client is told
                known = isinstance(e, (paths.LabError, OSError))
                answer = {"ok": False, "error": str(e) if known else repr(e)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, json.JSONDecodeError):
            pass
        finally:
            writer.close()

    async def serve(self):
        server = await asyncio.start_unix_server(self.client, f"{self.dir}/hub.sock",
                                                 limit=LINE_LIMIT)
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(sig, self.done.set)
        print("ready", flush=True)
        try:
            await asyncio.wait_for(self.done.wait(), self.args.max_time)
        except asyncio.TimeoutError:
            print(f"hub: --max-time {self.args.max_time} s is over", file=sys.stderr)
        await asyncio.sleep(0.05)       # the answer to `down` goes out first
        server.close()
        os.unlink(f"{self.dir}/hub.sock")
        await asyncio.gather(*(h.kill() for h in self.hosts.values() if h.alive()))
        for client in self.clients.values():
            client.stop()
        self.net.stop()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--dir", required=True)
    ap.add_argument("--net", choices=["tap", "dgram"], required=True)
    ap.add_argument("--mtu", type=int, required=True)
    ap.add_argument("--max-time", type=int, required=True)
    args = ap.parse_args()
    args.started = time.monotonic()

    async def run():
        await Hub(args).serve()

    asyncio.run(run())


if __name__ == "__main__":
    main()
