# SPDX-License-Identifier: BSD-2-Clause
"""X-vMotion: a guest, its disk and its home go to a host that shares nothing but the network."""
import os
import re
import time

import pytest

from lablib.client import Lab
from test_guest_disk import MIB, TIMES, mounted, pattern, refused, terndisk
from test_svmotion import DISK_MIB, Writer

pytestmark = pytest.mark.xvmotion

NAMES = {"a": "here", "b": "there"}
WHOLE = {"g/root.disk", "g/g.vm", "g/vmlinuz", "g/initrd"}
LINKS = ["g/root.disk.one", "g/root.disk.two"]
CHAIN = WHOLE | set(LINKS)


def files(lab, host):
    return {f["name"] for f in lab.ask(host, f"datastore ls /ds/{NAMES[host]}")}


@pytest.fixture
def lab(payload, tmp_path):
    """Hosts a and b, each with a datastore of its own; the images are lab.images/a and b."""
    lab = Lab(f"xvmotion-{os.getpid()}")
    lab.remove()
    lab.images = tmp_path
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(DISK_MIB * MIB))
    for host, name in NAMES.items():
        terndisk("mkfs", tmp_path / host, "--size", "40M", "--name", name, *TIMES)
    terndisk("import", tmp_path / "a", zeros, "g/root.disk", "--kind", "thin")
    for name in ("vmlinuz", "initrd"):
        terndisk("import", tmp_path / "a", f"{payload}/{name}", f"g/{name}")
    for host in NAMES:
        lab.up([host], files=payload, disks=[str(tmp_path / host)])
        mounted(lab, host)
    yield lab
    lab.down()


