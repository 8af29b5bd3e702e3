# SPDX-License-Identifier: BSD-2-Clause
"""What is done to a guest as a whole: suspended and restored, dumped, debugged."""
import contextlib
import os
import re
import struct
import subprocess
import time

import pytest

from lablib.guest import Guest
from lablib.paths import GUEST, TOP, LabError

pytestmark = pytest.mark.guests


def refused(lab, host, line, code):
    got = lab.cmd(host, line)
    assert got.status == 1 and got.text.startswith(f"error: {code} "), got.text
    return got.text


# --- suspend and restore ------------------------------------------------------------

def banner_in(vmlinux):
    """Linear address of the kernel's banner, by the file's program headers, and its text."""
    with open(vmlinux, "rb") as f:
        raw = f.read()
    at = raw.index(b"Linux version ")
    phoff, = struct.unpack_from("<Q", raw, 32)
    count, = struct.unpack_from("<H", raw, 56)
    for i in range(count):
        kind, _, offset, vaddr, _, size = struct.unpack_from("<IIQQQQ", raw, phoff + 56 * i)
        if kind == 1 and offset <= at < offset + size:
            return vaddr + at - offset, raw[at:at + 30].decode()
    raise AssertionError("no segment has the banner")


def check_dump(pair, host, core):
    """gdb finds the stock kernel's banner where the kernel has mapped it."""
    subprocess.run([f"{TOP}/tools/guest", "--vmlinux"], check=True, capture_output=True)
    vmlinux = f"{TOP}/build/guest/vmlinux"
    said = pair.dump(host, "g", core)
    assert said["whole"] and said["threads"] == 2, said
    at, text = banner_in(vmlinux)
    out = gdb([f"x/s {at:#x}", "info threads"], vmlinux, core)
    assert text in out and len(re.findall(r"LWP [12]\b", out)) >= 2, out


def test_a_suspended_guest_goes_on_where_it_was(pair, tmp_path):
    g = Guest(pair, "g")
    g.create("a", mode="dirty", ws=32, rate=20, vcpus=2, extra="nokaslr")
    g.start()
    g.wait_ready()
    g.wait_beats(5)
    for host in "ab":
        guest_bytes = pair.ask(host, "host info")["guest_bytes"]
        assert pair.ask(host, "vm suspend g")["state"] == "suspended"
        # Its memory stayed where it is: nothing was copied, nothing freed.
        assert pair.ask(host, "host info")["guest_bytes"] == guest_bytes
        g.poll()
        told, before = len(g.beats), g.beats[-1]
        [listed] = pair.ask(host, "vm list")
        assert listed["state"] == "suspended"
        for line in ("vm start g", "vm pause g", "vm resume g", "vm suspend g", "vm reset g"):
            refused(pair, host, line, "busy")
        refused(pair, host, "vm create g --kernel /boot/vmlinuz", "exists")
        stood = pair.ask(host, "host info")["uptime_ms"]
        if host == "a":
            check_dump(pair, host, str(tmp_path / "core"))
        else:
            pair.run(host, "net ping 10.77.0.254 --count 3")     # some time goes by
        g.poll()
        assert len(g.beats) == told, "it runs while it is suspended"
        stood = pair.ask(host, "host info")["uptime_ms"] - stood
        assert pair.ask(host, "vm restore g")["state"] == "running"
        g.wait_beats(5)
        # It has seen the time go by; a heartbeat may have been on its way when it was suspended.
        assert g.beats[told + 1].t_us - before.t_us >= stood * 1000
        g.wait_passes(1)
        g.verify()
        g.verify_log()
        if host == "a":
            g.migrate("b")
            g.wait_beats(3)


def test_a_suspended_guest_keeps_its_address(pair):
    two = "--net net0,02:00:00:00:00:41 --net net0,02:00:00:00:00:"
    assert "same address" in refused(pair, "a", f"vm create n --kernel /boot/vmlinuz {two}41",
                                     "invalid")
    g = Guest(pair, "n")
    g.create("a", mode="shell", options=two + "42")
    g.start()
    g.wait_text(r"guest# ", 180)
    pair.run("a", "vm suspend n")
    assert [p["muted"] for p in pair.ask("a", "net ports")] == [True, True]
    pair.run("a", "vm restore n")
    pair.run("a", "vm type n ip addr add 10.77.0.60/24 dev eth0")
    pair.run("a", "vm type n ip link set eth0 up")
    pair.run("a", "vm type n echo up-$((1+1))")
    g.wait_text(r"^up-2", 60)
    pair.run("a", "net ping 10.77.0.60")
    pair.run("b", "net ping 10.77.0.60")


def test_a_suspended_guest_can_be_ended(pair, guest):
    free = pair.ask("a", "host info")["free_bytes"]
    pair.run("a", "vm suspend g")
    pair.run("a", "vm stop g")
    assert guest.state() == "off"
    pair.run("a", "vm start g")
    guest.text, guest.offset, guest.parsed, guest.beats = "", 0, 0, []
    guest.wait_beats(3)
    pair.run("a", "vm suspend g")
    pair.run("a", "vm delete g")
    assert pair.ask("a", "vm list") == []
    assert pair.ask("a", "host info")["free_bytes"] > free
    refused(pair, "a", "vm restore g", "not-found")


