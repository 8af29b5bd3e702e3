# SPDX-License-Identifier: BSD-2-Clause
"""Guests on the move: nothing is lost, and the figures are right."""
import os

import pytest

from lablib.client import Lab
from lablib.guest import Guest

pytestmark = pytest.mark.migrate

OTHER = {"a": "b", "b": "a"}


def test_twenty_times_to_and_fro(pair):
    """50 MiB/s over 64 MiB, all pages checked, the random device busy."""
    g = Guest(pair, "rover")
    g.create("a", mode="dirty", ws=64, rate=50, check=4)
    g.start()
    g.wait_ready()
    g.wait_beats(10)
    rng = g.beats[-1].rng
    for _ in range(20):
        source = g.host
        st = g.migrate(OTHER[source])
        assert st["phase"] == "done" and st["percent"] == 100
        g.wait_passes(1)
        g.verify()
        assert not g.exists(source)
    g.wait_passes(2)
    g.verify()
    g.verify_log()
    assert g.beats[-1].rng > rng


def test_four_processors(pair):
    """More of them than the hosts have: all come along, and each still gets its turn."""
    g = Guest(pair, "wide")
    g.create("a", mode="dirty", vcpus=4, ws=32, rate=20, check=4)
    g.start()
    g.wait_ready(240)
    for _ in range(2):
        g.migrate(OTHER[g.host])
        before = [v["total_exits"] for v in g.info()["vcpus"]]
        assert len(before) == 4
        g.wait_passes(2)
        g.verify()
        g.wait(lambda: all(v["total_exits"] > n for v, n in zip(g.info()["vcpus"], before)), 60,
               "exit of each processor")
    g.verify_log()


def test_page_sequence_at_full_speed(pair):
    """A guest that never rests, over a set that fits the budget."""
    g = Guest(pair, "seq")
    g.create("a", mode="pageseq", ws=8)
    g.start()
    g.wait_ready()
    for _ in range(4):
        g.wait_passes(50)
        g.migrate(OTHER[g.host])
    g.wait_passes(300)
    g.verify()


def test_pages_that_change_a_little(pair):
    """A guest that writes all of its set again and again: each page goes whole about once."""
    g = Guest(pair, "busy")
    g.create("a", mode="dirty", ws=48, rate=150, check=4)
    g.start()
    g.wait_ready()
    for _ in range(4):
        source = g.host
        g.wait_beats(5)
        backed = g.info()["backed_pages"]
        st = g.migrate(OTHER[source])
        assert st["bytes_sent"] <= (backed - st["zero_sent"]) * 4096 * 1.1, st
        assert st["delta_pages"] > 0 and st["saved_bytes"] > 0, st
        assert st["delta_bytes"] < st["delta_pages"] * 200, st
        g.wait(lambda: pair.ask(source, "stats")["memory"]["migration"] == 0, 10,
               "memory given back")
        g.wait_passes(1)
        g.verify()
    g.verify_log()


@pytest.mark.parametrize("budget", [3000, 600])
def test_slow_link_and_large_budget(pair, budget):
    """The stun is for what is left, also when the link is slower than anybody would guess,
    and when what is under way fills most of the budget."""
    g = Guest(pair, "slow")
    g.create("a", mode="dirty", ws=4, rate=1)
    g.start()
    g.wait_ready()
    g.wait_beats(5)
    pair.link("b", "rate", 60)
    st = g.migrate("b", "--budget", str(budget))
    pair.link("b", "clear")
    assert st["round"][-1]["pages"] * 4 < st["pages_sent"], st["round"]
    assert st["blackout"]["total_ns"] < st["total_ns"] / 2
    g.verify()


def test_idle_guest_with_shell(pair):
    g = Guest(pair, "idle")
    g.create("a", mode="shell")
    g.start()
    g.wait_text(r"guest# ", 120)
    backed = g.info()["backed_pages"]
    st = g.migrate("b")
    assert st["bytes_sent"] <= backed * 4096 * 1.05
    assert st["base_pages"] < backed / 4      # a calm guest's pages are not kept
    pair.run("b", "vm type idle \"echo moved $((40+2))\"")
    g.wait_text(r"^moved 42", 30)
    g.verify_log()


def test_guest_clock_counts_the_blackout(guest):
    """Over the move the guest's clock and ours advance alike, within 100 ms."""
    import time

    def both():
        seen = len(guest.beats)
        guest.wait(lambda: len(guest.beats) > seen, 10, "heartbeat")
        return time.monotonic(), guest.beats[-1].t_us / 1e6

    ours, theirs = both()
    for _ in range(3):
        guest.migrate(OTHER[guest.host])
    ours2, theirs2 = both()
    assert abs((ours2 - ours) - (theirs2 - theirs)) < 0.5
    guest.verify()


def test_wait_prints_the_result(guest):
    text = guest.lab.run("a", f"migrate g {guest.lab.addr('b')} --wait", 120)
    assert "done" in text
    last = {host: guest.lab.ask(host, "tasks")[-1]["id"] for host in "ab"}
    told = [[s["step"] for s in guest.lab.ask(host, f"migrate steps {job}")]
            for host, job in last.items()]
    assert told == [["the stream decides", "parked", "GO", "released"], ["complete", "runs"]]
    guest.host = "b"
    guest.wait_passes(1)
    guest.verify()


