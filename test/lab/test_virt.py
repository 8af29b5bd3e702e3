# SPDX-License-Identifier: BSD-2-Clause
"""The virtualization backend with guests of a few instructions, run by the kernel at boot."""
import os
import re

import pytest

from lablib.client import Lab

pytestmark = pytest.mark.svm

SELFTESTS = {
    "real", "long", "exits", "kick", "inject", "own-events", "window", "nmi", "state", "vector",
    "ad-bits", "lost-page", "kick-masked", "ad-bits-scan", "lost-page-scan", "ad-bits-protect",
    "lost-page-protect", "modes", "protected", "full-state", "cut-injected", "cut-own", "cut-int",
    "cut-iret", "step", "1g-leaf", "log-overflow", "tsc-scaling", "tpr", "apic", "pcid",
    "xsaves", "refusal"
}


@pytest.mark.parametrize("smp", [1, 2, 4])
def test_tiny_guests(smp):
    """With two CPUs and more, vCPU and harvester run on different ones."""
    lab = Lab(f"virt-{smp}-{os.getpid()}")
    lab.remove()
    try:
        lab.up(["a"], smp=smp, nics=0, conf=["selftest = virt"])
        log = lab.log("a")
    finally:
        lab.down()
    assert not re.findall(r"selftest: FAILED.*", log)
    assert set(re.findall(r"selftest: ok virt-([\w-]+)", log)) == SELFTESTS
    assert re.findall(r"selftest: refused: (.*)", log) == ["VMRUN refused the event to inject"]
