# SPDX-License-Identifier: BSD-2-Clause
"""VT-x hosts whose TSCs run at different frequencies: Bochs makes so many ticks a second.

The guest's TSC keeps its own frequency where the destination's CPU scales it; one that cannot
is refused by preflight. The payload measures its TSC, which the CPU scales, against the
counter that the kernel computes, and reads its clock all the time while it moves.
"""
import os
import shutil

import pytest

from lablib.client import Lab
from test_cpu_guest import Run
from test_vmx import no_complaint

pytestmark = pytest.mark.vmx

IPS = {"a": 40_000_000, "b": 31_000_000}


@pytest.fixture
def uneven(payload, tmp_path):
    shutil.copy(f"{payload}/cpu", tmp_path)
    lab = Lab(f"tsc-vmx-{os.getpid()}")
    lab.remove()
    lab.up(["a"], cpu="vmx", ips=IPS["a"], files=str(tmp_path), wait=False)
    lab.up(["b"], cpu="vmx", ips=IPS["b"], files=str(tmp_path),
           conf=["virt.without = tsc-scaling"])
    lab.wait("a", "tern:a>")
    yield lab
    for host in "ab":
        no_complaint(lab, host)
    lab.down()


def khz(lab, host):
    return lab.ask(host, "host info")["tsc_khz"]


def test_frequencies(uneven, tmp_path):
    lab = uneven
    for host in "ab":
        assert abs(khz(lab, host) - IPS[host] / 1000) < IPS[host] / 1000 / 500
    run = Run(lab, "a", "hyperv-move", options="--hyperv")
    own = run.info()["tsc_khz"]
    assert own == khz(lab, "a")
    run.wait(lambda: "ready\n" in run.text())
    got = lab.cmd("a", f"migrate cpu {lab.addr('b')} --wait", 300)
    assert got.status == 1 and got.text.splitlines()[-1] == (
        f"error: cpu the guest's TSC runs at {own} kHz, the destination's at {khz(lab, 'b')}, "
        "more than 250 ppm apart, and its CPU cannot scale it"), got.text
    assert run.info()["state"] == "running"
    lab.kill("b")
    lab.up(["b"], cpu="vmx", ips=IPS["b"], files=str(tmp_path))
    lab.run("a", f"migrate cpu {lab.addr('b')} --budget 3000 --wait", 300)
    run.host = "b"
    assert run.info()["tsc_khz"] == own
    lab.run("b", "vm type cpu go")
    run.finish(gaps=set())
