# SPDX-License-Identifier: BSD-2-Clause
"""VMs at home on a datastore that two hosts share: who may start one, what stays of it when its
host dies, its start with its host, how it moves, its disks' snapshots and modes."""
import json
import os
import time

import pytest

from lablib.client import Lab
from lablib.guest import Guest
from test_guest_disk import Disked, mounted, refused, terndisk

pytestmark = pytest.mark.storage

MIB, SECTOR = 1 << 20, 512
DISK_MIB = 2
SECTORS = DISK_MIB * MIB // SECTOR
# A loaded machine is given time for its heartbeats.
TIMES = ["--beat", "1000", "--lease", "6000", "--io-timeout", "500"]
OPTIONS = ("--home ds1 --disk ./root.disk --disk ./scratch.disk,mode=nonpersistent "
           "--disk ./own.disk,mode=independent")


@pytest.fixture
def lab(payload):
    lab = Lab(f"home-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


def files(lab, host):
    return {f["name"]: f for f in lab.ask(host, "datastore ls /ds/ds1/h/")}


def made_on_a(lab, guest):
    """Its description, and a guest that has written to its disks; a snapshot of it as it runs."""
    guest.create("a", mode="shell", vcpus=2, options=OPTIONS)
    assert refused(lab, "a", "vm create h --home ds1 --kernel /boot/vmlinuz")[0] == "exists"
    assert lab.ask("a", "vm info h")["home"] == "/ds/ds1/h/h.vm"
    lab.run("a", "vm autostart h --order 2")
    guest.start()
    guest.wait_text(r"guest# ", 180)
    assert guest.disk("vda", "fill", 7) == ([SECTORS, 0, 0], None)
    assert guest.disk("vdb", "fill", 3) == ([SECTORS, 0, 0], None)
    assert refused(lab, "a", "vm disk add h ./more.disk --size 4M")[0] == "busy"
    assert refused(lab, "a", "vm disk revert h one")[0] == "not-found"
    lab.run("a", "vm disk snapshot h one")
    assert refused(lab, "a", "vm disk snapshot h one")[0] == "exists"
    assert refused(lab, "a", "vm disk revert h one")[0] == "busy"
    assert [d["snapshots"] for d in lab.ask("a", "vm disk list h")] == [["one"], [], []]
    assert guest.disk("vda", "fill", 9) == ([SECTORS, 0, 0], None)


def only_one_starts_it(lab):
    """A host that registers it as well is told who has it."""
    assert refused(lab, "b", "vm register /ds/ds1/h")[0] == "invalid"
    assert refused(lab, "b", "vm register /ds/ds1/x/x.vm")[0] == "not-found"
    assert lab.ask("b", "vm register /ds/ds1/h/h.vm")["vm"] == "h"
    code, text = refused(lab, "b", "vm start h")
    assert code == "busy" and "host 'a' runs this VM" in text
    assert refused(lab, "b", "vm autostart h --off")[0] == "busy"
    assert refused(lab, "b", "vm destroy h --files")[0] == "busy"


def start_again(guest, host):
    """Followed from here on: another instance, another log."""
    guest.host, guest.offset, guest.text, guest.parsed = host, 0, "", 0
    guest.wait_text(r"guest# ", 180)


def states(lab, host):
    return {v["name"]: v["state"] for v in lab.ask(host, "vm list")}


def lease(lab, host):
    """Of the description of VM m, as this host sees it."""
    return {f["name"]: f for f in lab.ask(host, "datastore ls /ds/ds1/m/")}["m/m.vm"]["lease"]


def until(lab, what):
    end = time.monotonic() + 60 * lab.patience
    while not what():
        assert time.monotonic() < end, lab.log("b")[-2000:]
        time.sleep(0.2)


def moves(lab, image, folder):
    """Its home goes along: it is at home where it runs, and gives way where it was registered."""
    m = Guest(lab, "m")
    m.create("a", mode="shell", mem="128M", options="--home ds1")
    m.start()
    m.migrate("b", timeout=120)
    assert "m" not in states(lab, "a") and states(lab, "b")["m"] == "running"
    assert lease(lab, "b") == "here" and lease(lab, "a") == "held"
    assert lab.ask("b", "vm info m")["home"] == "/ds/ds1/m/m.vm"

    def is_bs():
        terndisk("export", image, "m/m.vm", folder / "m.vm")
        return "host = b\n" in (folder / "m.vm").read_text()
    until(lab, is_bs)

    # Given, not accepted, taken back: what was registered at a is there as before.
    lab.run("a", "vm register /ds/ds1/m/m.vm")
    job = m.migrate_start("a", "--hold", "go")
    assert m.migrate_wait(job, until=("go",), timeout=60)["held"]
    assert states(lab, "a")["m"] == "incoming" and lease(lab, "b") == "held"
    assert refused(lab, "a", "vm destroy m --files")[0] == "busy"
    assert refused(lab, "b", "vm autostart m --order 1")[0] == "busy"
    lab.run("b", f"migrate cancel {job}")
    until(lab, lambda: states(lab, "a").get("m") == "off")
    assert states(lab, "b")["m"] == "running" and lease(lab, "b") == "here"
    assert refused(lab, "a", "vm start m")[0] == "busy"

    m.migrate("a", timeout=120)
    assert states(lab, "a")["m"] == "running" and "m" not in states(lab, "b")
    assert lease(lab, "a") == "here"
    lab.run("a", "vm stop m")
    lab.run("a", "vm destroy m --files")


def test_a_vm_at_home(lab, payload, tmp_path):
    image, zeros = tmp_path / "ds.img", tmp_path / "zeros"
    zeros.write_bytes(bytes(DISK_MIB * MIB))
    terndisk("mkfs", image, "--size", "64M", "--name", "ds1", *TIMES)
    for name in ("root", "scratch", "own"):
        terndisk("import", image, zeros, f"h/{name}.disk", "--kind", "thin")
    lab.up(["a", "b"], files=payload, disks=[f"{image},ide,shared"])
    mounted(lab, "a")
    mounted(lab, "b")
    guest = Disked(lab, "h")
    made_on_a(lab, guest)
    only_one_starts_it(lab)
    moves(lab, image, tmp_path)

    # Its host is gone: the other takes it when the lease has run out, not before.
    lab.kill("a")
    lab.run("b", "vm start h --wait", timeout=180)
    lab.run("b", "vm stop h")
    assert not [f for f in files(lab, "b") if f.endswith((".run", ".new"))]

    # It is another VM from the next start on, which comes with its host.
    lab.run("b", "vm disk revert h one")
    lab.run("b", "vm disk add h ./more.disk,serial=more --size 4M")
    assert refused(lab, "b", "vm disk add h ./more.disk --size 4M")[0] == "exists"
    lab.kill("b")
    lab.up(["b"], files=payload, disks=[f"{image},ide,shared"])
    end = time.monotonic() + 90 * lab.patience
    while not [v for v in lab.ask("b", "vm list") if v["state"] == "running"]:
        assert time.monotonic() < end, lab.log("b")[-2000:]
        time.sleep(0.3)
    start_again(guest, "b")
    assert guest.disk("vda", "check", 7) == ([SECTORS, 0, 0], None)
    (sectors, wrong, errors), _ = guest.disk("vdb", "check", 3)
    assert wrong == sectors and not errors      # what a run wrote there is forgotten
    lab.run("b", "vm disk merge h one")
    assert guest.disk("vda", "check", 7) == ([SECTORS, 0, 0], None)
    assert [d["snapshots"] for d in lab.ask("b", "vm disk list h")] == [[]] * 4
    guest.tell("cat /sys/block/vdd/serial", r"^more")

    lab.run("b", "vm stop h")
    # A disk that has the name of a snapshot is none, and stays.
    lab.run("b", "datastore cp /ds/ds1/h/own.disk /ds/ds1/h/root.disk.two")
    assert refused(lab, "b", "vm disk merge h two")[0] == "not-found"
    lab.run("b", "datastore rm /ds/ds1/h/root.disk.two")
    lab.run("b", "vm disk remove h 3 --file")
    lab.run("b", "vm unregister h")
    assert set(files(lab, "b")) == {"h/h.vm", "h/root.disk", "h/scratch.disk", "h/own.disk"}
    lab.run("b", "vm register /ds/ds1/h/h.vm")
    assert lab.ask("b", "vm autostart h")["order"] == 2
    lab.run("b", "vm destroy h --files")
    assert not files(lab, "b") and not lab.ask("b", "vm list")
    lab.down()
    assert "0 found" in terndisk("check", image)
    assert json.loads(terndisk("ls", image, "--json"))["files"] == []
