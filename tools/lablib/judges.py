# SPDX-License-Identifier: BSD-2-Clause
"""Outside judges: Debian's own test programs, run in a test guest wherever that is.

    j = Judge(lab, "g", ["stress-ng", "--cpu", "4", "--verify", "--timeout", "10"])
    ...migrations...
    status, lines = j.wait(60)

A judge is started by a line typed at the guest's shell (ttyS0) and read back from its
serial log, by a tag of its own (test/guest/judges/judge): several may be under way. The
guest may move between two looks; what it says travels with it.

files() gives what an initrd needs for them: programs, libraries, loader, scripts.
"""
import glob
import json
import os
import re
import subprocess
import time

from .linuxhost import with_libraries
from .paths import TOP, LabError

ROOT = f"{TOP}/build/third-party/judges"        # tools/setup's, from tools/deps/judges.txt
SCRIPTS = f"{TOP}/test/guest/judges"
PROGRAMS = {"stress-ng": "usr/bin/stress-ng", "memtester": "usr/sbin/memtester",
            "cyclictest": "usr/bin/cyclictest", "iperf3": "usr/bin/iperf3"}
INSTALLED = {"fio": "/usr/bin/fio"}     # here; large, so it comes by name alone
NAMES = (*PROGRAMS, "kernel-log", *INSTALLED)
LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = "lib/x86_64-linux-gnu"
PLAIN = re.compile(r"[\w./:=,%+@-]+")      # neither the console nor a shell changes it
POLL_S = 0.3
HANDOVER_S = 60         # the VM runs on none of the hosts that answer


def shown(line):
    """LINE as a terminal shows it: memtester counts by backspaces."""
    if "\b" not in line:
        return line
    cells, at = [], 0
    for c in line:
        if c == "\b":
            at = max(at - 1, 0)
        else:
            cells[at:at + 1] = c
            at += 1
    return "".join(cells).rstrip()


def _needed(path):
    out = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True)
    return re.findall(r"\(NEEDED\).*\[(.*)\]", out.stdout)


def files(names=tuple(PROGRAMS), root=ROOT):
    """{path in the initrd: file here} for the judges NAMES."""
    libraries = {os.path.basename(p): p for where in ("lib", "usr/lib")
                 for p in glob.glob(f"{root}/{where}/x86_64-linux-gnu/*.so*")}
    out = {LOADER: libraries[os.path.basename(LOADER)]}
    todo = []
    for name in names:
        if name in INSTALLED:
            out.update(with_libraries(f"bin/{name}", INSTALLED[name]))
        else:
            out[f"bin/{name}"] = f"{root}/{PROGRAMS[name]}"
            todo.append(out[f"bin/{name}"])
    while todo:
        for name in _needed(todo.pop()):
            if name not in libraries:
                raise LabError(f"{name} is in no package of tools/deps/judges.txt")
            if f"{LIBRARIES}/{name}" not in out:
                out[f"{LIBRARIES}/{name}"] = libraries[name]
                todo.append(libraries[name])
    for script in os.listdir(SCRIPTS):
        out[f"bin/{script}"] = f"{SCRIPTS}/{script}"
    return out


class Judge:
    """One tool at work in VM. VERDICT: its exit status when it has ended; LINES: what it said."""

    def __init__(self, lab, vm, argv):
        self.lab, self.vm, self.argv = lab, vm, list(argv)
        for word in self.argv:
            if not PLAIN.fullmatch(word):
                raise LabError(f"judge: '{word}': an argument is one word without quotes")
        self.tag = os.urandom(3).hex()
        self.verdict, self.lines, self.partial = None, [], ""
        self.host = None
        self.offset = self._ask("vm log {} --tail 0")["offset"]
        self._type(" ".join(["judge", self.tag, *self.argv, "&"]))

    # --- the VM, wherever it is ---------------------------------------------------

    def _running_on(self):
        for host in [h["name"] for h in self.lab.status()["hosts"] if h["alive"]]:
            got = self.lab.cmd(host, f"vm info {self.vm} --json")
            if got.status == 0 and json.loads(got.text)["state"] in ("running", "paused"):
                return host
        return None

    def _try(self, attempt):
        """ATTEMPT(host) until it is an answer with status 0; the VM may be between two hosts."""
        end = time.monotonic() + HANDOVER_S * self.lab.patience
        said = "no such VM is running here"
        while True:
            self.host = self._running_on()
            if self.host:
                got = attempt(self.host)
                if got.status == 0:
                    return got.text
                said = got.text
            if time.monotonic() > end or (not self.host and not self._anywhere()):
                raise LabError(f"VM {self.vm}: {said}")
            time.sleep(POLL_S)

    def _anywhere(self):
        return any(self.lab.cmd(h["name"], f"vm info {self.vm}").status == 0
                   for h in self.lab.status()["hosts"] if h["alive"])

    def _ask(self, line):
        return json.loads(self._try(lambda host: self.lab.cmd(
            host, line.format(self.vm) + " --json")))

    def _type(self, line):
        self._try(lambda host: self.lab.cmd(host, f"vm type {self.vm} {line}"))

    # --- what it says -------------------------------------------------------------

    def poll(self):
        """Lines that are new; sets the verdict when it has come."""
        got = self._ask(f"vm log {{}} --since {self.offset}")
        self.offset = got["offset"]
        *whole, self.partial = (self.partial + got["text"].replace("\r", "")).split("\n")
        fresh = []
        for line in whole:
            found = re.search(rf"@{self.tag}([|=])(.*)", line)
            if found and found[1] == "=":
                self.verdict = int(found[2])
            elif found:
                fresh.append(shown(found[2]))
        self.lines += fresh
        return fresh

    def wait(self, timeout, each=None):
        """(exit status, lines) when it has ended; EACH sees every line as it comes."""
        end = time.monotonic() + timeout * self.lab.patience
        while self.verdict is None:
            if time.monotonic() > end:
                raise LabError(f"VM {self.vm}: no end of '{' '.join(self.argv)}' in {timeout} s; "
                               f"it last said:\n" + "\n".join(self.lines[-10:]))
            fresh = self.poll()
            for line in fresh if each else ():
                each(line)
            if self.verdict is None and not fresh:
                time.sleep(POLL_S)
        return self.verdict, self.lines