def whole_at(lab, host, seed):
    """The guest is off, and its disk there holds what it wrote last."""
    lab.run(host, f"datastore umount {NAMES[host]}")
    out = lab.images / "out"
    terndisk("export", lab.images / host, "g/root.disk", out)
    assert out.read_bytes() == pattern(seed, 0, DISK_MIB * MIB // 512)


def at_home(lab):
    """A guest that writes, at home on a's datastore with all that it is started from."""
    return Writer(lab, "g").boot(["./root.disk --home here"], kernel="./vmlinuz",
                                 initrd="./initrd").write()


def snapshot(lab, guest, name):
    """And what it wrote since: a whole fill, behind the one that was under way."""
    lab.run(guest.host, f"vm disk snapshot g {name}")
    guest.rounds(2)


def sums(lab, host, names=LINKS):
    return [lab.ask(host, f"disk sum /ds/{NAMES[host]}/{n}")["crc32"] for n in names]


def backed(lab, host):
    files = lab.ask(host, f"datastore ls /ds/{NAMES[host]}/g/root.disk")
    return sum(f["backed_bytes"] for f in files)


def canceled(lab, guest):
    """Disk, snapshots and home are where they were, and nothing is left of the copy."""
    job = hold(lab, guest, "b", "go")
    for command in ("vm autostart g --order 2", "vm disk snapshot g three",
                    "datastore snapshot /ds/here/g/root.disk /ds/here/x",
                    "datastore merge /ds/here/g/root.disk.two"):
        assert refused(lab, "a", command)[0] == "busy"
    lab.run("a", f"migrate cancel {job}")
    until("the copy is removed", lambda: (files(lab, "a"), files(lab, "b")) == (CHAIN, set()), lab)
    guest.rounds(1)


def snapshots_are_such(lab, one):
    """At b, the VM is off and has the snapshot one alone."""
    assert [d["snapshots"] for d in lab.ask("b", "vm disk list g")] == [["one"]]
    lab.run("b", "vm disk revert g one")
    assert sums(lab, "b", ["g/root.disk", LINKS[0]]) == [one, one]
    lab.run("b", "vm disk merge g one")
    assert files(lab, "b") == WHOLE and sums(lab, "b", ["g/root.disk"]) == [one]


def starts_by_itself(lab, payload):
    """It starts with the host that it has gone to, not with the one that it came from."""
    for host in NAMES:
        lab.kill(host)
    for host in NAMES:
        again(lab, payload, host)
    until("it is started", lambda: [(v["name"], v["state"]) for v in lab.ask("b", "vm list")]
          == [("g", "running")], lab)
    assert lab.ask("b", "vm info g")["home"] == "/ds/there/g/g.vm"
    assert vms(lab, "a") == [] and files(lab, "a") == set()


def test_there_and_back(lab, payload):
    guest = at_home(lab)
    lab.run("a", "vm autostart g --order 1")
    code, text = refused(lab, "a", "migrate g b --disk 0=there --wait")
    assert code == "unsupported" and "--disks" in text
    for name in ("one", "two"):
        snapshot(lab, guest, name)
    was, space = sums(lab, "a"), backed(lab, "a")
    assert was[0] != was[1]
    canceled(lab, guest)
    for target, how in (("b", "--verify"), ("a", "--flat"), ("b", "--thin")):
        s = guest.migrate(target, "--disks", NAMES[target], how)
        assert s["phase"] == "done" and s["disk"]["total_bytes"] == 3 * DISK_MIB * MIB
        assert s["disk"]["copied_bytes"] > 0
        assert how != "--verify" or s["disk"]["compared_bytes"] >= 6 * MIB
        other = "a" if target == "b" else "b"
        until("all of it is there, and nothing is left here",
              lambda: (files(lab, target), files(lab, other)) == (CHAIN, set()), lab)
        assert sums(lab, target) == was and backed(lab, target) <= space + 4 * MIB
        assert lab.ask(target, "vm info g")["home"] == f"/ds/{NAMES[target]}/g/g.vm"
        guest.rounds(1)
    lab.run("b", "vm disk merge g two")
    seed = guest.stop()
    lab.run("b", "vm stop g")
    whole_at(lab, "b", seed)
    starts_by_itself(lab, payload)
    lab.run("b", "vm stop g")
    snapshots_are_such(lab, was[0])


def test_one_that_ends_by_itself(lab):
    guest = at_home(lab)
    guest.migrate("b", "--disks", NAMES["b"])
    ends_by_itself(lab, guest, guest.stop())


def ends_by_itself(lab, guest, seed):
    """Reset: it moves on. Off, or in error: it stays so at the source, with its disk."""
    job = hold(lab, guest, "a", "copy")
    guest.ends("reset")
    lab.run("b", f"migrate continue {job}")
    assert guest.migrate_wait(job)["phase"] == "done"
    guest.host = "a"
    guest.holds(seed)
    for how, phase in (("error", "copy"), ("off", "precopy")):
        job = hold(lab, guest, "b", phase)
        guest.ends(how)
        lab.run("a", f"migrate continue {job}")
        until("the move has failed", lambda: guest.migrate_status(job)["phase"] == "failed", lab)
        assert guest.migrate_status(job)["error_code"] == "not-running"
        until("nothing is left",
              lambda: (files(lab, "a"), files(lab, "b")) == (WHOLE, set()), lab)
        assert guest.state() == how and vms(lab, "b") == []
        moves_at_rest(lab, guest, how)
        guest.on_again()
        guest.holds(seed)
    lab.run("a", "vm suspend g")
    moves_at_rest(lab, guest, "suspended")
    lab.run("a", "vm restore g")
    guest.holds(seed)
    lab.run("a", "vm stop g")
    whole_at(lab, "a", seed)


def moves_at_rest(lab, guest, state):
    """There, not without a cancel, and back; it runs on neither, and nobody starts it meanwhile."""
    job = hold(lab, guest, "b", "copy")
    assert refused(lab, "a", "vm start g")[0] == refused(lab, "a", "vm restore g")[0] == "busy"
    lab.run("a", f"migrate cancel {job}")
    assert guest.migrate_wait(job)["phase"] == "canceled" and guest.state() == state
    for target in ("b", "a"):
        s = guest.migrate(target, "--disks", NAMES[target])
        assert not s["blackout"]["total_ns"] and bool(s["pages_sent"]) == (state == "suspended")
        other = "a" if target == "b" else "b"
        until("all of it is there, and nothing is left here",
              lambda: (files(lab, target), files(lab, other)) == (WHOLE, set()), lab)
        assert guest.state() == state
        assert vms(lab, other) == []


def hold(lab, guest, target, phase, *options):
    job = guest.migrate_start(target, "--disks", NAMES[target], "--hold", phase, *options)
    guest.migrate_wait(job, until=(phase,))
    return job


def until(what, condition, lab, timeout=60):
    end = time.monotonic() + timeout * lab.patience
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def lose_a_bit(lab, sector, seed):
    """In what b's disk has of that sector."""
    with open(lab.images / "b", "r+b", buffering=0) as f:
        def place():
            f.seek(0)
            return f.read().find(pattern(seed, sector, 1))

        until("the sector is at b", lambda: place() >= 0, lab)
        at = place() + 100
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 4]))


