# SPDX-License-Identifier: BSD-2-Clause
"""class Guest: a test guest on a Tern host, followed by its serial logs.

    g = Guest(lab, "g1"); g.create("a", mode="dirty", ws=64, rate=50); g.start()
    g.wait_beats(10); g.migrate("b"); g.wait_beats(10); g.verify()

All that the guest has printed is kept in g.text (by offset of its log, so what
travels with the VM is seen to be without hole); its heartbeats in g.beats.
`vm log --json` gives {"offset": END, "text": ...} for bytes from --since on.
"""
import json
import re
import time
from collections import namedtuple

from .paths import LabError

Beat = namedtuple("Beat", "seq t_us pages passes errors rng gap_us")

# Our own line has seven numbers; other guests may print the first five after `H`.
BEAT = re.compile(r"^(?:hb|H) (\d+) (\d+) (\d+) (\d+) (\d+)(?: (-?\d+) (\d+))?\r?$", re.M)
BAD = re.compile(r"^(?:bad pages?|guest: no |Kernel panic|.*BUG:|.*Oops|.*segfault|"
                 r".*soft lockup|.*rcu.*stall|.*blocked for more than|"
                 r"vectors: thread|.*Bad FPU state).*$", re.M)
CMDLINE = "quiet console=ttyS0"
POLL_S = 0.2
PAGES_PER_MIB = 256

OVER = ("done", "failed", "canceled", "cancelled", "in-doubt")


