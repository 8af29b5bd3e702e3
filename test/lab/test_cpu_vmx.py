# SPDX-License-Identifier: BSD-2-Clause
"""The CPU payload with VT-x, on hosts in Bochs: it passes every check, and all of its state moves.

With one processor, or TERN_STATE_VCPUS of them.
"""
import os
import shutil

import pytest

from lablib.client import Lab
from test_cpu_guest import GROUPS, Run
from test_state import State, occupy, unlisted_msrs
from test_vmx import no_complaint

pytestmark = pytest.mark.vmx

VCPUS = int(os.environ.get("TERN_STATE_VCPUS", "1"))


@pytest.fixture(scope="module")
def files(payload, tmp_path_factory):
    """The payload alone: what a host boots from is read slowly."""
    only = tmp_path_factory.mktemp("files")
    shutil.copy(f"{payload}/cpu", only)
    return str(only)


@pytest.fixture(scope="module")
def bochs(files):
    """A host with two CPUs; a second one comes when it is needed."""
    lab = Lab(f"cpu-vmx-{os.getpid()}")
    lab.remove()
    lab.up(["a"], cpu="vmx", smp=2, files=files)
    yield lab
    no_complaint(lab, "a")
    lab.down()


def test_all_groups(bochs):
    passed = Run(bochs, "a", " ".join(GROUPS)).finish(gaps=set())
    assert len(passed) > 400
    bochs.run("a", "vm delete cpu")
    Run(bochs, "a", "smp", 2).finish(gaps=set())
    bochs.run("a", "vm delete cpu")


def test_every_msr_is_listed(bochs):
    """As on AMD-V, with the other vendor's registers."""
    unlisted_msrs(bochs, "a")
    bochs.run("a", "vm delete cpu")


def test_state(bochs, files):
    """Nothing but clocks differs after a move; a watchpoint fires before it and after it."""
    bochs.up(["b"], cpu="vmx", smp=2, files=files)
    occupy(bochs, "b", VCPUS)
    run = State(bochs, "a", "x2apic state", VCPUS)
    run.dump()
    run.move("--budget", "3000")
    run.same(paced=False)
    passed = run.end(set())
    assert "state-watch" in passed and passed.count("state-waiting") == VCPUS
    no_complaint(bochs, "b")
