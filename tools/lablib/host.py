# SPDX-License-Identifier: BSD-2-Clause
"""One host inside the hub: its emulator, its serial line, its commands.

Machine framing: `@TAG command`, behind an RS octet (0x1e), makes the host's
shell answer with lines `@TAG|text` and at last `@TAG=STATUS`; several commands
may be under way at once, and log lines may stand between.
"""
import asyncio
import ctypes
import os
import re
import signal
import time

from . import image, moves, net, paths

PR_SET_PDEATHSIG = 1
ANSWER = re.compile(rb"@(\d+)([|=])([^\r\n]*)\r*\n")


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    def __init__(self, lab_dir, name, req, machine, mtu):
        self.name, self.machine, self.mtu = name, machine, mtu
        self.dir = os.path.join(lab_dir, name)
        self.index, self.opt = req["index"], req["options"]
        self.nics = [net.Nic(name, self.index, k, mtu, machine.offloads)
                     for k in range(self.opt["nics"])]
        self.proc = self.writer = self.reader = None
        self.data, self.partial = bytearray(), b""
        self.changed = asyncio.Condition()
        self.watchers, self.pending, self.tag = set(), {}, 0
        self.started = self.ended = None
        self.send_lock = asyncio.Lock()

    # --- life -------------------------------------------------------------------

    async def start(self, on_exit):
        for leftover in ("serial", "qmp"):
            if os.path.exists(f"{self.dir}/{leftover}"):
                os.unlink(f"{self.dir}/{leftover}")
        self._keep_steps()
        self.log = open(f"{self.dir}/log", "wb", buffering=0)
        self.times = open(f"{self.dir}/times", "w", encoding="ascii")
        dialed = await self._listen() if self.machine.dials else None
        argv = self.machine.argv(self)
        with open(f"{self.dir}/emulator.log", "w", encoding="utf-8") as err:
            err.write(" ".join(argv) + "\n")
            err.flush()
            self.proc = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=err, stderr=err,
                start_new_session=True, preexec_fn=_die_with_parent)
        self.started = time.monotonic()
        self.reader, self.writer = await self._connect(dialed)
        self.tasks = [asyncio.create_task(self._read()),
                      asyncio.create_task(self._reap(on_exit))]

    def _keep_steps(self):
        """The log begins anew: what a former life told of its migrations goes to `steps`."""
        if not os.path.exists(f"{self.dir}/log"):
            return
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace", newline="") as f:
            text = f.read()
        with open(f"{self.dir}/steps", "a", encoding="utf-8") as f:
            f.write(moves.kept(text))

    async def _listen(self):
        """For an emulator that dials: sets self.port; the future of its line."""
        line = asyncio.get_running_loop().create_future()

        def accept(reader, writer):
            line.set_result((reader, writer))
            server.close()          # no second one

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return line

    async def _connect(self, dialed):
        for _ in range(600):
            if self.proc.returncode is not None:
                break
            try:
                if not dialed:
                    return await asyncio.open_unix_connection(f"{self.dir}/serial")
                if dialed.done():
                    return dialed.result()
            except OSError:
                pass
            await asyncio.sleep(0.05)
        raise paths.LabError(f"host {self.name}: the emulator did not start: {self._last_words()}")

    def _last_words(self):
        """What the emulator complained of; its log begins with the command line."""
        with open(f"{self.dir}/emulator.log", encoding="utf-8", errors="replace") as f:
            text = f.read()
        said = text.strip().splitlines()[1:]
        return self.machine.complaint(text) or (said[-1] if said else "emulator.log says nothing")

    async def _reap(self, on_exit):
        await self.proc.wait()
        await asyncio.sleep(0.05)       # what it last said is read first
        self.ended = time.monotonic()
        for future in self.pending.values():
            if not future.done():
                future.set_exception(paths.LabError(f"host {self.name} ended"))
        on_exit(self)
        for watcher in self.watchers:
            watcher.close()
        async with self.changed:
            self.changed.notify_all()

    def alive(self):
        return self.proc is not None and self.proc.returncode is None

    def signal(self, number):
        if not self.alive():
            raise paths.LabError(f"host {self.name} is not running")
        self.proc.send_signal(number)

    async def kill(self):
        self.signal(signal.SIGKILL)
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def status(self):
        return {"name": self.name, "alive": self.alive(), "pid": self.proc and self.proc.pid,
                "addr": image.address(self.index), "smp": self.opt["smp"], "mem": self.opt["mem"],
                "ready": b"tern: ready" in self.data, "log_bytes": len(self.data),
                "exit": self.proc.returncode if self.proc else None,
                "links": {str(n.number): n.rules for n in self.nics}}

    # --- serial line ------------------------------------------------------------

    async def _read(self):
        while True:
            try:
                chunk = await self.reader.read(65536)
            except OSError:
                return
            if not chunk:
                return
            self.times.write(f"{len(self.data)} {time.monotonic_ns()}\n")
            self.times.flush()
            self.log.write(chunk)
            self.data += chunk
            for watcher in self.watchers:
                watcher.write(chunk)
            self._answers(chunk)
            async with self.changed:
                self.changed.notify_all()

    def _answers(self, chunk):
        lines = (self.partial + chunk).split(b"\n")
        self.partial = lines.pop()
        for line in lines:
            found = ANSWER.search(line + b"\n")
            if not found:
                continue
            tag, text = int(found[1]), found[3].decode(errors="replace")
            future = self.pending.get(tag)
            if not future or future.done():
                continue
            if found[2] == b"|":
                future.lines.append(text)
            else:
                future.set_result((int(text or -1), "\n".join(future.lines)))

    async def send(self, data):
        async with self.send_lock:
            self.writer.write(data)
            await self.writer.drain()

    async def command(self, line, timeout):
        if not self.alive():
            raise paths.LabError(f"host {self.name} is not running")
        if "\n" in line or "\r" in line:
            raise paths.LabError("a command is one line")
        self.tag += 1
        tag, future = self.tag, asyncio.get_running_loop().create_future()
        future.lines = []
        self.pending[tag] = future
        try:
            await self.send(f"\x1e@{tag} {line}\n".encode())
            return await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            raise paths.LabError(
                f"host {self.name}: no answer to '{line}' in {timeout} s") from None
        finally:
            del self.pending[tag]

    async def wait(self, pattern, start, timeout):
        """The first match in the log from byte START; (text, offset after it)."""
        end = time.monotonic() + timeout
        while True:
            text = self.data[start:].decode("latin-1")
            found = pattern.search(text)
            if found:
                return found[0], start + found.end()
            left = end - time.monotonic()
            if self.ended:
                raise paths.LabError(f"host {self.name} ended ({self._last_words()}), "
                                     f"waiting for '{pattern.pattern}'")
            if left <= 0:
                raise paths.LabError(f"host {self.name}: waiting for '{pattern.pattern}': "
                                     f"did not say it in {timeout} s")
            async with self.changed:
                try:
                    await asyncio.wait_for(self.changed.wait(), min(left, 1.0))
                except asyncio.TimeoutError:
                    pass
