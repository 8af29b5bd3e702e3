# SPDX-License-Identifier: BSD-2-Clause
"""tools/lab by itself: consoles, links and life cycle, with toy hosts."""
import os
import pty
import subprocess
import time

import pytest

from conftest import TOP
from lablib.client import Lab
from lablib.paths import LabError

pytestmark = pytest.mark.lab


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A lab whose emulator is the script in test/lab/fake."""
    (tmp_path / "tern.efi").touch()
    (tmp_path / "kernel.elf").touch()
    monkeypatch.setenv("PATH", f"{TOP}/test/lab/fake:{os.environ['PATH']}")
    monkeypatch.setattr("lablib.image.BUILD", str(tmp_path))
    monkeypatch.setenv("TERN_LAB_DIR", str(tmp_path / "lab"))
    lab = Lab("toy")
    lab.up(["a", "b"])
    yield lab
    lab.down()


def test_commands_carry_output_and_success(toy):
    assert toy.cmd("a", "echo one  two") == (0, "one  two")
    assert toy.cmd("b", "fail") == (1, "error: EINVAL no")
    with pytest.raises(LabError, match="EINVAL"):
        toy.run("b", "fail")


def test_log_lines_between_do_not_confuse(toy):
    toy.cmd("a", "echo x")
    assert "a log line between" in toy.log("a")


def test_wait_sees_what_was_said_before_and_later(toy):
    assert toy.wait("a", "tern: ready", 5)
    mark = toy.mark("a")
    with pytest.raises(LabError, match="did not say it"):
        toy.wait("a", "never", 0.3, mark)


def test_console_leaves_one_key_to_the_host(toy):
    """Ctrl-] is what leaves a guest's console on the host: it must get there."""
    screen, terminal = pty.openpty()
    env = dict(os.environ, TERN_LAB="toy")
    lab = subprocess.Popen([f"{TOP}/tools/lab", "console", "a"], env=env, stdin=terminal,
                           stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    while b"leaves it" not in seen:
        seen += os.read(screen, 4096)
    while lab.poll() is None and b"left\x1dright" not in seen:
        if seen.endswith(b"\n"):
            os.write(screen, b"left\x1dright\r")
        seen += os.read(screen, 4096)
    os.write(screen, b"\x1c")
    assert lab.wait(20) == 0
    os.close(screen)


@pytest.mark.parametrize("option", [
    {"smp": 0}, {"mem": -1}, {"nics": 99}, {"mtu": 10}, {"conf": ["foo"]}, {"disks": ["/no/disk"]}])
def test_bad_option_is_named(option):
    lab = Lab(f"bad-{os.getpid()}")
    with pytest.raises(LabError, match=f"--{next(iter(option)).rstrip('s')}"):
        lab.up(["a"], **option)
    assert not lab.running()


def test_a_host_that_does_not_boot_says_why():
    lab = Lab(f"end-{os.getpid()}")
    try:
        with pytest.raises(LabError, match="ended .*nosuch"):
            lab.up(["a"], smp=255, mem=64, cpu_model="nosuch")
    finally:
        lab.down()


def test_a_host_that_ends_fails_its_commands(toy):
    with pytest.raises(LabError, match="ended"):
        toy.cmd("a", "quit")
    with pytest.raises(LabError, match="not running"):
        toy.cmd("a", "echo x")
    toy.up(["a"])
    assert toy.cmd("a", "echo back").text == "back"


def test_kill_and_up_again(toy):
    toy.kill("b")
    with pytest.raises(LabError, match="not running"):
        toy.kill("b")
    toy.up(["b"])
    with pytest.raises(LabError, match="up already"):
        toy.up(["b"])


def test_links(toy):
    for rule, value in (("delay", 5), ("loss", 1), ("rate", 10), ("down", None), ("up", None),
                        ("clear", None)):
        toy.link("a", rule, value)
    with pytest.raises(LabError):
        toy.link("a", "delay", -1)
    with pytest.raises(LabError, match="no host"):
        toy.link("z", "down")


def test_nothing_is_left_behind(toy):
    pids = [h["pid"] for h in toy.status()["hosts"]] + [toy.status()["pid"]]
    toy.down()
    end = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{p}") and "Z" not in _state(p) for p in pids):
        assert time.monotonic() < end
        time.sleep(0.05)
    with pytest.raises(LabError, match="no lab is up"):
        toy.status()


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_wrong_arguments():
    for args in (["up", "a", "--cpu", "vax"], ["up", "a", "--nic", "ne2000"], ["up", "../x"],
                 ["up", "a", "--cpu", "vmx", "--mem", "4096"],
                 ["up", "a", "--cpu", "vmx", "--nic", "virtio"],
                 ["cmd", "a", "x"], ["link", "a", "delay"]):
        done = subprocess.run([f"{TOP}/tools/lab", *args], capture_output=True, text=True,
                              check=False, env={**os.environ, "TERN_LAB": "never-up"})
        assert done.returncode == 2 and done.stderr.startswith("lab: "), done


# --- a third machine ----------------------------------------------------------------


def _in_client(lab, name, *argv):
    return subprocess.run(lab.client_argv(name, argv), capture_output=True, text=True, timeout=30,
                          check=False)


@pytest.fixture
def toy_client(toy):
    if toy.status()["net"] != "tap":
        pytest.skip("no taps here")
    toy.up([], clients=["c", "d"])
    return toy


def test_a_third_machine_has_a_cable_and_no_way_out(toy_client):
    for name, other in (("c", "d"), ("d", "c")):
        links = _in_client(toy_client, name, "ip", "-br", "link").stdout.splitlines()
        assert [line.split()[0].partition("@")[0] for line in links] == ["lo", "eth0"]
        assert "default" not in _in_client(toy_client, name, "ip", "route").stdout
        for addr in ("10.77.0.254", toy_client.client(other)["addr"],
                     toy_client.client(other)["addr6"]):
            got = _in_client(toy_client, name, "busybox", "ping", "-c", "1", "-W", "5",
                             addr)
            assert got.returncode == 0, got.stdout


def test_a_third_machine_is_named_once(toy_client):
    with pytest.raises(LabError, match="client c is up already"):
        toy_client.up([], clients=["c"])
    with pytest.raises(LabError, match="bad client name"):
        toy_client.up([], clients=["no/name"])
    with pytest.raises(LabError, match="no client 'e'"):
        toy_client.client_argv("e", ["true"])


def test_what_runs_on_a_third_machine_ends_with_the_lab(toy_client):
    pid = toy_client.client("c")["pid"]
    proc = subprocess.Popen(toy_client.client_argv("c", ["sleep", "1000"]))
    toy_client.down()
    assert proc.wait(10) == -9
    end = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < end
        time.sleep(0.05)
