# SPDX-License-Identifier: BSD-2-Clause
"""Hosts with different processors: what each shows, and whose guest may go where."""
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
    yield lab
    lab.down()


@pytest.fixture
def mixed(_mixed_lab):
    """Hosts a (max) and b (without avx2 and fma), without VMs."""
    for host in ("a", "b"):
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
    return g.wait_text(rf"^{40 + number}: flags.*$", 60).split()


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
