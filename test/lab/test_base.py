# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's base on the emulated machine: self-tests at boot, the panic report."""
import os
import re

import pytest

from lablib.client import Lab
from lablib.paths import LabError

pytestmark = pytest.mark.svm

SELFTESTS = {"page", "heap", "sched", "wake", "timer", "calls"}


@pytest.fixture
def lone():
    lab = Lab(f"base-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


@pytest.mark.parametrize("smp", [1, 2, 4])
def test_selftests(lone, smp):
    lone.up(["a"], smp=smp, nics=0, conf=["selftest = all"])
    log = lone.log("a")
    assert not re.findall(r"selftest: FAILED.*", log)
    assert set(re.findall(r"selftest: ok (\w+)", log)) >= SELFTESTS
    assert lone.ask("a", "host info")["cpus"] == smp


def test_panic_report(lone):
    with pytest.raises(LabError):
        lone.up(["a"], nics=0, conf=["selftest = panic"])
    lone.wait("a", "tern: halted")
    log = lone.log("a")
    assert "panic: asked for by selftest" in log
    assert "world init" in log
    assert re.search(r"[0-9a-f]{16} selftest_run\+0x", log)
