# SPDX-License-Identifier: BSD-2-Clause
"""VT-x, on hosts in Bochs: what is the vendor's own, and that all the rest goes on both.

Bochs is slow, so one stock guest of two vCPUs is booted and lives through most of this
file, on whichever of the two hosts it then is.
"""
import os
import re
import time

import pytest

from conftest import third
from lablib.bochs import DISK_UNIT
from lablib.client import Lab
from lablib.guest import Guest
from test_base import SELFTESTS
from test_guest_disk import MIB, SECTOR, TIMES, mounted, pattern, terndisk
from test_guest_net import ADDR, echo
from test_svmotion import DISK_MIB, Writer, all_mounted
from test_virt import SELFTESTS as VIRT_SELFTESTS

pytestmark = pytest.mark.vmx

OTHER = {"a": "b", "b": "a"}
REFUSED = r"VMENTER FAIL.*|>>PANIC<<.*|VMFAIL.*"

# By virt-refusal, which is to see such entries.
PROVOKED = ["VMENTER FAIL: RFLAGS[1] cleared", "VMFAIL: VMENTRY bad injected event vector 40"]


def complaints(lab, host):
    """Bochs names the cause of each failed VM entry, and what made it stop, in its log."""
    with open(f"{lab.dir}/{host}/emulator.log", encoding="utf-8", errors="replace") as f:
        return re.findall(REFUSED, f.read())


def no_complaint(lab, host):
    assert complaints(lab, host) == []


def boot(smp, *conf):
    """What a lone host says while it boots."""
    lab = Lab(f"vmx-{os.getpid()}")
    lab.remove()
    try:
        lab.up(["a"], cpu="vmx", smp=smp, nics=0, conf=conf)
        log = lab.log("a")
        assert lab.ask("a", "host info")["cpus"] == smp
        assert complaints(lab, "a") == PROVOKED
    finally:
        lab.down()
    assert not re.findall(r"selftest: FAILED.*", log)
    return log


def features(log):
    return set(re.search(r"virt: VT-x on .*; (.*)", log)[1].split())


def virt_passed(log):
    return set(re.findall(r"selftest: ok virt-([\w-]+)", log))


@pytest.mark.parametrize("smp", [1, 2])
def test_boot_and_selftests(smp):
    """With two CPUs, vCPU and harvester run on different ones."""
    log = boot(smp, "selftest = all,virt", "virt.with = xsavec")
    assert features(log) >= {"ad", "pml", "vpid", "timer"}
    assert set(re.findall(r"selftest: ok (\w+)", log)) >= SELFTESTS
    assert virt_passed(log) == VIRT_SELFTESTS
    assert re.findall(r"selftest: refused: (.*)", log) == [
        "VM entry refused the guest state", "invalid control fields"]


@pytest.mark.parametrize("smp,without", [
    (2, "ad pml"), (1, "pml vpid ple tsc-scaling rdtscp invpcid xsaves")])
def test_older_processors(smp, without):
    """Without A/D bits writes are seen by write protection, and so on."""
    log = boot(smp, "selftest = virt", f"virt.without = {without}")
    assert virt_passed(log) == VIRT_SELFTESTS
    assert not features(log) & set(without.split())


DISKS = os.environ.get("TERN_VMX_DISKS")  # moves of disks are for the soak: some minutes
STORES = {"a": ["one", "two"], "b": ["there"]}
STORE_MIB = 8