# --- dumps ---------------------------------------------------------------------------

ELF = f"{TOP}/build/obj/payload/cpu.elf"      # the payload with its symbols
PATTERN = 0x7465726e2d6d656d


def debuggee(pair, vcpus=1):
    """test/guest/cpu/debugged.c, turning."""
    pair.cmd("a", "vm gdb d --off")     # of a test that failed
    pair.run("a", f"vm create d --multiboot /boot/cpu --mem 64M --vcpus {vcpus} "
                  "--cmdline debugged")
    pair.run("a", "vm start d")
    end = time.monotonic() + 60
    while "debugged: ready" not in pair.ask("a", "vm log d --since 0")["text"]:
        assert time.monotonic() < end, "the payload does not come up"
    return pair


def debuggee_ends_well(pair):
    """It turns, sees no trace of a debugger, and its memory is right."""
    pair.run("a", "vm type d x")
    end = time.monotonic() + 60
    while pair.ask("a", "vm info d")["state"] == "running":
        assert time.monotonic() < end, "the payload does not end"
    text = pair.ask("a", "vm log d --since 0")["text"]
    assert pair.ask("a", "vm info d")["exit_code"] == 0, text
    assert "ok debugged-leaks" in text and "ok debugged-memory" in text


def gdb(commands, *args, inside=None, timeout=120):
    """What gdb, in batch mode, prints for these commands."""
    words = ["gdb", "-q", "-nx", "-batch", "-iex", "set auto-load no", *args]
    for line in commands:
        words += ["-ex", line]
    got = subprocess.run(inside.exec_argv(words) if inside else words, text=True,
                         capture_output=True, timeout=timeout, check=False)
    return got.stdout + got.stderr


def test_gdb_opens_a_dump(pair, tmp_path):
    core = str(tmp_path / "core")
    debuggee(pair, vcpus=2)
    said = pair.dump("a", "d", core)
    assert said["threads"] == 2 and said["whole"]
    # What was never touched is not in the file.
    assert os.path.getsize(core) == said["bytes"] < (64 << 20)
    assert said["bytes"] > said["pages"] * 4096
    out = gdb(["info threads", "bt 3", "p/x debugged_mapped[5]", "p/x *(long *)0x8000000ff8",
               "p debugged_turns > 0", "p $pc > 0x100000", "p/x *(int *)&multiboot_header",
               "x/1xg 0x3000000"], ELF, core)
    assert len(re.findall(r"Thread|LWP", out)) >= 2, out
    assert f"$1 = {PATTERN ^ 5:#x}" in out and f"$2 = {PATTERN ^ 511:#x}" in out, out
    assert "$3 = 1" in out and "$4 = 1" in out, out
    assert "group_debugged" in out, out
    # It went on.
    debuggee_ends_well(pair)


def test_what_cannot_be_dumped(pair):
    pair.run("a", "vm create e --multiboot /boot/cpu --mem 64M")
    refused(pair, "a", "vm dump e --to 10.77.0.254", "unreachable")
    refused(pair, "a", "vm dump e", "usage")
    refused(pair, "a", "vm dump e --to 10.77.0.254 --listen", "usage")
    refused(pair, "a", "vm dump e --listen --port 0", "invalid")
    refused(pair, "a", "vm dump nobody --listen", "not-found")


# --- debuggers -----------------------------------------------------------------------

def remote(*commands):
    return ["set tcp connect-timeout 20", "target remote 10.77.0.1:1234", *commands]


def test_gdb_debugs_a_guest_that_goes_on(pair):
    debuggee(pair, vcpus=2)
    assert pair.ask("a", "vm gdb d") == {"vm": "d", "port": 1234}
    out = gdb(remote(
        "info threads", "break debugged_turn", "continue", "p n > 0", "bt",
        "p/x debugged_mapped[5]", "set var debugged_mapped[7] = 99", "p debugged_mapped[7]",
        "p/x $cr0 & 0x80000001", "set var debugged_extra = 1000000", "delete",
        # Over PUSHF, whose image must not have the step's own flag.
        "break debugged_flags", "continue", "stepi", "stepi", "stepi", "stepi", "info line *$pc",
        "delete", "break debugged_turn", "continue", "set can-use-hw-watchpoints 0",
        "watch debugged_turns", "continue", "delete", "p debugged_turns > 1000000",
        "break debugged_turn", "continue", "detach"), ELF, inside=pair)
    for line in ("$1 = 1", f"$2 = {PATTERN ^ 5:#x}", "$3 = 99", "$4 = 0x80000001"):
        assert line in out, out
    assert len(re.findall(r"Thread \d", out)) >= 2 and "vCPU 1" in out, out
    assert out.count("Breakpoint 1, ") == 1 and "Breakpoint 2, " in out, out
    assert "Old value = " in out and "New value = " in out, out
    assert re.search(r"\$\d+ = 1\n.*Breakpoint 5, .*Inferior 1", out, re.S), out
    # Another comes later, and goes without a word: its breakpoint goes with it.
    out = gdb(remote("break debugged_turn", "continue", "set var debugged_mapped[7] = 0",
                     "kill"), ELF, inside=pair)
    assert "Breakpoint 1, " in out, out
    pair.run("a", "vm gdb d --off")
    debuggee_ends_well(pair)


