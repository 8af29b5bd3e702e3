# SPDX-License-Identifier: BSD-2-Clause
"""class Rig: two hosts that share nothing, and a guest whose disks move under faults.

    rig = Rig(lab, folder, files); rig.work()            a guest at work, made if there is none
    job = rig.start("x", "--hold", "copy")               a move: "sv" or "x"
    rig.check()                                          one owner, its data right, no debris

Host a has datastores a1 (NVMe) and a2 (AHCI), host b has b1; their images are in FOLDER. The
guest writes its first disk again and again and reads each pass back; its second one keeps what
it had. Whatever is not as it has to be is an AssertionError.
"""
import re
import struct
import subprocess
import time

from .guest import OVER, Guest
from .paths import BUILD, LabError

MIB, SECTOR = 1 << 20, 512
DISK_MIB = 2
KEPT_SEED = 9
STORES = {"a1": ("a", 0), "a2": ("a", 1), "b1": ("b", 0)}
WORDS = {"a1": "faults", "a2": "ahci,faults", "b1": "faults"}
# Short, and long enough for the heartbeats of a loaded machine.
TIMES = ["--beat", "500", "--lease", "4000", "--io-timeout", "500"]
FILES = {"g/root.disk", "g/kept.disk"}
LOST = r"disk: E\w+|wrong=[1-9]|errors=[1-9]"


