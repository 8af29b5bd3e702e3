# SPDX-License-Identifier: BSD-2-Clause
"""class Rig: two hosts, and a guest whose disks move under faults.

    rig = Rig(lab, folder, files); rig.work("own")       a guest at work, made if there is none
    job = rig.start("x", "--hold", "copy")               a move: a key of MOVES
    rig.check(rig.target("x"))                           one owner, its data right, no debris

Host a has datastores a1 (NVMe) and a2 (AHCI), host b has b1, both have s; their images are in
FOLDER. Where the guest's disks are its layout says. It writes `root` and `both` again and
again and reads each pass back; `kept` keeps what it had. Whatever is not as it has to be is an
AssertionError.
"""
import re
import time

from .diskdata import LOST, MIB, SECTOR, pattern, terndisk, whole
from .guest import OVER, Guest
from .paths import LabError

SIZE_MIB = {"root": 2, "kept": 2, "both": 1}
KEPT_SEED = 9
# In the order in which the host numbers them: NVMe first.
DISKS = {"a": ["a1", "s", "a2"], "b": ["b1", "s"]}
SHARED = "s"
WORDS = {"a1": "faults", "a2": "ahci,faults", "b1": "faults", SHARED: "faults"}
# The guest's disks in their order, and which of them are on the datastore that both hosts have.
LAYOUTS = {"own": (["root", "kept"], set()),
           "mixed": (["root", "kept", "both"], {"both"}),
           "shared": (["both", "kept"], {"both", "kept"})}
# Storage vMotion; X-vMotion of all disks, and of those that are not shared; vMotion.
MOVES = {"sv": "own", "x": "own", "mix": "mixed", "v": "shared"}
# Short, and long enough for the heartbeats of a loaded machine.
TIMES = ["--beat", "500", "--lease", "4000", "--io-timeout", "500"]
OWN_FILES = {"g/root.disk", "g/kept.disk"}
SHARED_FILES = {"g/both.disk", "g/kept.disk"}


def host_of(store):
    """Whose a datastore is that one host has."""
    return next(h for h, stores in DISKS.items() if store in stores)


def disk_of(host, store):
    return DISKS[host].index(store)


