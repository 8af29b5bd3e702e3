# SPDX-License-Identifier: BSD-2-Clause
"""class Lab: what the command line, the tests, the demo and the bench call.

    lab = Lab("name"); lab.up(["a", "b"], files="build/guest")
    lab.cmd("a", "vm list")          -> Answer(status, text)
    lab.ask("a", "vm info x")        -> the parsed --json, LabError if it failed
    lab.wait("a", "regex", 30)       -> text, waits for it in the host's log
    lab.link("a", "delay", 20); lab.kill("b"); lab.down()
    lab.up(["a"], clients=["c"]); subprocess.run(lab.client_argv("c", ["ping", ...]))
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple

from . import emulator, image, moves, net
from .paths import TOP, LabError, lab_dir

Answer = namedtuple("Answer", "status text")

READY = r"^.*tern: ready\s*$"
PANIC = r"\b(?:panic|PANIC)\b|Tern was not started"
# What a host can be given: `lab up --NAME`, Lab.up(NAME=...), the emulator's host.opt["NAME"].
# For None the emulator has a default.
DEFAULTS = {
    "cpu": "svm",
    "cpu_model": None,
    "ips": None,
    "smp": None,
    "mem": None,
    "prealloc": False,
    "reset": False,
    "nics": 1,
    "nic": None,
    "files": None,
    "disks": (),
    "vga": False,
    "conf": (),
}


def check_options(opt, mtu):
    """What an emulator would end over without naming the option, or take for something else."""
    for what, least, most in (("smp", 1, 255), ("mem", 64, 1 << 20), ("nics", 0, 8)):
        if not least <= opt[what] <= most:
            raise LabError(f"--{what} {opt[what]}: from {least} to {most}")
    if not 1280 <= mtu <= 9216:
        raise LabError(f"--mtu {mtu}: from 1280 to 9216")
    for line in opt["conf"]:
        if "=" not in line:
            raise LabError(f"--conf '{line}': a line of tern.conf is KEY = VALUE")
    for disk in opt["disks"]:
        if not os.path.exists(disk.partition(",")[0]):
            raise LabError(f"--disk {disk.partition(',')[0]}: no such file")


class Lab:
    """PATIENCE: what its time-outs are multiplied by; more with slow emulators."""

    made = []
    before_end = None   # called with a lab whose hosts are about to end

    def __init__(self, name=None):
        self.patience = 1
        self.dir = lab_dir(name)
        self.sock = f"{self.dir}/hub.sock"
        self.settled = set()    # moves.py: runs that are found in order
        self.untold = None      # and the last that was missing
        self.held = {}          # so many steps of each id
        self.ended = None       # hosts that were alive when the lab was ended
        self.thirds = set()     # ids of those in which a third host had a part
        Lab.made.append(self)

    # --- hub --------------------------------------------------------------------

    def running(self):
        try:
            return bool(self.request("status"))
        except LabError:
            return False

    def _open(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(self.sock)
        except OSError:
            s.close()
            raise LabError("no lab is up here (lab up NAME...)") from None
        return s

    def request(self, op, **args):
        with self._open() as s:
            s.sendall(json.dumps({"op": op, **args}).encode() + b"\n")
            line = s.makefile("rb").readline()
        answer = json.loads(line or b'{"ok": false, "error": "the lab went away"}')
        if not answer.pop("ok"):
            raise LabError(answer["error"])
        return answer

    def start_hub(self, mtu, max_time):
        os.makedirs(self.dir, exist_ok=True)
        mode, prefix = net.wrapper()
        log = open(f"{self.dir}/hub.log", "w", encoding="utf-8")
        argv = [*prefix, sys.executable, "-m", "lablib.hub", "--dir", self.dir, "--net", mode,
                "--mtu", str(mtu), "--max-time", str(max_time)]
        proc = subprocess.Popen(argv, cwd=f"{TOP}/tools", stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        if proc.stdout.readline().strip() != b"ready":
            with open(f"{self.dir}/hub.log", encoding="utf-8") as f:
                raise LabError(f"the lab's hub did not start: {f.read()[-500:]}")

    # --- hosts ------------------------------------------------------------------

    def _index(self, name):
        """a is 1 ... z is 26; other names get the next number from 27 on; kept."""
        path = f"{self.dir}/{name}/index"
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                return int(f.read())
        if len(name) == 1 and "a" <= name <= "z":
            index = ord(name) - ord("a") + 1
        else:
            taken = [int(open(e.path + "/index", encoding="ascii").read())
                     for e in os.scandir(self.dir) if os.path.exists(e.path + "/index")]
            index = max([26, *taken]) + 1
        os.makedirs(f"{self.dir}/{name}", exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(str(index))
        return index

    def addr(self, name, nic=0):
        return image.address(self._index(name), nic)

    def up(self, names, *, clients=(), mtu=9000, max_time=3600, timeout=180, wait=True, **options):
        given = {k: v for k, v in options.items() if v is not None}
        machine = emulator.for_cpu(given.get("cpu", DEFAULTS["cpu"]))
        opt = {**DEFAULTS, **machine.defaults, **given}
        if opt["nic"] not in machine.cards:
            raise LabError(f"--nic {opt['nic']}: {', '.join(machine.cards)}")
        machine.check(opt)
        self.patience = max(self.patience, machine.patience)
        files = image.boot_files(opt["files"])
        for kind, name in [*(("host", n) for n in names), *(("client", n) for n in clients)]:
            if not name.isalnum() or len(name) > 12:
                raise LabError(f"bad {kind} name '{name}' (letters and digits, at most 12)")
        check_options(opt, mtu)
        if self.running():
            mtu = self.request("status")["mtu"]
        else:
            self.ended = None
            self.start_hub(mtu, max_time)
        for name in clients:
            self.request("client", name=name)
        for name in names:
            self._start(name, machine, opt, files, machine.mtu(mtu))
        if wait:
            for name in names:
                self.wait(name, READY + "|" + PANIC, timeout)
                self._no_panic(name)

    def _start(self, name, machine, opt, files, mtu):
        index = self._index(name)
        config = image.config_text(name, index, opt["nics"], mtu, opt["conf"])
        for host in self.request("status")["hosts"]:
            if host["name"] == name and host["alive"]:
                raise LabError(f"host {name} is up already")
        machine.make_volume(f"{self.dir}/{name}/{machine.volume}", config, files)
        disks = [os.path.abspath(d.partition(",")[0]) + "".join(d.partition(",")[1:])
                 for d in opt["disks"]]
        self.request("up", host=name, index=index, options={**opt, "disks": disks})

    def _no_panic(self, name):
        text = self.log(name)
        if "tern: ready" not in text:
            raise LabError(f"host {name} stopped while booting:\n" + text[-2000:])

    def cmd(self, host, line, timeout=60):
        got = self.request("cmd", host=host, line=line, timeout=timeout * self.patience)
        return Answer(got["status"], got["text"])

    def run(self, host, line, timeout=60):
        """cmd() that must succeed; its text."""
        got = self.cmd(host, line, timeout)
        if got.status:
            raise LabError(f"{host}> {line}: {got.text or got.status}")
        return got.text

    def ask(self, host, line, timeout=60):
        text = self.run(host, line + " --json", timeout)
        try:
            return json.loads(text)
        except json.JSONDecodeError as e:
            raise LabError(f"{host}> {line} --json: {e}: {text[:500]}") from None

    def wait(self, host, pattern, timeout=60, start=0):
        got = self.request("wait", host=host, pattern=pattern, timeout=timeout * self.patience,
                           start=start)
        return got["text"]

    def mark(self, host):
        """The log's present end, as `start` for wait()."""
        return next(h["log_bytes"] for h in self.status()["hosts"] if h["name"] == host)

    def log(self, host):
        try:
            with open(f"{self.dir}/{host}/log", "rb") as f:
                return f.read().decode(errors="replace").replace("\r", "")
        except OSError:
            raise LabError(f"no log of a host '{host}'") from None

    def hosts(self):
        """All that were started in this lab, by name."""
        if not os.path.isdir(self.dir):
            return []
        return sorted(e.name for e in os.scandir(self.dir) if os.path.exists(e.path + "/index"))

    def alive(self):
        try:
            return [h["name"] for h in self.status()["hosts"] if h["alive"]]
        except LabError:
            return []

    def told(self, host):
        """What HOST, in all its lives, has logged; of those that ended only what moves.py reads."""
        text = ""
        for name in ("steps", "log"):
            if os.path.exists(f"{self.dir}/{host}/{name}"):
                with open(f"{self.dir}/{host}/{name}", encoding="utf-8", errors="replace",
                          newline="") as f:
                    text += f.read()
        return text

    def steps(self, host):
        """(id, direction, words) of each step that HOST, in all its lives, took in migrations."""
        return moves.steps_in(self.told(host))

    def dump(self, host, vm, path, timeout=120):
        """VM's memory and registers as an ELF core in the file PATH; what the host says of it."""
        receiver = subprocess.Popen(
            self.exec_argv([sys.executable, f"{TOP}/tools/lablib/receive.py", "8903", path]),
            stdout=subprocess.PIPE, text=True)
        try:
            if receiver.stdout.readline().strip() != "ready":
                raise LabError("the receiver of the dump did not start")
            said = self.ask(host, f"vm dump {vm} --to {image.address(net.LAB_SIDE, 0)}", timeout)
            receiver.wait(timeout)
            return said
        finally:
            receiver.kill()
            receiver.wait()

    def link(self, host, rule, value=None, nic=None):
        self.request("link", host=host, rule=rule, nic=nic,
                     value="" if value is None else str(value))

    def kill(self, host):
        self.request("kill", host=host)

    def freeze(self, host):
        self.request("signal", host=host, what="freeze")

    def thaw(self, host):
        self.request("signal", host=host, what="thaw")

    def status(self):
        return self.request("status")

    def down(self):
        """Ends the hub and with it all hosts; waits until they are gone."""
        try:
            if self.running() and Lab.before_end:
                Lab.before_end(self)
        finally:
            self.ended = self.alive() or self.ended
            self._end()

    def _end(self):
        try:
            pid = self.request("status")["pid"]
            self.request("down")
        except LabError:
            return
        for _ in range(200):
            if not os.path.exists(self.sock):
                break
            time.sleep(0.05)
        for _ in range(200):
            try:
                os.kill(pid, 0)
            except OSError:
                return
            try:                # our own child, when we started it
                if os.waitpid(pid, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                pass
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)

    def remove(self):
        self.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- the lab's own side of the network ---------------------------------------

    @staticmethod
    def _enter(pid, argv):
        if os.getuid() == 0:
            return ["nsenter", "-t", str(pid), "-n", *argv]
        return ["nsenter", "-t", str(pid), "-U", "-n", "--preserve-credentials", *argv]

    def exec_argv(self, argv):
        """ARGV as it runs inside the lab's network namespace."""
        st = self.status()
        if st["net"] != "tap":
            raise LabError("this lab has no namespace (no taps here): needs root")
        return self._enter(st["pid"], argv)

    def exec(self, argv, **kwargs):
        return subprocess.run(self.exec_argv(argv), check=False, **kwargs)

    def client(self, name):
        """What is known of the third machine NAME: its pid, addr, addr6."""
        for client in self.status()["clients"]:
            if client["name"] == name:
                return client
        raise LabError(f"no client '{name}' in this lab (lab up --client {name})")

    def client_argv(self, name, argv):
        """ARGV as it runs on the third machine NAME."""
        return self._enter(self.client(name)["pid"], argv)
