# SPDX-License-Identifier: BSD-2-Clause
"""A VM moves to its own host by the whole path: with its disk where it is, and to another
datastore, while it writes, and a client talks to it. One host is enough."""
import os
import time

import pytest

from lablib import net
from lablib.client import Lab
from lablib.paths import LabError
from test_guest_disk import MIB, TIMES, refused, terndisk
from test_guest_net import ADDR, MAC, echo
from test_svmotion import DISK_MIB, Writer, all_mounted, files

pytestmark = [pytest.mark.xvmotion,
              pytest.mark.skipif(net.wrapper()[0] != "tap", reason="no taps: no third machine")]

ROOT = "g/root.disk"
HOST_MIB, MEM_MIB = 768, 256


class Mover(Writer):
    """It writes its disk and has the network's services; one name, whichever instance runs."""

    def boot(self, disks, vcpus=2):
        self.create("a", mode="shell", vcpus=vcpus, mem=f"{MEM_MIB}M", net=f"{ADDR}/24",
                    options=" ".join(f"--disk {d}" for d in disks) + f" --net net0,{MAC}")
        self.start()
        self.wait_text(r"guest# ", 180)
        return self

    def here(self, *options, to="127.0.0.1"):
        return self.lab.ask("a", " ".join(["migrate g", to, *options]))["id"]

    def moved(self, *options, to="127.0.0.1"):
        s = self.migrate_wait(self.here(*options, to=to))
        assert s["phase"] == "done", s
        return s


@pytest.fixture(scope="module")
def lab(payload, tmp_path_factory):
    """Host a with datastores one and two, on one the disk of the VM g, which writes."""
    lab = Lab(f"self-{os.getpid()}")
    lab.remove()
    tmp = tmp_path_factory.mktemp("self")
    (tmp / "zeros").write_bytes(bytes(DISK_MIB * MIB))
    for name in ("one", "two"):
        terndisk("mkfs", tmp / name, "--size", "24M", "--name", name, *TIMES)
    terndisk("import", tmp / "one", tmp / "zeros", ROOT, "--kind", "thin")
    lab.host = dict(files=payload, mem=HOST_MIB, disks=[str(tmp / "one"), str(tmp / "two")])
    lab.up(["a"], clients=["third"], **lab.host)
    all_mounted(lab, 2)
    lab.guest = Mover(lab, "g").boot([f"/ds/one/{ROOT}"]).write()
    yield lab
    lab.down()


def settled(lab, disk_on):
    """One VM of the name, which runs; its disk there and nothing else; its memory once."""
    guest, = lab.ask("a", "vm list")
    assert (guest["name"], guest["state"]) == ("g", "running")
    other = {"one": "two", "two": "one"}[disk_on]
    lab.guest.wait(lambda: (files(lab, disk_on), files(lab, other)) == ({ROOT}, set()), 30,
                   f"nothing but the disk on {disk_on}")
    lab.guest.wait(lambda: len(lab.ask("a", "net ports")) == 1, 30, "one port")
    info = lab.ask("a", "vm info g")
    assert (info["state"], info["disks"][0]["path"]) == ("running", f"/ds/{disk_on}/{ROOT}")
    lab.guest.rounds(1)


def free_mib(lab):
    return lab.ask("a", "host info")["free_bytes"] // MIB


def test_there_and_back(lab):
    """Its disk stays; then goes to the other datastore, and back; nobody notices."""
    guest = lab.guest
    before, frame = free_mib(lab), lab.ask("a", "vm frame g 16M")
    talk = echo(lab, ADDR, "--until-stop")
    assert talk.line() == "connected"
    s = guest.moved(to="a")
    assert s["pages_sent"] > 2000 and s["blackout"]["total_ns"] > 0
    assert lab.ask("a", "vm frame g 16M") != frame
    settled(lab, "one")
    for target, to in (("two", "localhost"), ("one", "10.77.0.1")):
        s = guest.moved("--disks", target, to=to)
        assert s["disk"]["copied_bytes"] >= MIB
        settled(lab, target)
    assert "ok" in talk.finish()
    guest.wait(lambda: free_mib(lab) > before - MEM_MIB // 2, 30, "its memory once")
    jobs = [(j["direction"], j["phase"]) for j in lab.ask("a", "tasks")]
    assert jobs == [("out", "done"), ("in", "done")] * 3


def test_canceled(lab):
    """In pre-copy, with the disk copied, and when all is there: the instance that ran goes on."""
    for phase in ("precopy", "go"):
        job = lab.guest.here("--disks", "two", "--hold", phase)
        lab.guest.migrate_wait(job, until=(phase,))
        shown, = lab.ask("a", "vm list")
        assert shown["state"] == ("running" if phase == "precopy" else "stunned")
        assert refused(lab, "a", "vm stop g")[0] == "busy"
        lab.run("a", f"migrate cancel {job}")
        with pytest.raises(LabError, match="canceled"):
            lab.guest.migrate_wait(job, until=("done",))
        settled(lab, "one")


def test_refused(lab):
    """Named before anything is copied; the VM goes on."""
    code, text = refused(lab, "a", "migrate g a --disk 0=one --wait")
    assert code == "invalid" and "on one already" in text
    promised = MEM_MIB - lab.ask("a", "vm list")[0]["backed_bytes"] // MIB
    room = free_mib(lab) - promised
    lab.run("a", f"vm create big --mem {(room - MEM_MIB // 2) // 2 * 2}M --kernel /boot/vmlinuz")
    code, text = refused(lab, "a", "migrate g localhost --wait")
    assert code == "no-memory" and f"{MEM_MIB} MiB" in text and "twice" in text
    lab.run("a", "vm delete big")
    settled(lab, "one")


def test_crash(lab):
    """With all there, and nothing decided: the host comes back to the old disk, and no other."""
    job = lab.guest.here("--disks", "two", "--hold", "go")
    lab.guest.migrate_wait(job, until=("go",))
    assert len([f for ds in ("one", "two") for f in files(lab, ds) if f != ROOT]) == 2, "records"
    lab.kill("a")
    lab.up(["a"], **lab.host)
    all_mounted(lab, 2)
    end = time.monotonic() + 60 * lab.patience
    while (files(lab, "one"), files(lab, "two")) != ({ROOT}, set()):
        assert time.monotonic() < end, "something is left"
        time.sleep(0.2)
    assert lab.ask("a", "vm list") == []
