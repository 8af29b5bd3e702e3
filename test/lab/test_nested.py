# SPDX-License-Identifier: BSD-2-Clause
"""On a machine whose KVM nests (ACCEL=kvm): hosts with real TLBs, where a flush that is
missing is seen as a lost page. No emulator shows that."""
import os
import re

import pytest

from lablib import emulator
from lablib.client import Lab
from lablib.guest import Guest

pytestmark = [pytest.mark.svm, pytest.mark.vmx,
              pytest.mark.skipif(not emulator.kvm_asked() or not emulator.nesting(),
                                 reason="no nested virtualization")]

OTHER = {"a": "b", "b": "a"}


@pytest.fixture
def lab():
    it = Lab(f"nested-{os.getpid()}")
    it.remove()
    yield it
    it.down()


def test_tiny_guests(lab):
    lab.up(["a"], cpu=emulator.nesting(), smp=4, nics=0, conf=["selftest = virt"])
    log = lab.log("a")
    assert not re.findall(r"selftest: FAILED.*", log)
    assert "selftest: ok virt-lost-page" in log


def test_page_sequence_on_the_move(lab, payload):
    lab.up(["a", "b"], cpu=emulator.nesting(), files=payload)
    g = Guest(lab, "seq")
    g.create("a", mode="pageseq", ws=8)
    g.start()
    g.wait_ready()
    for _ in range(10):
        g.wait_passes(20)
        g.migrate(OTHER[g.host])
    g.wait_passes(300)
    g.verify()
