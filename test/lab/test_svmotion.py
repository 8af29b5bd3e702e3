# SPDX-License-Identifier: BSD-2-Clause
"""Storage vMotion: a guest's disks change their datastore while it writes and reads them."""
import os
import re
import time

import pytest

from lablib.client import Lab
from test_guest_disk import MIB, TIMES, Disked, pattern, refused, terndisk

pytestmark = pytest.mark.svmotion

DISK_MIB = 4
OVER = ("done", "failed", "canceled")


# What a guest does by itself.
ENDS = {"reset": "reboot -f", "off": "poweroff -f",
        "error": "'echo triple > /sys/kernel/reboot/type; reboot -f'"}


class Writer(Disked):
    """Fills its disk again and again, each time with other contents, and reads them back."""

    LOOP = ("i=0; while [ ! -e /stop ]; do i=$((i+1)); /init disk /dev/vda discard 1 2 > /dev/null;"
            " echo round $i; /init disk /dev/vda fill $i; done; echo stopped at $i")

    def write(self):
        self.tell(f"'({self.LOOP}) &'", r"^disk: fill .*wrong=0 errors=0")
        return self

    def rounds(self, more, timeout=90):
        """So many more fills, all of them right."""
        self.poll()
        start = len(self.text)
        self.wait(lambda: len(re.findall(r"^disk: fill", self.text[start:], re.M)) >= more,
                  timeout, f"{more} fills of the disk")
        self.right()

    def right(self):
        self.poll()
        for wrong, errors in re.findall(r"^disk: fill .*wrong=(\d+) errors=(\d+)", self.text, re.M):
            assert (wrong, errors) == ("0", "0"), self.text[-2000:]

    def ends(self, how):
        """It does so; until its state says it, or it is at its prompt again."""
        self.poll()
        start = len(self.text)
        self.lab.run(self.host, f"vm type {self.name} {ENDS[how]}")
        if how == "reset":
            self.wait_text(r"guest# ", 180, start)
        else:
            self.wait(lambda: self.state() == how, 60, how)

    def on_again(self):
        self.poll()
        start = len(self.text)
        self.start()
        self.wait_text(r"guest# ", 180, start)

    def holds(self, seed):
        """Its disk, by its own reading."""
        assert self.disk("vda", "check", seed)[0][1:] == [0, 0]

    def stop(self):
        """The seed that all sectors carry."""
        said = self.tell("'touch /stop'", r"stopped at \d+\s", 120)  # behind a prompt, perhaps
        seed = re.search(r"stopped at (\d+)", said)
        self.right()
        return int(seed[1])


def job(lab, number):
    return lab.ask("a", f"migrate status {number}")


def until(lab, number, ready, timeout=90):
    """The job's states until it is so; the percent never goes back."""
    end, last = time.monotonic() + timeout * lab.patience, 0
    while True:
        s = job(lab, number)
        assert s["percent"] >= last
        last = s["percent"]
        if ready(s):
            return s
        assert s["phase"] not in OVER, s
        assert time.monotonic() < end, s
        time.sleep(0.1)


def seen(s):
    return s["disk"]["copied_bytes"] + s["disk"]["skipped_bytes"]


def files(lab, ds):
    return {f["name"] for f in lab.ask("a", f"datastore ls /ds/{ds}")}


def over(lab, number, phase, code=""):
    s = until(lab, number, lambda s: s["phase"] in OVER)
    assert (s["phase"], s["error_code"]) == (phase, code), s
    return s


INJECT = """[inject-error]
event = "write_aio"
errno = "5"
sector = "{sector}"
once = "off"
"""


