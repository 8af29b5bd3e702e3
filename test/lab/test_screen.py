# SPDX-License-Identifier: BSD-2-Clause
"""The framebuffer shows what the serial line shows: log, commands, panics."""
import os
import re

import pytest

import screen
from lablib.client import Lab
from lablib.paths import LabError

pytestmark = pytest.mark.svm


@pytest.fixture
def lab():
    lab = Lab(f"screen-{os.getpid()}")
    lab.remove()
    yield lab
    lab.down()


def test_log_and_commands(lab):
    lab.up(["a"], nics=0, vga=True)
    lines = screen.wait(lab, "a", r"^tern:a>")
    assert not any("\ufffd" in line for line in lines)
    # The log from its beginning, though the screen was found after its first lines.
    logged = [line for line in lab.log("a").splitlines() if line.startswith("[ ")]
    assert [line for line in lines if line.startswith("[ ")] == logged
    assert any(line.endswith("tern: ready") for line in lines)
    lab.run("a", "help")
    lab.run("a", "help")
    lines = screen.wait(lab, "a", r"^@2=0$")
    assert any(re.match(r"@2\|vm create +define a VM", line) for line in lines)
    assert not any("tern: ready" in line for line in lines)     # it has scrolled


def test_panic(lab):
    with pytest.raises(LabError):
        lab.up(["a"], nics=0, vga=True, conf=["selftest = panic"])
    lab.wait("a", "tern: halted")
    lines = screen.wait(lab, "a", "^tern: halted$")
    assert "panic: asked for by selftest" in lines
    assert any(re.match(r"  [0-9a-f]{16} selftest_run\+0x", line) for line in lines)
    assert not any("\ufffd" in line for line in lines)


def test_no_screen(lab):
    lab.up(["a"], nics=0)
    assert "info  screen:" not in lab.log("a")
    assert "screen" not in {w["name"] for w in lab.ask("a", "host worlds")}
