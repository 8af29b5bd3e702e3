# SPDX-License-Identifier: BSD-2-Clause
"""The CPU payload with VT-x, on a host in Bochs, which passes every check."""
import os
import shutil

import pytest

from lablib.client import Lab
from test_cpu_guest import GROUPS, Run
from test_vmx import no_complaint

pytestmark = pytest.mark.vmx


@pytest.fixture
def bochs(payload, tmp_path):
    """A host with two CPUs and the payload alone: what it boots from is read slowly."""
    shutil.copy(f"{payload}/cpu", tmp_path)
    lab = Lab(f"cpu-vmx-{os.getpid()}")
    lab.remove()
    lab.up(["a"], cpu="vmx", smp=2, nics=0, files=str(tmp_path))
    yield lab
    no_complaint(lab, "a")
    lab.down()


def test_all_groups(bochs):
    passed = Run(bochs, "a", " ".join(GROUPS)).finish(gaps=set())
    assert len(passed) > 400
    bochs.run("a", "vm delete cpu")
    Run(bochs, "a", "smp", 2).finish(gaps=set())