def test_a_disk_that_lies(lab):
    """With --verify what it lost is found before the VM goes; the next move is sound."""
    guest = Writer(lab, "g").boot(["/ds/here/g/root.disk"])
    assert guest.disk("vda", "fill", 7)[0][1:] == [0, 0]
    job = hold(lab, guest, "b", "verify", "--verify")
    lose_a_bit(lab, 5000, 7)
    lab.run("a", f"migrate continue {job}")
    s = guest.migrate_wait(job)
    assert (s["phase"], s["error_code"]) == ("failed", "differs"), s
    where = int(re.search(r"^disk 0 there is not .* near byte (\d+); the VM goes on here$",
                          s["error"])[1])
    assert 0 <= 5000 * 512 - where < 128 << 10 and guest.state() == "running"
    s = guest.migrate("b", "--disks", "there", "--verify")
    assert s["disk"]["compared_bytes"] >= DISK_MIB * MIB and not s["disk"]["uncompared_bytes"]
    assert guest.disk("vda", "check", 7)[0][1:] == [0, 0]
    assert refused(lab, "b", f"migrate g {lab.addr('a')} --verify")[0] == "usage"
    no_room(lab, guest)


def no_room(lab, guest):
    """Back at a there is less room than its thin disk takes: that is known before it begins."""
    for name in ("vmlinuz", "initrd"):
        n = 0
        while not lab.cmd("a", f"datastore cp /boot/{name} /ds/here/{name}{n}").status:
            n += 1
    code, text = refused(lab, "b", f"migrate g {lab.addr('a')} --disks here --wait")
    assert code == "no-space"
    assert re.search(r"datastore here there has \d+ MiB free, .*: \d+ MiB are missing", text)
    assert guest.state() == "running"


def again(lab, payload, host):
    lab.up([host], files=payload, disks=[str(lab.images / host)])
    mounted(lab, host)


def vms(lab, host):
    return [v["name"] for v in lab.ask(host, "vm list")]


def test_crashes(lab, payload):
    """A host crashes in the commit, and finds in its record what it may do when it is back."""
    guest = at_home(lab)
    snapshot(lab, guest, "one")
    whole = WHOLE | {LINKS[0]}
    # The destination, before GO: the source goes on, and the copy there is debris.
    hold(lab, guest, "b", "go")
    lab.kill("b")
    until("the source goes on", lambda: not lab.ask("a", "vm list")[0]["state"] == "stunned", lab)
    guest.rounds(1)
    assert files(lab, "a") >= whole
    again(lab, payload, "b")
    until("the copy is removed", lambda: files(lab, "b") <= {r for r in files(lab, "b")
                                                             if r.startswith("migrations/")}, lab)
    # The link, with GO on the way; then the source. It asks when it is back, and lets go.
    job = hold(lab, guest, "b", "go")
    lab.link("b", "down")
    lab.run("a", f"migrate continue {job}")
    until("the source is in doubt",
          lambda: guest.migrate_status(job)["phase"] == "in-doubt", lab)
    lab.kill("a")
    lab.link("b", "up")
    again(lab, payload, "a")
    until("the VM runs at b",
          lambda: [v["state"] for v in lab.ask("b", "vm list")] == ["running"],
          lab)
    until("nothing is left at a", lambda: files(lab, "a") == set(), lab)
    assert vms(lab, "a") == [] and files(lab, "b") >= whole
    guest.host = "b"
    guest.rounds(1)
    seed = guest.stop()
    lab.run("b", "vm stop g")
    whole_at(lab, "b", seed)