def all_mounted(lab, count=4):
    end = time.monotonic() + 60 * lab.patience
    while len([d for d in lab.ask("a", "datastore list") if d["writable"]]) < count:
        assert time.monotonic() < end, "not all datastores are mounted"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def lab(payload, tmp_path_factory):
    """Host a: datastores nv (NVMe), sata, tiny and bad (AHCI; the first block of each of
    bad's extents cannot be written), their images in lab.images; the VM g, which writes, at home
    on nv with all that it is started from."""
    lab = Lab(f"svmotion-{os.getpid()}")
    lab.remove()
    lab.images = tmp = tmp_path_factory.mktemp("svmotion")
    zeros, rules = tmp / "zeros", tmp / "rules"
    zeros.write_bytes(bytes(DISK_MIB * MIB))
    rules.write_text("".join(INJECT.format(sector=n * MIB // 512) for n in range(3, 24)))
    for name, size in (("nv", 48), ("sata", 48), ("tiny", 8), ("bad", 24)):
        terndisk("mkfs", tmp / name, "--size", f"{size}M", "--name", name, *TIMES)
    for name in ("g/root.disk", "g/empty.disk", "off/a.disk"):
        terndisk("import", tmp / "nv", zeros, name, "--kind", "thin")
    for name in ("vmlinuz", "initrd"):
        terndisk("import", tmp / "nv", f"{payload}/{name}", f"g/{name}")
    zeros.write_bytes(bytes(3 * MIB))
    terndisk("import", tmp / "tiny", zeros, "filler", "--kind", "flat")
    lab.disks = [f"{tmp}/nv", f"{tmp}/sata,ahci", f"{tmp}/tiny,ahci",
                 f"{tmp}/bad,ahci,debug={rules}"]
    lab.up(["a"], files=payload, disks=lab.disks)
    all_mounted(lab)
    lab.guest = Writer(lab, "g").boot(
        ["/ds/nv/g/root.disk", "/ds/nv/g/empty.disk --home nv --net net0"], kernel="./vmlinuz",
        initrd="./initrd").write()
    yield lab
    lab.down()


SUM = "md5sum /dev/vdb'"
WHOLE = {"g/root.disk", "g/empty.disk", "g/g.vm", "g/vmlinuz", "g/initrd"}
BOTH = WHOLE | {"off/a.disk"}


def test_there_and_back(lab):
    """By mirror and by changed blocks, under a writer that checks itself; the memory's frames stay
    where they are."""
    frames = lab.ask("a", "vm frame g 16M")
    s = lab.ask("a", "svmotion g --disk 0=sata --bw 24 --verify --wait", timeout=120)
    assert s["phase"] == "done" and seen(s) >= DISK_MIB * MIB
    assert s["disk"]["mirrored_bytes"] > 0 and s["blackout"]["total_ns"] > 0
    assert s["disk"]["compared_bytes"] + s["disk"]["uncompared_bytes"] >= 2 * MIB
    assert s["disk"]["latency_before_ns"] and s["disk"]["latency_during_ns"]
    stats = lab.ask("a", "stats")
    assert stats["disk_moves"]["memory_copied_bytes"] >= s["disk"]["memory_copied_bytes"] > 0
    assert stats["disk_moves"]["requests"] >= s["disk"]["requests"] > 0
    disks, under_way = stats["disks"], 64
    assert 0 < disks["interrupts"] <= disks["requests"]
    assert 0 < disks["doorbells"] <= disks["requests"] + under_way
    assert (files(lab, "nv"), files(lab, "sata")) == (BOTH - {"g/root.disk"}, {"g/root.disk"})
    assert lab.ask("a", "vm info g")["disks"][0]["path"] == "/ds/sata/g/root.disk"
    assert lab.ask("a", "vm frame g 16M") == frames
    lab.guest.rounds(1)

    s = lab.ask("a", "svmotion g --disk 0=nv --cbt --flat --wait", timeout=120)
    assert s["phase"] == "done" and seen(s) >= DISK_MIB * MIB
    assert (files(lab, "nv"), files(lab, "sata")) == (BOTH, set())
    lab.guest.rounds(1)


def sums(lab, ds, names):
    return [lab.ask("a", f"disk sum /ds/{ds}/{n}")["crc32"] for n in names]


def backed(lab, ds):
    return sum(f["backed_bytes"] for f in lab.ask("a", f"datastore ls /ds/{ds}/g/root.disk"))


def test_snapshots_go_along(lab):
    """Each as it was, in as much space, by mirror and by changed blocks; what breaks off leaves
    none of them behind; at the new place they are deleted and gone back to as before."""
    links = ["g/root.disk.one", "g/root.disk.two"]
    chain = set(links) | {"g/root.disk"}
    for name in ("one", "two"):
        lab.run("a", f"vm disk snapshot g {name}")
        lab.guest.rounds(1)
    others = files(lab, "nv") - chain
    was, space = sums(lab, "nv", links), backed(lab, "nv")
    assert was[0] != was[1]
    s = lab.ask("a", "svmotion g --disk 0=sata --hold switch")
    until(lab, s["id"], lambda s: s["held"])
    assert files(lab, "sata") == chain
    for command in ("vm disk snapshot g three", "vm disk merge g two",
                    "datastore snapshot /ds/nv/g/root.disk /ds/nv/x",
                    "datastore merge /ds/nv/g/root.disk.two",
                    "datastore merge /ds/nv/g/root.disk.one",
                    "datastore revert /ds/nv/g/root.disk /ds/nv/g/root.disk.one"):
        assert refused(lab, "a", command)[0] == "busy"
    lab.run("a", f"svmotion cancel {s['id']}")
    over(lab, s["id"], "canceled", "canceled")
    over(lab, lab.ask("a", "svmotion g --disk 0=bad")["id"], "failed", "io")
    assert (files(lab, "nv"), files(lab, "sata"), files(lab, "bad")) == \
        (others | chain, set(), set())
    for to, back, how in (("sata", "nv", "--verify"), ("nv", "sata", "--cbt --flat")):
        s = lab.ask("a", f"svmotion g --disk 0={to} {how} --wait", timeout=120)
        assert s["phase"] == "done" and s["disk"]["total_bytes"] == 3 * DISK_MIB * MIB
        assert sums(lab, to, links) == was and backed(lab, to) <= space + 4 * MIB
        assert chain <= files(lab, to) and not chain & files(lab, back)
        lab.guest.rounds(1)
    for name in ("two", "one"):
        lab.run("a", f"vm disk merge g {name}")
    assert (files(lab, "nv"), files(lab, "sata")) == (BOTH, set())
    lab.guest.rounds(1)


def no_room_for_all(lab):
    """Each of its files would fit; that all do not is known before any is made."""
    fillers = [("vmlinuz", 1), ("initrd", 2), ("initrd", 3)]
    for name, n in fillers:
        lab.run("a", f"datastore cp /boot/{name} /ds/sata/filler{n}")
    s = over(lab, lab.ask("a", "svmotion g sata")["id"], "failed", "no-space")
    assert re.search(r"datastore sata has \d+ MiB free, .*: \d+ MiB are missing", s["error"])
    assert not seen(s) and len(files(lab, "sata")) == len(fillers)
    for _name, n in fillers:
        lab.run("a", f"datastore rm /ds/sata/filler{n}")


def test_what_ends_it_on_the_old_disks(lab):
    """Canceled, no room, a target that fails, one that fills up; the guest does not notice."""
    for phase in ("copy", "switch"):
        s = lab.ask("a", f"svmotion g --disk 0=sata --hold {phase}")
        until(lab, s["id"], lambda s: s["held"])
        assert refused(lab, "a", "vm stop g")[0] == "busy"
        lab.run("a", f"svmotion cancel {s['id']}")
        over(lab, s["id"], "canceled", "canceled")
    over(lab, lab.ask("a", "svmotion g --disk 0=bad")["id"], "failed", "io")
    over(lab, lab.ask("a", "svmotion g --disk 1=tiny --flat")["id"], "failed", "no-space")
    s = lab.ask("a", "svmotion g --disk 1=tiny --hold switch")
    until(lab, s["id"], lambda s: s["held"])
    copied = lab.guest.tell("'dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null && " + SUM,
                            r"^[0-9a-f]{32}  /dev/vdb")
    lab.run("a", f"migrate continue {s['id']}")
    over(lab, s["id"], "failed", "no-space")
    no_room_for_all(lab)
    assert lab.guest.tell("'echo 3 > /proc/sys/vm/drop_caches; " + SUM,
                          r"^[0-9a-f]{32}  /dev/vdb") == copied
    for command, code in (("svmotion g nv", "invalid"), ("svmotion g none", "not-found"),
                          ("svmotion g --disk 2=sata", "invalid"), ("svmotion g", "usage"),
                          ("svmotion h sata", "not-found")):
        assert refused(lab, "a", command)[0] == code
    assert files(lab, "nv") == BOTH
    assert files(lab, "sata") | files(lab, "tiny") | files(lab, "bad") == {"filler"}
    lab.guest.rounds(1)


def at_home(lab, ds):
    assert lab.ask("a", "vm info g")["home"] == f"/ds/{ds}/g/g.vm"
    assert files(lab, ds) >= WHOLE
    assert not files(lab, "sata" if ds == "nv" else "nv") - {"off/a.disk"}


def test_a_whole_vm(lab):
    """Its home goes along; nobody changes the description meanwhile; a cancel leaves it."""
    s = lab.ask("a", "svmotion g sata --hold switch")
    until(lab, s["id"], lambda s: s["held"])
    assert refused(lab, "a", "vm autostart g --order 1")[0] == "busy"
    lab.run("a", f"svmotion cancel {s['id']}")
    over(lab, s["id"], "canceled", "canceled")
    at_home(lab, "nv")
    lab.run("a", "vm autostart g --order 1")
    s = lab.ask("a", "svmotion g sata --wait", timeout=120)
    assert s["phase"] == "done" and s["blackout"]["total_ns"] > 0
    at_home(lab, "sata")
    lab.guest.rounds(1)


def test_queue(lab):
    """Two at a time; the third says what it waits for, and goes when one of them is over."""
    for n in range(3):
        lab.run("a", f"datastore cp /ds/nv/off/a.disk /ds/nv/q/{n}.disk")
        lab.run("a", f"vm create q{n} --mem 16M --kernel /boot/vmlinuz --disk /ds/nv/q/{n}.disk")
    jobs = [lab.ask("a", f"svmotion q{n} sata --hold copy")["id"] for n in range(3)]
    for n in jobs[:2]:
        until(lab, n, lambda s: s["held"])
    s = until(lab, jobs[2], lambda s: s["disk"]["waits_for"])
    assert s["phase"] == "queued" and "nv" in s["disk"]["waits_for"]
    lab.run("a", f"svmotion cancel {jobs[0]}")
    until(lab, jobs[2], lambda s: s["held"])
    for n in jobs[1:]:
        lab.run("a", f"migrate continue {n}")
        over(lab, n, "done")
    assert files(lab, "sata") - WHOLE == {"q/1.disk", "q/2.disk"}
    for n in range(3):
        lab.run("a", f"vm delete q{n}")
        lab.run("a", f"datastore rm /ds/{'sata' if n else 'nv'}/q/{n}.disk")


def spare(lab):
    return lab.ask("a", "host info")["spare_bytes"]


def sized(lab, name, size_mib, *options):
    """A VM of so much, and what it has taken beside that."""
    before = spare(lab)
    lab.run("a", f"vm create {name} --mem {size_mib}M --kernel /boot/vmlinuz {' '.join(options)}")
    return before - spare(lab) - size_mib * MIB * 257 // 256


def test_the_second_instance_is_accounted(lab):
    """Asked for before the copy, and by then nobody else's; as much as an instance takes."""
    for n, options in enumerate((["--vcpus 1"], ["--vcpus 8", "--net net0", "--net net0"])):
        took = sized(lab, f"s{n}", 16, *options)
        most = lab.ask("a", f"vm info s{n}")["overhead_bytes"]
        assert most / 2 < took <= most
        lab.run("a", f"vm delete s{n}")
    most, free = lab.ask("a", "vm info g")["overhead_bytes"], spare(lab)
    s = lab.ask("a", "svmotion g --disk 0=nv --hold copy")
    until(lab, s["id"], lambda s: s["held"])
    assert most <= free - spare(lab) < most + 16 * MIB, "the instance, and the copy's buffers"
    lab.run("a", f"svmotion cancel {s['id']}")
    over(lab, s["id"], "canceled", "canceled")
    assert most > 8 * MIB, "what is left below is not enough"
    sized(lab, "big", (spare(lab) * 256 // 257 - 6 * MIB) // MIB // 2 * 2)
    s = over(lab, lab.ask("a", "svmotion g --disk 0=nv")["id"], "failed", "no-memory")
    assert seen(s) == 0 and "second instance of g" in s["error"]
    lab.run("a", "vm delete big")
    assert (files(lab, "nv"), files(lab, "sata")) == ({"off/a.disk"}, WHOLE)
    lab.guest.rounds(1)


def test_suspended_and_off(lab):
    seed = lab.guest.stop()
    lab.run("a", "datastore snapshot /ds/sata/g/root.disk /ds/sata/g/root.disk.s")
    assert lab.guest.disk("vda", "fill", seed + 1)[0][1:] == [0, 0]
    lab.run("a", "vm suspend g")
    s = lab.ask("a", "svmotion g nv --wait", timeout=120)
    assert s["phase"] == "done" and "g/root.disk.s" in files(lab, "nv")
    at_home(lab, "nv")
    assert lab.ask("a", "vm info g")["state"] == "suspended"
    lab.run("a", "vm restore g")
    lab.guest.holds(seed + 1)
    lab.run("a", "vm stop g")
    s = lab.ask("a", "svmotion g --disk 1=sata --thin --wait", timeout=120)
    assert s["phase"] == "done" and files(lab, "sata") == {"g/empty.disk"}
    assert files(lab, "nv") == BOTH - {"g/empty.disk"} | {"g/root.disk.s"}
    lab.run("a", "vm disk revert g s")
    lab.seed = seed


def test_a_guest_that_ends_by_itself(lab):
    """Reset: it moves on. Off, or in error: as one that is off, and nobody starts it meanwhile."""
    guest = lab.guest
    for how, ds, phase, end in (("reset", "sata", "copy", "done"), ("off", "nv", "rounds", "done"),
                                ("error", "sata", "switch", "canceled")):
        if how != "off":
            guest.on_again()
        s = lab.ask("a", f"svmotion g --disk 0={ds} --hold {phase}")
        until(lab, s["id"], lambda s: s["held"])
        guest.ends(how)
        assert refused(lab, "a", "vm start g")[0] == "busy"
        lab.run("a", f"migrate {'continue' if end == 'done' else 'cancel'} {s['id']}")
        over(lab, s["id"], end, "" if end == "done" else "canceled")
        if how == "reset":
            guest.holds(lab.seed)
    assert files(lab, "nv") == BOTH - {"g/empty.disk"} | {"g/root.disk.s"}
    assert files(lab, "sata") == {"g/empty.disk"}


def boots(lab):
    """The host is back, and starts the VM by itself, once."""
    lab.up(["a"], disks=lab.disks[:2])
    all_mounted(lab, 2)
    end = time.monotonic() + 60 * lab.patience
    while [v["state"] for v in lab.ask("a", "vm list")] != ["running"]:
        assert time.monotonic() < end, lab.log("a")[-2000:]
        time.sleep(0.2)


def test_a_host_that_dies(lab):
    """The old home is whole, and what there is of the new one goes with the next mount. The VM
    starts with its host from where it is at home, before the move and after it."""
    s = lab.ask("a", "svmotion g sata --hold switch")
    until(lab, s["id"], lambda s: s["held"])
    assert files(lab, "sata") == WHOLE - {"g/g.vm"} | {"g/root.disk.s"}
    lab.kill("a")
    out = lab.images / "out"
    terndisk("export", lab.images / "nv", "g/root.disk", out)
    assert out.read_bytes() == pattern(lab.seed, 0, DISK_MIB * MIB // 512)
    terndisk("export", lab.images / "nv", "g/g.vm", out)
    assert re.findall(r"^disk = ([^,\s]+)", out.read_text(), re.M) == \
        ["./root.disk", "/ds/sata/g/empty.disk"]
    boots(lab)
    assert files(lab, "nv") == BOTH - {"g/empty.disk"} | {"g/root.disk.s"}
    assert files(lab, "sata") == {"g/empty.disk"}
    s = lab.ask("a", "svmotion g sata --wait", timeout=120)
    assert s["phase"] == "done", s
    at_home(lab, "sata")
    lab.kill("a")
    boots(lab)
    at_home(lab, "sata")
    lab.kill("a")
    for name in ("nv", "sata", "tiny", "bad"):
        assert "0 found" in terndisk("check", lab.images / name)