class Rig:
    def __init__(self, lab, folder, files):
        self.lab, self.folder, self.files = lab, folder, files
        self.guest, self.layout, self.store, self.seed = None, "own", "a1", 0
        for store in WORDS:
            terndisk("mkfs", folder / store, "--size", "16M", "--name", store, *TIMES)
        for store, names in (("a1", OWN_FILES), (SHARED, SHARED_FILES)):
            for name in sorted(names):
                self.fill(store, name)
        self.lab.remove()
        for host in DISKS:
            self.up(host)

    def fill(self, store, name):
        what = name[2:-5]
        bytes_ = SIZE_MIB[what] * MIB
        data = pattern(KEPT_SEED, 0, bytes_ // SECTOR) if what == "kept" else bytes(bytes_)
        (self.folder / "new").write_bytes(data)
        terndisk("import", self.folder / store, self.folder / "new", name, "--kind", "thin")

    # --- hosts and datastores -----------------------------------------------------

    def up(self, host):
        self.lab.up([host], files=self.files, disks=[f"{self.folder}/{s},{WORDS[s]},shared"
                                                     for s in DISKS[host]])
        self.until(lambda: len([d for d in self.lab.ask(host, "datastore list")
                                if d["writable"]]) == len(DISKS[host]), f"the datastores of {host}")

    def alive(self):
        return [h["name"] for h in self.lab.status()["hosts"] if h["alive"]]

    def revive(self):
        alive = self.alive()
        for host in DISKS:
            if host not in alive:
                self.up(host)
            self.lab.link(host, "clear")

    def waits(self, what, limit_s):
        end = time.monotonic() + limit_s * self.lab.patience
        while not (got := what()) and time.monotonic() < end:
            time.sleep(0.3)
        return got

    def until(self, what, name, limit_s=90):
        got = self.waits(what, limit_s)
        assert got, f"not in {limit_s} s: {name}"
        return got

    def ls(self, store):
        return {f["name"] for f in self.lab.ask(host_of(store), f"datastore ls /ds/{store}")}

    def is_backed(self, store, name):
        """Has it got all of its extents?"""
        return any(f["name"] == name and f["backed_bytes"] == f["size"]
                   for f in self.lab.ask(host_of(store), f"datastore ls /ds/{store}"))

    def sectors_of_kept(self):
        """Where, on the disk of the guest's datastore, a sector of its `kept` may be."""
        image, number = (self.folder / self.store).read_bytes(), (MIB + MIB // 2) // SECTOR
        mark, found, at = pattern(KEPT_SEED, number, 1), [], -1
        while (at := image.find(mark, at + 1)) >= 0:
            found.append(at // SECTOR)
        return found

    # --- the guest ----------------------------------------------------------------

    def disks(self):
        """Its disks: name and datastore."""
        names, shared = LAYOUTS[self.layout]
        return [(n, SHARED if n in shared else self.store) for n in names]

    def work(self, layout="own"):
        """The guest, at work; made, from its disks as they are, if there is none of this layout."""
        self.revive()
        if self.guest and self.layout != layout:
            self.end_guest()
        self.layout = layout
        if not self.guest:
            self.make_guest()
        return self.guest

    def make_guest(self):
        host = host_of(self.store)
        g = self.guest = Guest(self.lab, "g")
        g.create(host, mode="shell",
                 options=" ".join(f"--disk /ds/{s}/g/{n}.disk" for n, s in self.disks()))
        self.until(lambda: not self.lab.cmd(host, "vm start g").status, "a start of the VM")
        g.wait_text(r"guest# ", 180)
        for letter, (name, _) in zip("abc", self.disks()):
            if name != "kept":
                self.seed += 1000
                start = len(g.text)
                self.lab.run(host, f"vm type g /init disk /dev/vd{letter} loop {self.seed} &")
                g.wait_text(rf"^disk: loop sectors={SIZE_MIB[name] * MIB // SECTOR} ", 60, start)

    def end_guest(self):
        self.guest.remove()
        self.guest = None

    def running(self):
        return self.guest.running(self.alive())

    def store_of_guest(self):
        """The datastore of the running guest's own disks, or None."""
        if self.layout == "shared":
            return self.store
        for host in self.running() if self.guest else []:
            return self.guest.info(host)["disks"][0]["path"].split("/")[2]
        return None

    def passes(self, more=1):
        """More passes over each disk, none of them wrong, and `kept` read."""
        g = self.guest
        start = len(g.text)
        sizes = [SIZE_MIB[n] * MIB // SECTOR for n, _ in self.disks() if n != "kept"]
        self.lab.run(g.host, f"vm type g /init disk /dev/vdb check {KEPT_SEED}")
        g.wait(lambda: re.search(LOST, g.text) or (
            all(len(re.findall(rf"^disk: loop sectors={n} .*\n", g.text[start:], re.M)) > more
                for n in sizes)
            and re.search(r"^disk: check.*\n", g.text[start:], re.M)), 90, "passes over the disks")
        assert not re.search(LOST, g.text), g.text[-1500:]

    def fails(self):
        """The guest meets an error of its disk; it is ended."""
        self.guest.host, = self.running()
        self.guest.wait_text(LOST, 90)
        self.end_guest()

    # --- moves --------------------------------------------------------------------

    def target(self, kind):
        """Where such a move goes from here: a datastore, or a host."""
        if kind == "sv":
            return {"a1": "a2", "a2": "a1"}[self.store]
        if kind == "v":
            return {"a": "b", "b": "a"}[self.guest.host]
        return "a1" if self.store == "b1" else "b1"

    def hosts(self, kind):
        """The hosts of such a move: source, destination."""
        source = self.guest.host
        return source, source if kind == "sv" else {"a": "b", "b": "a"}[source]

    def start(self, kind, *options, to=None):
        """The job's number; the job runs on. TO: an address instead of the destination's."""
        source, dest = self.hosts(kind)
        line = "svmotion g" if kind == "sv" else f"migrate g {to or self.lab.addr(dest)}"
        own = [i for i, (_, store) in enumerate(self.disks()) if store == self.store]
        for i in own if self.layout != "shared" else []:
            line += f" --disk {i}={self.target(kind)}"
        return self.lab.ask(source, " ".join([line, *options]))["id"]

    def ends(self, job, host, limit_s=90, over=OVER):
        def ended():
            assert len(self.running()) <= 1
            return self.guest.migrate_status(job, host)["phase"] in over
        self.until(ended, f"an end of job {job}", limit_s)
        return self.guest.migrate_status(job, host)

    # --- afterwards ---------------------------------------------------------------

    def check(self, target):
        """Where the guest is: it runs once, or not at all and can be started. A datastore or,
        of one that has none of its own, a host."""
        both = (self.store, target) if self.layout != "shared" else (self.store,)
        self.revive()  # what it left is settled by itself, by the records of the move
        where = self.settled() if self.guest else []
        if where:
            self.guest.host, self.store = where[0], self.store_of_guest()
            self.passes()
        else:
            self.guest = None
        self.until(lambda: sum(len(self.ls(s)) for s in both) == len(OWN_FILES), "no debris")
        left = {s: self.ls(s) for s in both}
        assert self.ls(SHARED) == SHARED_FILES
        if not where:
            self.store = next(s for s in both if left[s])
            self.at_rest()
        assert left[self.store] == OWN_FILES and sum(map(len, left.values())) == 2, left
        return where[0] if where and self.layout == "shared" else self.store

    def settled(self):
        """One VM, which runs, or none; nothing of it is in doubt anywhere."""
        def known():
            there = self.guest.states(self.alive())
            return len(there) <= 1 and set(there.values()) <= {"running"}
        self.until(known, "one VM, or none")
        return self.running()

    def remount(self, host, store):
        """What a disk that failed has left is removed by the next mount."""
        self.lab.run(host, f"datastore umount {store}")
        self.lab.run(host, f"datastore mount disk{disk_of(host, store)}")

    def at_rest(self):
        """The files of a guest that ended are those of two passes, and what was never written."""
        for store in {s for _, s in self.disks()}:
            hosts = [h for h in DISKS if store in DISKS[h]]
            for host in hosts:
                self.lab.run(host, f"datastore umount {store}")
            assert "0 found" in terndisk("check", self.folder / store)
            for name, _ in (d for d in self.disks() if d[1] == store):
                terndisk("export", self.folder / store, f"g/{name}.disk", self.folder / "out")
                data = (self.folder / "out").read_bytes()
                if name == "kept":
                    assert data == pattern(KEPT_SEED, 0, len(data) // SECTOR)
                else:
                    whole(data)
            for host in hosts:
                self.lab.run(host, f"datastore mount disk{disk_of(host, store)}")


__all__ = ["Rig", "LabError", "MOVES", "SHARED", "host_of", "disk_of"]