class Guest:
    def __init__(self, lab, name, host=None):
        self.lab, self.name, self.host = lab, name, host
        self.text, self.offset, self.parsed = "", 0, 0
        self.beats, self.ws = [], 0

    # --- life -------------------------------------------------------------------

    def create(self, host, mode="dirty", mem="256M", kernel="/boot/vmlinuz",
               initrd="/boot/initrd", vcpus=1, extra="", options="", **params):
        self.host, self.ws = host, int(params.get("ws", 64))
        words = [CMDLINE, f"tern.mode={mode}", *(f"tern.{k}={v}" for k, v in params.items()), extra]
        if mode == "foreign":       # somebody else's initrd takes bare names
            words = [CMDLINE, extra, *(f"{k}={v}" for k, v in params.items()), "end"]
        self.lab.run(host, f"vm create {self.name} --mem {mem} --vcpus {vcpus} {options} "
                           f"--kernel {kernel} "
                           f"--initrd {initrd} --cmdline \"{' '.join(w for w in words if w)}\"")

    def start(self):
        self.lab.run(self.host, f"vm start {self.name}")

    def info(self, host=None):
        return self.lab.ask(host or self.host, f"vm info {self.name}")

    def state(self, host=None):
        return self.info(host)["state"]

    def exists(self, host):
        return self.lab.cmd(host, f"vm info {self.name}").status == 0

    def running(self, hosts):
        """On which of the hosts it runs; each is asked once, for it may go while they are."""
        return [h for h, state in self.states(hosts).items() if state == "running"]

    def states(self, hosts):
        lists = {h: self.lab.ask(h, "vm list") for h in hosts}
        return {h: v["state"] for h, vms in lists.items() for v in vms if v["name"] == self.name}

    def remove(self):
        """Gone from every host that still answers."""
        for host in [h["name"] for h in self.lab.status()["hosts"] if h["alive"]]:
            if self.exists(host):
                self.lab.cmd(host, f"vm stop {self.name}")
                self.lab.run(host, f"vm delete {self.name}")

    # --- what it says -------------------------------------------------------------

    def poll(self):
        got = self.lab.ask(self.host, f"vm log {self.name} --since {self.offset}")
        self.offset = got["offset"]
        self.text += got["text"]
        at = self.text.rfind("\n") + 1
        self.beats += [Beat(*(int(n or 0) for n in m.groups()))
                       for m in BEAT.finditer(self.text[self.parsed:at])]
        self.parsed = max(at, self.parsed)
        return got["text"]

    def wait(self, condition, timeout, what):
        """Polls until CONDITION() is true; it sees fresh text and beats."""
        timeout *= self.lab.patience
        end = time.monotonic() + timeout
        while True:
            self.poll()
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise LabError(f"guest {self.name} on {self.host}: no {what} in {timeout} s; "
                               f"it last said:\n{self.text[-600:]}\n{self.doing()}")
            time.sleep(POLL_S)

    def doing(self):
        """What its vCPUs and disks do, twice: what does not count on is what hangs."""
        said = []
        for _ in range(2):
            for what in ("info", "stats"):
                try:
                    said.append(self.lab.cmd(self.host, f"vm {what} {self.name}").text)
                except LabError as e:
                    return f"(and the host: {e})"
            time.sleep(1)
        return "\n".join(said)

    def wait_text(self, pattern, timeout=60, start=0):
        found = re.compile(pattern, re.M)
        return self.wait(lambda: found.search(self.text, start), timeout, f"'{pattern}'")[0]

    def wait_ready(self, timeout=120):
        return self.wait_text(r"^(?:guest: ready|READY)", timeout)

    def wait_beats(self, more=5, timeout=60):
        goal = len(self.beats) + more
        self.wait(lambda: len(self.beats) >= goal, timeout, f"{more} more heartbeats")

    def wait_passes(self, more, timeout=120):
        """MORE whole check passes over its memory, from now on."""
        self.wait_beats(1)
        goal = self.beats[-1].passes + more
        self.wait(lambda: self.beats[-1].passes >= goal, timeout, f"{more} check passes")

    def verify(self):
        """Nothing lost: every heartbeat there, clock forward, no page wrong, log whole."""
        bad = BAD.search(self.text)
        if bad:
            raise LabError(f"guest {self.name}: {bad[0].strip()}")
        for before, after in zip(self.beats, self.beats[1:]):
            if after.seq != before.seq + 1:
                raise LabError(f"guest {self.name}: heartbeat {before.seq} is followed by "
                               f"{after.seq}")
            if after.t_us <= before.t_us:
                raise LabError(f"guest {self.name}: its clock went from {before.t_us} to "
                               f"{after.t_us}")
            if after.errors:
                raise LabError(f"guest {self.name}: {after.errors} wrong pages")

    def verify_log(self):
        """The log kept by its present host is the very text that it printed on all."""
        kept = self.lab.ask(self.host, f"vm log {self.name} --since 0")
        seen = self.text[kept["lost"]:]
        size = min(len(seen), len(kept["text"]))
        if not size or seen[:size] != kept["text"][:size]:
            raise LabError(f"guest {self.name}: the log kept on {self.host} is not what it printed")

    def rate_mib(self, beats):
        """Write rate over some heartbeats, by the guest's own clock."""
        if len(beats) < 2 or beats[-1].t_us == beats[0].t_us:
            return 0.0
        return (beats[-1].pages - beats[0].pages) / PAGES_PER_MIB \
            / ((beats[-1].t_us - beats[0].t_us) / 1e6)

    # --- moving ------------------------------------------------------------------

    def migrate_start(self, to, *options):
        """The job's id; the job runs on."""
        got = self.lab.ask(self.host, " ".join(
            ["migrate", self.name, self.lab.addr(to), *options]))
        return got["id"]

    def migrate_status(self, job, host=None):
        return self.lab.ask(host or self.host, f"migrate status {job}")

    def migrate_wait(self, job, until=OVER, timeout=120, each=None):
        """Polls the job until its phase is one of UNTIL (or it is held there)."""
        timeout *= self.lab.patience
        end = time.monotonic() + timeout
        percent = 0
        while True:
            st = self.migrate_status(job)
            if st["percent"] < percent:
                raise LabError(f"progress went back from {percent} to {st['percent']}")
            percent = st["percent"]
            if each:
                each(st)
            if st["phase"] in until and (st["phase"] in OVER or st.get("held")):
                return st
            if st["phase"] in OVER:
                raise LabError(f"migration ended in '{st['phase']}', not {until}: {json.dumps(st)}")
            if time.monotonic() > end:
                raise LabError(f"migration still in {st['phase']} after {timeout} s: "
                               f"{json.dumps(st)}")
            time.sleep(POLL_S)

    def migrate(self, to, *options, timeout=120, each=None):
        """One whole migration, which must succeed; the job's last status."""
        self.poll()
        job = self.migrate_start(to, *options)
        st = self.migrate_wait(job, timeout=timeout, each=each)
        if st["phase"] != "done":
            raise LabError(f"migration {st['phase']}: {st.get('error_code')} {st.get('error')}")
        told = sum(r["pages"] for r in st["round"])
        if len(st["round"]) == st["rounds"] and told != st["pages_sent"]:
            raise LabError(f"{st['pages_sent']} pages sent, the rounds tell of {told}: "
                           f"{st['round']}")
        self.host = to
        return st
