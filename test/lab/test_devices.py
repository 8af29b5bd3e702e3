# SPDX-License-Identifier: BSD-2-Clause
"""The guest's devices as a stock kernel drives them, before and after a move."""
import re
import time

import pytest

from lablib.guest import Guest

pytestmark = pytest.mark.svm

COMPLAINTS = r"error|fail|warn|bug|stuck|unstable|unexpected|spurious"
HARMLESS = r"report a bug|Marking stable|Correctable Errors|error_detected"


@pytest.fixture
def shell(pair):
    g = Guest(pair, "dev")
    g.create("a", mode="shell")
    g.start()
    g.wait_text(r"guest# ", 180)
    return g


def port_log(g, port):
    return g.lab.ask(g.host, f"vm log {g.name} --port {port} --since 0")["text"].replace("\r", "")


def say(g, line):
    """Types a command; what it prints is between two marks."""
    say.count = getattr(say, "count", 0) + 1
    mark = f"m{say.count}"
    g.lab.run(g.host, f"vm type {g.name} '{line}; echo {mark}-$((1+1))'")
    g.wait_text(rf"^{mark}-2", 60)
    return g.text[:g.text.rfind(f"{mark}-2")].rsplit("guest# ", 1)[-1].split("\n", 1)[1]


def wait_port(g, port, text, timeout=30):
    end = time.monotonic() + timeout
    while text not in port_log(g, port):
        assert time.monotonic() < end, f"port {port}: no {text!r}"
        time.sleep(0.3)


def use_devices(g, word):
    """Second serial port, virtio console both ways, random numbers."""
    say(g, f"echo {word}-one > /dev/ttyS1; echo {word}-two > /dev/hvc0")
    wait_port(g, 1, f"{word}-one\n")
    wait_port(g, 2, f"{word}-two\n")
    g.lab.run(g.host, f"vm type --port 2 {g.name} {word}-three")
    assert f"{word}-three" in say(g, "head -n 1 /dev/hvc0")
    a, b = (say(g, "head -c 2000 /dev/hwrng | md5sum").split()[0] for _ in range(2))
    assert a != b


def test_devices_work(shell):
    out = say(shell, "dmesg")
    found = [x for x in out.splitlines()
             if re.search(COMPLAINTS, x, re.I) and not re.search(HARMLESS, x, re.I)]
    assert found == []
    use_devices(shell, "here")


def test_typed_text_is_literal(shell):
    """Options of vm type end where the name stands."""
    shell.lab.run("a", f"vm type --port 0 {shell.name} echo --json --help --port $((1+2))")
    shell.wait_text(r"^--json --help --port 3", 60)
    got = shell.lab.cmd("a", f"vm type --prt 0 {shell.name} x")
    assert got.status == 1 and "error: usage" in got.text


def test_devices_move(shell):
    use_devices(shell, "before")
    shell.lab.run("a", f"vm type --port 2 {shell.name} kept")      # waits in the device
    shell.migrate("b")
    assert "kept" in say(shell, "head -n 1 /dev/hvc0")
    use_devices(shell, "after")
    assert port_log(shell, 1).split() == ["before-one", "after-one"]
    assert "before-two" in port_log(shell, 2)       # between echoes of what was typed


def test_clock_chip(shell):
    """The guest's clock chip has the time of day (the emulated host's is this machine's)."""
    assert abs(int(say(shell, "cat /sys/class/rtc/rtc0/since_epoch")) - time.time()) < 10
    assert abs(int(say(shell, "date +%s")) - time.time()) < 10


def test_reset_from_inside(shell):
    say(shell, "echo first > /dev/ttyS1")
    shell.lab.run("a", f"vm type {shell.name} reboot -f")
    shell.wait(lambda: shell.text.count("guest: ready") == 2, 180, "second boot")
    shell.wait(lambda: shell.text.rstrip(" ").count("guest# ") > 1, 60, "prompt")
    use_devices(shell, "again")
    assert "first" in port_log(shell, 1)        # the log is kept over a reset


def test_reset_button(shell):
    shell.lab.run("a", f"vm reset {shell.name}")
    shell.wait(lambda: shell.text.count("guest: ready") == 2, 180, "second boot")
    shell.lab.run("a", f"vm pause {shell.name}")
    got = shell.lab.cmd("a", f"vm reset {shell.name}")
    assert got.status == 1 and got.text.startswith("error: busy")
    shell.lab.run("a", f"vm resume {shell.name}")


def test_idle_guest_is_quiet(shell):
    """Fewer than 50 exits a second once the guest has nothing to do."""
    def exits():
        return sum(v["total_exits"] for v in shell.info()["vcpus"])

    time.sleep(30)
    before, start = exits(), time.monotonic()
    time.sleep(10)
    rate = (exits() - before) / (time.monotonic() - start)
    assert rate < 50, f"{rate:.0f} exits a second"
