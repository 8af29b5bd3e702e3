# SPDX-License-Identifier: BSD-2-Clause
"""The guest's devices as a stock kernel drives them, before and after a move."""
import re
import time

import pytest

from conftest import clear
from lablib.guest import Guest

pytestmark = pytest.mark.svm

COMPLAINTS = r"error|fail|warn|bug|stuck|unstable|unexpected|spurious"
HARMLESS = r"report a bug|Marking stable|Correctable Errors|error_detected"


@pytest.fixture(scope="module")
def _shell(_pair_lab, payload):
    clear(_pair_lab, ["a", "b"], payload)
    g = Guest(_pair_lab, "dev")
    g.create("a", mode="shell")
    g.start()
    g.wait_text(r"guest# ", 180)
    g.boots = 1
    yield g
    g.remove()


@pytest.fixture
def shell(_shell):
    """The file's guest, at its prompt, on one of two hosts."""
    say(_shell, "true")
    return _shell


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
    shell.lab.run(shell.host, f"vm type --port 0 {shell.name} echo --json --help --port $((1+2))")
    shell.wait_text(r"^--json --help --port 3", 60)
    got = shell.lab.cmd(shell.host, f"vm type --prt 0 {shell.name} x")
    assert got.status == 1 and "error: usage" in got.text


def test_devices_move(shell):
    use_devices(shell, "before")
    shell.lab.run("a", f"vm type --port 2 {shell.name} kept")      # waits in the device
    shell.migrate("b")
    assert "kept" in say(shell, "head -n 1 /dev/hvc0")
    use_devices(shell, "after")
    assert port_log(shell, 1).split()[-2:] == ["before-one", "after-one"]
    assert "before-two" in port_log(shell, 2)       # between echoes of what was typed


def test_clock_chip(shell):
    """The guest's clock chip has the time of day (the emulated host's is this machine's)."""
    assert abs(int(say(shell, "cat /sys/class/rtc/rtc0/since_epoch")) - time.time()) < 10
    assert abs(int(say(shell, "date +%s")) - time.time()) < 10


def rebooted(g):
    """One more boot than before, to the prompt."""
    g.boots += 1
    g.wait(lambda: g.text.count("guest: ready") == g.boots, 180, f"boot {g.boots}")
    g.wait_text(r"guest# ", 60, g.text.rindex("guest: ready"))


def test_reset_from_inside(shell):
    say(shell, "echo first > /dev/ttyS1")
    shell.lab.run(shell.host, f"vm type {shell.name} reboot -f")
    rebooted(shell)
    use_devices(shell, "again")
    assert "first" in port_log(shell, 1)        # the log is kept over a reset


def test_reset_button(shell):
    shell.lab.run(shell.host, f"vm reset {shell.name}")
    rebooted(shell)
    shell.lab.run(shell.host, f"vm pause {shell.name}")
    got = shell.lab.cmd(shell.host, f"vm reset {shell.name}")
    assert got.status == 1 and got.text.startswith("error: busy")
    shell.lab.run(shell.host, f"vm resume {shell.name}")


def test_idle_guest_is_quiet(shell):
    """Half a minute at most, and the guest, which has nothing to do, has fewer than 50 exits a
    second for ten of them."""
    def exits():
        return sum(v["total_exits"] for v in shell.info()["vcpus"])

    def rate():
        before, start = exits(), time.monotonic()
        time.sleep(10)
        return (exits() - before) / (time.monotonic() - start)

    rates = [rate()]
    while rates[-1] >= 50 and len(rates) < 4:
        rates.append(rate())
    assert rates[-1] < 50, f"{rates} exits a second"
