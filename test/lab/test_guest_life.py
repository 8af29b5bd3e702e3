# SPDX-License-Identifier: BSD-2-Clause
"""What is done to a guest as a whole: suspended and restored, dumped, debugged."""
import pytest

from lablib.guest import Guest

pytestmark = pytest.mark.guests


def refused(lab, host, line, code):
    got = lab.cmd(host, line)
    assert got.status == 1 and got.text.startswith(f"error: {code} "), got.text
    return got.text


# --- suspend and restore ------------------------------------------------------------

def test_a_suspended_guest_goes_on_where_it_was(pair):
    g = Guest(pair, "g")
    g.create("a", mode="dirty", ws=32, rate=20, vcpus=2)
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
        assert "suspended" in refused(pair, host, "migrate g 10.77.0.3", "not-running")
        refused(pair, host, "vm create g --kernel /boot/vmlinuz", "exists")
        stood = pair.ask(host, "host info")["uptime_ms"]
        pair.run(host, "net ping 10.77.0.254 --count 3")     # some time goes by
        assert len(g.beats) == told, "it runs while it is suspended"
        stood = pair.ask(host, "host info")["uptime_ms"] - stood
        assert pair.ask(host, "vm restore g")["state"] == "running"
        g.wait_beats(5)
        # The first heartbeat after it has seen the time go by, and each before it is there.
        assert g.beats[told].t_us - before.t_us >= stood * 1000
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
