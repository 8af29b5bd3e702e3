# SPDX-License-Identifier: BSD-2-Clause
"""Hosts with different processors: what each shows, whose guest may go where, and what they
have in common."""
import os

import pytest

from lablib.client import Lab
from lablib.guest import Guest

pytestmark = pytest.mark.migrate

LESS = "max,-avx2,-fma"     # b's: two features fewer than a's


@pytest.fixture(scope="module")
def _mixed_lab(payload):
    lab = Lab(f"cpu-{os.getpid()}")
    lab.remove()
    lab.up(["a"], files=payload, cpu_model="max")
    lab.up(["b"], files=payload, cpu_model=LESS)
    lab.up(["c"], files=payload, cpu_model="EPYC")
    yield lab
    lab.down()


@pytest.fixture
def mixed(_mixed_lab):
    """Hosts a (max), b (without avx2 and fma) and c (EPYC), without VMs."""
    for host in ("a", "b", "c"):
        for vm in _mixed_lab.ask(host, "vm list"):
            _mixed_lab.cmd(host, f"vm stop {vm['name']}")
            _mixed_lab.run(host, f"vm delete {vm['name']}")
    return _mixed_lab


def features(lab, host, *options):
    got = lab.ask(host, " ".join(["host cpu", *options]))
    return got, {f["name"]: f for f in got["features"]}


def shell_guest(lab, name, *options):
    g = Guest(lab, name)
    g.create("a", mode="shell", mem="128M", options=" ".join(options))
    g.start()
    g.wait_text(r"guest# ", 180)
    return g


def flags(g, number):
    """The guest's own /proc/cpuinfo, asked in its shell; NUMBER tells the answers apart."""
    line = f"echo $((40+{number})): $(grep -m1 ^flags /proc/cpuinfo)"
    g.lab.run(g.host, f"vm type {g.name} \"{line}\"")
    return g.wait_text(rf"^{40 + number}: flags.*\n", 60).split()


def test_host_cpu_tells_features_and_reasons(mixed):
    cpu, here = features(mixed, "a")
    assert cpu["vendor"] == "AuthenticAMD" and cpu["family"] >= 15
    assert cpu["virtualization"]["name"] == "AMD-V"
    assert "nested-paging" in cpu["virtualization"]["in_use"]
    assert not set(cpu["virtualization"]["in_use"]) & set(cpu["virtualization"]["absent"])
    assert here["avx2"]["state"] == "given" and here["x2apic"]["state"] == "provided"
    assert here["svm"]["state"] == "withheld" and here["svm"]["why"] == "no nesting"
    assert all(f["state"] != "absent" for f in here.values())
    _, there = features(mixed, "b", "--all")
    assert there["avx2"]["state"] == there["fma"]["state"] == "absent"
    assert (there["avx2"]["leaf"], there["avx2"]["register"], there["avx2"]["bit"]) == (7, "EBX", 5)
    plain = mixed.run("b", "host cpu --all")
    assert "absent    avx2 (leaf 7 EBX bit 5)" in plain


def test_refused_with_the_missing_features_by_name(mixed):
    g = shell_guest(mixed, "g")
    for option in ("--dry-run", "--wait"):
        got = mixed.cmd("a", f"migrate g {mixed.addr('b')} {option}", 90)
        assert got.status == 1
        error = got.text.splitlines()[-1]
        assert error.startswith("error: cpu ")
        assert "avx2 (leaf 7 EBX bit 5)" in error and "fma (leaf 1 ECX bit 12)" in error
        assert "--cpu baseline" in error
    assert g.state("a") == "running" and not g.exists("b")
    assert "avx2" in flags(g, 1)


def test_family_is_a_reason(mixed):
    shell_guest(mixed, "g")
    got = mixed.cmd("a", f"migrate g {mixed.addr('c')} --dry-run", 90)
    assert got.status == 1
    assert "family 23, not 15" in got.text and " more; create the VM with" in got.text


def test_guest_of_the_baseline_runs_on_all(mixed):
    """Three CPU models, two families: the guest sees the same on each."""
    got = mixed.ask("a", "cluster baseline a b c")
    lacks = {h["name"]: h["lacks"] for h in got["hosts"]}
    assert lacks["a"] == [] and lacks["b"] == ["fma", "avx2"] and "umip" in lacks["c"]
    assert got["kept"] and got["family"] == 15
    assert got["features"] < min(h["features"] for h in got["hosts"][1:])
    g = shell_guest(mixed, "g", "--cpu baseline")
    assert g.info()["cpu"] == "baseline"
    before = flags(g, 1)[1:]
    assert "sse4_2" in before and not {"avx2", "fma", "umip", "erms"} & set(before)
    mixed.run("a", f"migrate g {mixed.addr('b')} --dry-run", 90)
    for number, host in ((2, "b"), (3, "c"), (4, "a")):
        g.migrate(host)
        assert flags(g, number)[1:] == before
        assert g.info()["cpu"] == "baseline"
    g.verify_log()


def test_baseline_text_makes_others_use_the_same(mixed, payload):
    text = mixed.ask("a", "cluster baseline b c")["baseline"]
    assert mixed.ask("c", f"cluster baseline --set {text}")["baseline"] == text
    mixed.up(["d"], files=payload, cpu_model="max", conf=[f"cpu.baseline = {text}"])
    try:
        assert mixed.ask("d", "cluster baseline")["baseline"] == text
        mixed.run("d", "vm create g --kernel /boot/vmlinuz --cpu baseline")
        assert mixed.ask("d", "vm info g")["cpu"] == "baseline"
    finally:
        mixed.kill("d")


def test_baseline_of_a_host_that_has_more_is_not_taken(mixed):
    text = mixed.ask("a", "cluster baseline a")["baseline"]
    got = mixed.cmd("b", f"cluster baseline --set {text}")
    assert got.status == 1 and "this host lacks fma (leaf 1 ECX bit 12), avx2" in got.text
    got = mixed.ask("b", "cluster baseline a")
    assert not got["kept"] and "lacks fma" in got["why"]


def test_vendors_do_not_mix(mixed, payload):
    mixed.up(["e"], files=payload, cpu_model="max,vendor=GenuineIntel")
    try:
        got = mixed.cmd("a", "cluster baseline a e")
        assert got.status == 1 and "no VM moves between vendors" in got.text
        shell_guest(mixed, "g")
        got = mixed.cmd("a", f"migrate g {mixed.addr('e')} --wait", 90)
        assert got.status == 1 and "GenuineIntel" in got.text and "vendors" in got.text
    finally:
        mixed.kill("e")


@pytest.mark.parametrize("line", [
    "cluster baseline nowhere", "cluster baseline a 10.77.0.99", "cluster baseline --set nonsense",
    "cluster baseline a --set x", "cluster baseline --set 1/AuthenticAMD/sig:zz",
    "vm create x --kernel /boot/vmlinuz --cpu other", "host cpu extra"])
def test_bad_input(mixed, line):
    got = mixed.cmd("a", line, 60)
    last = got.text.splitlines()[-1]
    assert got.status == 1 and last.startswith("error: ") and len(last.split(" ", 2)) == 3
    assert mixed.ask("a", "vm list") == []