def test_by_name_and_ipv6(guest):
    guest.lab.run("a", "migrate g fd77::2 --wait", 120)
    guest.host = "b"
    guest.wait_beats(3)
    guest.lab.run("b", "migrate g a --wait", 120)
    guest.host = "a"
    guest.wait_passes(1)
    guest.verify()


def test_dry_run_changes_nothing(guest):
    text = guest.lab.run("a", f"migrate g {guest.lab.addr('b')} --dry-run", 60)
    assert "done (dry run)" in text.splitlines()[-1]
    for host in "ab":           # the destination has nothing to complain of either
        job = guest.lab.ask(host, "tasks")[-1]
        assert (job["phase"], job["dry_run"], job["error"]) == ("done", True, ""), (host, job)
    assert guest.state("a") == "running" and not guest.exists("b")
    guest.wait_beats(3)
    guest.verify()


def test_paused_guest_is_refused_or_stays_paused(guest):
    guest.lab.run("a", "vm pause g")
    got = guest.lab.cmd("a", f"migrate g {guest.lab.addr('b')} --wait", 120)
    host = "a" if got.status else "b"
    if got.status:
        assert "error: " in got.text
    assert guest.state(host) == "paused"
    guest.lab.run(host, "vm resume g")
    guest.host = host
    guest.wait_beats(5)
    guest.verify()


def test_at_rest(guest):
    """Suspended, it goes on over there when it is restored; off, it starts there, and says until
    then how its last run has ended."""
    guest.lab.run("a", "vm suspend g")
    s = guest.migrate("b")
    assert guest.state() == "suspended" and not guest.exists("a") and s["blackout"]["total_ns"] == 0
    guest.lab.run("b", "vm restore g")
    guest.wait_passes(1)
    guest.verify()
    guest.lab.run("b", "vm stop g")
    s = guest.migrate("a")
    assert guest.state() == "off" and not guest.exists("b") and s["pages_sent"] == 0
    assert guest.lab.ask("a", "vm info g")["stop_reason"] == "stopped by the user"
    guest.verify_log()
    guest.start()
    guest.poll()
    guest.wait_text(r"^(?:guest: ready|READY)", 120, len(guest.text))


def test_too_little_memory_there(pair):
    g = Guest(pair, "big")
    g.create("a", mode="dirty", ws=16, rate=5, mem="512M")
    g.start()
    g.wait_ready()
    pair.run("b", "vm create hog --mem 640M --kernel /boot/vmlinuz --initrd /boot/initrd")
    pair.cmd("b", "vm start hog")
    got = pair.cmd("a", f"migrate big {pair.addr('b')} --wait", 120)
    if got.status:          # memory is reserved: refused by preflight
        assert "memory" in got.text, got.text
        assert g.state("a") == "running" and not g.exists("b")
    else:
        g.host = "b"
    g.wait_beats(3)
    g.verify()


def test_name_taken_there(guest):
    guest.lab.run("b", "vm create g --kernel /boot/vmlinuz")
    got = guest.lab.cmd("a", f"migrate g {guest.lab.addr('b')} --wait", 60)
    assert got.status == 1 and "error: " in got.text and "exists" in got.text
    guest.wait_beats(3)
    guest.verify()
    guest.lab.run("b", "vm delete g")
    guest.migrate("b")
    guest.wait_passes(1)
    guest.verify()


def test_two_guests_at_once(pair):
    guests = []
    for name, host in (("one", "a"), ("two", "b")):
        g = Guest(pair, name)
        g.create(host, mode="dirty", ws=16, rate=10)
        g.start()
        guests.append(g)
    for g in guests:
        g.wait_ready()
        g.wait_beats(5)
    jobs = [(g, g.migrate_start(OTHER[g.host])) for g in guests]
    for g, job in jobs:
        st = g.migrate_wait(job, timeout=180)
        assert st["phase"] == "done", st
        g.host = OTHER[g.host]
    for g in guests:
        g.wait_passes(1)
        g.verify()


@pytest.mark.parametrize("smp", [1, 4])
def test_other_cpu_counts(payload, smp):
    """One CPU: vCPU, network and migration share it; four: they are apart."""
    lab = Lab(f"msmp{smp}-{os.getpid()}")
    try:
        lab.up(["a", "b"], files=payload, smp=smp)
        g = Guest(lab, "g")
        g.create("a", mode="dirty", ws=32, rate=20)
        g.start()
        g.wait_ready()
        g.wait_beats(5)
        for _ in range(2):
            g.migrate(OTHER[g.host], timeout=240)
            g.wait_passes(1)
            g.verify()
    finally:
        lab.down()


def test_one_gib_guest(payload):
    lab = Lab(f"big-{os.getpid()}")
    try:
        lab.up(["a", "b"], files=payload, mem=1536)
        g = Guest(lab, "g")
        g.create("a", mode="dirty", ws=128, rate=20, mem="1G", check=8)
        g.start()
        g.wait_ready()
        g.wait_beats(5)
        g.migrate("b", timeout=240)
        g.wait_passes(1)
        g.verify()
        g.verify_log()
    finally:
        lab.down()