def test_a_guest_under_a_debugger_has_one_owner(pair):
    debuggee(pair)
    pair.run("a", "vm gdb d --port 1235")
    refused(pair, "a", "vm gdb d", "exists")
    refused(pair, "a", "vm gdb nobody", "not-found")
    words = ["gdb", "-q", "-nx", "-ex", "set confirm off", "-ex",
             "target remote 10.77.0.1:1235", "-ex", "continue", ELF]
    start = pair.mark("a")
    proc = subprocess.Popen(pair.exec_argv(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    pair.wait("a", "d: a debugger is here", 60, start)
    assert "being debugged" in refused(pair, "a", "migrate d 10.77.0.2", "busy")
    for line in ("vm stop d", "vm suspend d", "vm dump d --to 10.77.0.254", "vm reset d"):
        refused(pair, "a", line, "busy" if "dump" not in line else "unreachable")
    proc.kill()     # without a word
    proc.wait()
    pair.wait("a", "d: the debugger is gone", 60, start)
    # Ctrl-C is heard while the guest runs.
    words[-2] = "python import threading, os, signal; " \
        "threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()"
    out = gdb(["target remote 10.77.0.1:1235", words[-2], "continue", "p debugged_go", "detach"],
              ELF, inside=pair)
    assert "SIGINT" in out and "$1 = 1" in out, out
    pair.run("a", "vm gdb d --off")
    refused(pair, "a", "vm gdb d --off", "not-found")
    debuggee_ends_well(pair)


# --- the host's end --------------------------------------------------------------------

def wait_end(lab, host, timeout=60):
    """The emulator ends by itself, as a machine that is off; its exit status."""
    end = time.monotonic() + timeout * lab.patience
    while True:
        [h] = [h for h in lab.status()["hosts"] if h["name"] == host]
        if not h["alive"]:
            return h["exit"]
        assert time.monotonic() < end, f"{host} does not switch itself off"
        time.sleep(0.2)


def last_command(lab, host, line):
    """One that the host does not live to answer: a refusal comes at once."""
    with contextlib.suppress(LabError):
        got = lab.cmd(host, line, timeout=5)
        assert not got.text.startswith("error"), got.text


def test_a_host_takes_its_guests_away_before_its_end(pair):
    debuggee(pair)
    pair.run("a", "vm create off --multiboot /boot/cpu --mem 64M")
    assert "d (running)" in refused(pair, "a", "host poweroff", "busy")
    refused(pair, "a", "host reboot --guests", "usage")
    refused(pair, "a", "host reboot --guests away", "invalid")
    refused(pair, "a", "host poweroff --guests evacuate:10.77.0.1", "invalid")
    # One that is paused does not move: it stays, and the host stays up.
    pair.run("a", "vm pause d")
    refused(pair, "a", "host poweroff --guests evacuate:10.77.0.2", "not-running")
    pair.run("a", "vm resume d")
    pair.run("a", "vm create s --multiboot /boot/cpu --mem 64M --cmdline debugged")
    pair.run("a", "vm start s")
    pair.run("a", "vm suspend s")
    last_command(pair, "a", "host poweroff --guests evacuate:10.77.0.2")
    assert wait_end(pair, "a") == 0
    assert {(v["name"], v["state"]) for v in pair.ask("b", "vm list")} == \
        {("d", "running"), ("s", "suspended")}


def test_a_host_reboots(pair):
    """Its guests shut down first, those that hear their power buttons."""
    pair.up(["r"], files=GUEST, reset=True, smp=1, mem=512)
    try:
        pair.run("r", "vm create d --multiboot /boot/cpu --mem 64M --cmdline debugged")
        pair.run("r", "vm start d")
        g = Guest(pair, "g")
        g.create("r", mode="shell", more=1, mem="96M")
        g.start()
        g.wait_text(r"guest# ", 180)
        pair.run("r", "vm type g while ! grep -q ' enabled' /sys/firmware/acpi/interrupts/"
                 "ff_pwr_btn; do sleep 0.2; done; echo hears-$((1+1))")
        g.wait_text(r"^hears-2", 60)
        start = pair.mark("r")
        refused(pair, "r", "host reboot", "busy")
        refused(pair, "r", "host reboot --timeout 9", "usage")
        refused(pair, "r", "host reboot --guests stop --timeout 0", "invalid")
        last_command(pair, "r", "host reboot --guests stop")
        pair.wait("r", r"^.*tern: ready\s*$", 120, start)
        said = pair.log("r")
        assert "g: guest powered off" in said and "d: guest powered off" not in said
        assert said.index("g: guest powered off") < said.index("reboot asked for")
        assert pair.ask("r", "vm list") == []
    finally:
        pair.kill("r")