def terndisk(*args):
    done = subprocess.run([f"{BUILD}/terndisk", *map(str, args)], capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pattern(seed, first, count):
    return b"".join(struct.pack("<Q", seed << 32 | s) * (SECTOR // 8)
                    for s in range(first, first + count))


class Rig:
    def __init__(self, lab, folder, files):
        self.lab, self.folder, self.files = lab, folder, files
        self.guest, self.store, self.seed, self.resolved = None, "a1", 0, False
        for store in STORES:
            terndisk("mkfs", folder / store, "--size", "16M", "--name", store, *TIMES)
        for name, data in (("root", bytes(DISK_MIB * MIB)),
                           ("kept", pattern(KEPT_SEED, 0, DISK_MIB * MIB // SECTOR))):
            (folder / "new").write_bytes(data)
            terndisk("import", folder / "a1", folder / "new", f"g/{name}.disk", "--kind", "thin")
        self.lab.remove()
        for host in "ab":
            self.up(host)

    # --- hosts and datastores -----------------------------------------------------

    def up(self, host):
        mine = [s for s, (h, _) in STORES.items() if h == host]
        self.lab.up([host], files=self.files,
                    disks=[f"{self.folder}/{s},{WORDS[s]}" for s in mine])
        self.until(lambda: len([d for d in self.lab.ask(host, "datastore list")
                                if d["writable"]]) == len(mine), f"the datastores of {host}")

    def alive(self):
        return [h["name"] for h in self.lab.status()["hosts"] if h["alive"]]

    def revive(self):
        alive = self.alive()
        for host in "ab":
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
        return {f["name"] for f in self.lab.ask(STORES[store][0], f"datastore ls /ds/{store}")}

    def sectors_of_kept(self):
        """Where, on the disk of the guest's datastore, a sector of its second file may be."""
        image, number = (self.folder / self.store).read_bytes(), (MIB + MIB // 2) // SECTOR
        mark, found, at = pattern(KEPT_SEED, number, 1), [], -1
        while (at := image.find(mark, at + 1)) >= 0:
            found.append(at // SECTOR)
        return found

    # --- the guest ----------------------------------------------------------------

    def work(self):
        """The guest, at work; made, from its disks as they are, if there is none."""
        self.revive()
        if not self.guest:
            host = STORES[self.store][0]
            g = self.guest = Guest(self.lab, "g")
            g.create(host, mode="shell", options=" ".join(
                f"--disk /ds/{self.store}/g/{n}.disk" for n in ("root", "kept")))
            self.until(lambda: not self.lab.cmd(host, "vm start g").status, "a start of the VM")
            g.wait_text(r"guest# ", 180)
            self.seed += 1000
            self.lab.run(host, f"vm type g /init disk /dev/vda loop {self.seed} &")
            g.wait_text(r"^disk: loop", 60)
        return self.guest

    def running(self):
        return self.guest.running(self.alive())

    def store_of_guest(self):
        """The datastore of the running guest's disks, or None."""
        for host in self.running():
            return self.guest.info(host)["disks"][0]["path"].split("/")[2]
        return None

    def passes(self, more=1):
        """More passes over the first disk, none of them wrong, and the second one read."""
        g = self.guest
        start = len(g.text)
        self.lab.run(g.host, f"vm type g /init disk /dev/vdb check {KEPT_SEED}")
        g.wait(lambda: re.search(LOST, g.text) or (
            len(re.findall(r"^disk: loop.*\n", g.text[start:], re.M)) > more
            and re.search(r"^disk: check.*\n", g.text[start:], re.M)), 90, "passes over the disks")
        assert not re.search(LOST, g.text), g.text[-1500:]

    # --- moves --------------------------------------------------------------------

    def target(self, kind):
        """The datastore to which such a move goes from here."""
        if kind == "sv":
            return {"a1": "a2", "a2": "a1"}[self.store]
        return "a1" if self.store == "b1" else "b1"

    def start(self, kind, *options, to=None):
        """The job's number; the job runs on. TO: an address instead of the target's."""
        target = self.target(kind)
        if kind == "sv":
            line = f"svmotion g {target}"
        else:
            line = f"migrate g {to or self.lab.addr(STORES[target][0])} --disks {target}"
        return self.lab.ask(self.guest.host, " ".join([line, *options]))["id"]

    def ends(self, job, host, limit_s=90):
        def over():
            assert len(self.running()) <= 1
            return self.guest.migrate_status(job, host)["phase"] in OVER
        self.until(over, f"an end of job {job}", limit_s)
        return self.guest.migrate_status(job, host)

    # --- afterwards ---------------------------------------------------------------

    def check(self, target):
        """On which datastore the guest is: it runs once, or not at all and can be started."""
        both = (self.store, target)
        self.revive()  # what it left is settled by itself, by the records of the move
        self.settled()
        where = self.running()
        if where:
            self.guest.host, self.store = where[0], self.store_of_guest()
            self.passes()
        else:
            self.guest = None
        self.until(lambda: sum(len(self.ls(s)) for s in both) == len(FILES), "no debris")
        left = {s: self.ls(s) for s in both}
        assert sorted(left.values(), key=len) == [set(), FILES], left
        if not where:
            self.store = next(s for s in both if left[s])
            self.at_rest()
        assert left[self.store] == FILES, left
        return self.store

    def settled(self):
        """One VM, which runs, or none; nothing of it is in doubt anywhere."""
        def known():
            there = self.guest.states(self.alive())
            return len(there) <= 1 and set(there.values()) <= {"running"}
        self.until(known, "one VM, or none")

    def remount(self, store):
        """What a disk that failed has left is removed by the next mount."""
        host, disk = STORES[store]
        self.lab.run(host, f"datastore umount {store}")
        self.lab.run(host, f"datastore mount disk{disk}")

    def at_rest(self):
        """The files of a guest that died are those of two passes, and what was never written."""
        host = STORES[self.store][0]
        self.lab.run(host, f"datastore umount {self.store}")
        data = {}
        for name in ("root", "kept"):
            terndisk("export", self.folder / self.store, f"g/{name}.disk", self.folder / "out")
            data[name] = (self.folder / "out").read_bytes()
        assert "0 found" in terndisk("check", self.folder / self.store)
        self.lab.run(host, f"datastore mount disk{STORES[self.store][1]}")
        assert data["kept"] == pattern(KEPT_SEED, 0, DISK_MIB * MIB // SECTOR)
        words = [struct.unpack_from("<Q", data["root"], at)
                 + struct.unpack_from("<Q", data["root"], at + SECTOR - 8)
                 for at in range(0, len(data["root"]), SECTOR)]
        assert all(first == last for first, last in words)
        assert [first & 0xffffffff for first, _ in words] == list(range(len(words)))
        seeds = {first >> 32 for first, _ in words}
        assert max(seeds) - min(seeds) <= 1, seeds


__all__ = ["Rig", "STORES", "LabError", "terndisk"]