def datastores(folder):
    """Paths of their images by host, whole cylinders; a guest's disk of zeros on the first one."""
    zeros = folder / "zeros"
    zeros.write_bytes(bytes(DISK_MIB * MIB))
    for name in sum(STORES.values(), []):
        terndisk("mkfs", folder / name, "--size", f"{STORE_MIB}M", "--name", name, *TIMES)
        os.truncate(folder / name, -(-STORE_MIB * MIB // DISK_UNIT) * DISK_UNIT)
    terndisk("import", folder / "one", zeros, "w/root.disk", "--kind", "thin")
    return {host: [f"{folder}/{name}" for name in names] for host, names in STORES.items()}


@pytest.fixture(scope="module")
def _hosts(payload, tmp_path_factory):
    """They have ATA disks of their own when these are asked for; b is an older processor: what
    comes from there is traced by write protection."""
    lab = Lab(f"vmx-{os.getpid()}")
    lab.remove()
    lab.images = tmp_path_factory.mktemp("vmx")
    disks = datastores(lab.images) if DISKS else {"a": [], "b": []}
    lab.up(["a"], cpu="vmx", clients=third(), files=payload, disks=disks["a"], wait=False)
    lab.up(["b"], cpu="vmx", files=payload, disks=disks["b"], conf=["virt.without = ad pml"])
    lab.wait("a", "tern: ready")
    yield lab
    for host in ("a", "b"):
        no_complaint(lab, host)
    lab.down()


@pytest.fixture
def hosts(_hosts):
    for host in ("a", "b"):
        _hosts.link(host, "clear")
    return _hosts


@pytest.fixture(scope="module")
def _survivor(_hosts):
    g = Guest(_hosts, "g")
    g.create("a", mem="80M", mode="dirty", vcpus=2, options="--net net0", net=f"{ADDR}/24",
             ws=2, rate=1, check=1, tick=100, hb=300, vectors=1)
    g.start()
    g.wait_ready()
    return g


@pytest.fixture
def roamer(hosts, _survivor):
    """The file's guest, running on one of two whole hosts."""
    _survivor.wait_beats(3)
    return _survivor


def running(g):
    """Hosts on which the guest runs."""
    return g.running("ab")


def held(g, phase):
    """Starts a migration that stops at PHASE; (job, source, destination)."""
    source, to = g.host, OTHER[g.host]
    job = g.migrate_start(to, "--hold", phase)
    st = g.migrate_wait(job, until=(phase,))
    assert st["held"] and st["phase"] == phase
    return job, source, to


def test_hosts_reach_each_other(hosts):
    assert hosts.ask("a", f"net ping {hosts.addr('b')} --count 3")["answered"] == 3
    assert hosts.ask("a", "net bench b --seconds 2")["bytes"] > 100_000


class CalmWriter(Writer):
    """With a pause: a host's memory and disks together have 1.4 MB/s, of its own seconds."""

    LOOP = Writer.LOOP.replace("fill $i;", "fill $i; sleep 5;")


@pytest.fixture(scope="module")
def writer(_hosts):
    """A guest that fills its ATA disk again and again and checks it."""
    all_mounted(_hosts, len(STORES["a"]))
    mounted(_hosts, "b")
    for host in STORES:
        assert {d["driver"] for d in _hosts.ask(host, "disk list")} == {"ide"}
    return CalmWriter(_hosts, "w").boot(["/ds/one/w/root.disk"], vcpus=1, mem="80M").write()


def files(lab, host, store):
    return {f["name"] for f in lab.ask(host, f"datastore ls /ds/{store}")}


disks_move = pytest.mark.skipif(not DISKS, reason="TERN_VMX_DISKS is not set")


@disks_move
def test_disk_moves(hosts, writer):
    """From one ATA disk to another; the copy is slow enough that the guest writes meanwhile."""
    s = hosts.ask("a", "svmotion w two --bw 4 --wait", timeout=300)
    assert s["phase"] == "done" and s["disk"]["mirrored_bytes"] > 0, s["disk"]
    assert s["disk"]["copied_bytes"] + s["disk"]["skipped_bytes"] >= DISK_MIB * MIB, s["disk"]
    assert (files(hosts, "a", "one"), files(hosts, "a", "two")) == (set(), {"w/root.disk"})
    writer.rounds(1)


@disks_move
def test_disk_and_memory_move(hosts, writer):
    """To a host that shares nothing; what was written last is on the disk there."""
    store = writer.info()["disks"][0]["path"].split("/")[2]
    s = writer.migrate("b", "--disks", "there", "--budget", "10000", timeout=300)
    assert s["disk"]["copied_bytes"] + s["disk"]["skipped_bytes"] >= DISK_MIB * MIB, s["disk"]
    assert s["disk"]["mirrored_bytes"] > 0, s["disk"]
    writer.wait(lambda: not files(hosts, "a", store), 60, "end of the disk at the source")
    writer.rounds(1)
    seed = writer.stop()
    hosts.run("b", "vm stop w")
    hosts.run("b", "vm delete w")
    assert running(writer) == []
    hosts.run("b", "datastore umount there")
    out = hosts.images / "out"
    terndisk("export", hosts.images / "there", "w/root.disk", out)
    assert out.read_bytes() == pattern(seed, 0, DISK_MIB * MIB // SECTOR)


def test_life_cycle(roamer):
    lab = roamer.lab
    lab.run("a", "vm pause g")
    roamer.poll()
    seen = len(roamer.beats)
    assert roamer.state() == "paused"
    lab.run("a", f"net ping {lab.addr('b')}")
    roamer.poll()
    assert len(roamer.beats) <= seen + 1
    assert lab.cmd("a", "vm delete g").status, "a VM that is not off was deleted"
    lab.run("a", "vm resume g")
    roamer.wait_beats(5)
    assert roamer.beats[-1].rng > 0, "the virtio random device gives nothing"
    roamer.verify()


def test_vector_registers(roamer):
    """Threads of the guest hold patterns in all of them from its start on, over system calls,
    sleeps and this pause; one that is lost is named, and verify() sees that all over the file."""
    roamer.lab.run("a", "vm pause g")
    roamer.lab.run("a", "vm resume g")
    said = roamer.wait_text(r"vectors: \d+0 turns, \d+ wrong")
    assert said.endswith(", 0 wrong"), said
    assert "vectors: ZMM" in roamer.text
    roamer.verify()


def test_to_and_fro(roamer):
    """There by page-modification log, back by write protection; every page is checked, and a
    connection from a third machine, by the hosts' e1000, lives on."""
    talk = echo(roamer.lab, ADDR, "--until-stop")
    assert talk.line() == "connected"
    for _ in range(2):
        source = roamer.host
        st = roamer.migrate(OTHER[source], "--budget", "3000")
        assert st["phase"] == "done" and st["percent"] == 100 and st["rounds"] > 1
        assert st["round"][-1]["pages"] * 4 < st["pages_sent"], st["round"]
        roamer.wait_passes(2)
        roamer.verify()
        assert running(roamer) == [OTHER[source]]
        assert not roamer.exists(source)
    roamer.verify_log()
    assert "ok" in talk.finish()


def test_cancel(roamer):
    job, source, to = held(roamer, "precopy")
    roamer.lab.run(source, f"migrate cancel {job}")
    assert roamer.migrate_wait(job)["phase"] == "canceled"
    assert running(roamer) == [source]
    roamer.wait_beats(5)
    roamer.verify()


def test_link_cut(roamer):
    """The guest runs on at the source, and the destination lets go of its part."""
    job, source, to = held(roamer, "precopy")
    roamer.lab.link(to, "down")
    roamer.lab.run(source, f"migrate continue {job}")
    st = roamer.migrate_wait(job)
    assert st["phase"] == "failed" and st["error_code"], st
    assert running(roamer) == [source]
    roamer.lab.link(to, "up")
    end = time.monotonic() + 120
    while roamer.exists(to):
        assert time.monotonic() < end, f"host {to} keeps the VM of a failed migration"
        time.sleep(0.5)
    roamer.wait_passes(1)
    roamer.verify()


def test_other_vendor(roamer, payload):
    """A host with AMD-V in the same lab is refused, and refuses, with the reason."""
    lab = roamer.lab
    lab.up(["c"], files=payload, smp=1)
    try:
        assert lab.ask("a", f"net ping {lab.addr('c')} --count 2")["answered"] == 2
        amd = Guest(lab, "amd")
        amd.create("c", mem="80M", mode="shell")
        amd.start()
        for g, to in ((roamer, "c"), (amd, "a")):
            got = lab.cmd(g.host, f"migrate {g.name} {lab.addr(to)} --wait")
            assert got.status == 1, got
            assert re.search(r"error: cpu .*vendor", got.text), got
            assert g.state() == "running" and not g.exists(to)
    finally:
        lab.kill("c")
    roamer.wait_beats(3)
    roamer.verify()
