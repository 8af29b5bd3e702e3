# SPDX-License-Identifier: BSD-2-Clause
"""Devices of a guest that the host uses to deal with it, as a stock kernel drives them:
balloon and free pages, panic, watchdog, power button, serial ports with several viewers."""
import time

import pytest

from lablib.guest import Guest
from test_devices import say

pytestmark = pytest.mark.guests

MIB = 1 << 20


def shell_guest(lab, name="dv", **options):
    g = Guest(lab, name)
    g.create("a", mode="shell", more=1, **options)
    g.start()
    g.wait_text(r"guest# ", 180)
    return g


def balloon(g, size=""):
    return g.lab.ask(g.host, f"vm balloon {g.name} {size}")


def wait_balloon(g, condition, what, timeout=60):
    end = time.monotonic() + timeout * g.lab.patience
    while not condition(balloon(g)):
        assert time.monotonic() < end, f"no {what}: {balloon(g)}"
        time.sleep(0.3)


def fill(g, mib):
    """Memory that was used once: contents are not zero, and nobody needs them."""
    assert f"filled {mib} MiB" in say(g, f"/init fill {mib}")


def test_memory_given_back(pair):
    """Free memory goes back by itself; what the balloon takes is lent, comes along, and can be
    had again; what was used once and is free is not sent."""
    g = shell_guest(pair, extra="init_on_alloc=0")
    fill(g, 140)
    wait_balloon(g, lambda b: b["backed_bytes"] < 128 * MIB, "report of free pages")
    before = balloon(g)
    assert before["pages_reported"] > 100 * 256 and before["lent_bytes"] == 0, before
    assert 128 * MIB < before["stats"]["total_bytes"] < 256 * MIB
    balloon(g, "128M")
    wait_balloon(g, lambda b: b["actual_bytes"] == 128 * MIB, "inflation")
    after = balloon(g)
    assert after["lent_bytes"] > 0.9 * 128 * MIB, after
    assert after["stats"]["free_bytes"] < before["stats"]["free_bytes"] - 100 * MIB
    g.migrate("b")
    moved = balloon(g)
    assert moved["actual_bytes"] == 128 * MIB and moved["lent_bytes"] > 0.9 * 128 * MIB, moved
    got = pair.cmd("b", f"vm balloon {g.name} 1G")
    assert got.status == 1 and got.text.startswith("error: invalid")
    balloon(g, "256M")
    wait_balloon(g, lambda b: b["actual_bytes"] == 256 * MIB, "deflation")
    assert balloon(g)["lent_bytes"] == 0
    fill(g, 140)
    backed = g.info()["backed_pages"]
    st = g.migrate("a")
    assert st["pages_hinted"] > 60 * 256, st
    assert st["bytes_sent"] < backed * 4096 * 0.7, (st, backed)
    fill(g, 140)                # and it has all of its memory again
    g.verify()
    g.remove()


def test_hints_of_a_busy_guest(pair):
    """One that uses pages again while it names them free loses nothing, also not by a cancel."""
    g = Guest(pair, "dv")
    g.create("a", mode="dirty", more=1, churn=40, ws=16, rate=10, extra="init_on_alloc=0")
    g.start()
    g.wait_text(r"^churn \d+", 120)
    job = g.migrate_start("b", "--hold", "stun")
    g.migrate_wait(job, until=("stun",))
    g.lab.run("a", f"migrate cancel {job}")
    assert g.migrate_wait(job)["phase"] == "canceled"
    hinted = []
    for to in "baba":   # on a busy machine it may name none in the time that it is given
        hinted.append(g.migrate(to)["pages_hinted"])
        if hinted[-1]:
            break
    assert hinted[-1] > 0, hinted
    g.wait_text(r"^churn \d+", 90, start=len(g.text))
    g.wait_passes(1)
    g.verify()
    g.remove()


def boots(g, count):
    g.wait(lambda: g.text.count("guest: ready") >= count, 120, f"boot {count}")
    g.wait(lambda: g.text.rfind("guest# ") > g.text.rfind("guest: ready"), 60, "prompt")


def troubles(g):
    return {k: v["count"] for k, v in g.info()["troubles"].items()}


def test_trouble_and_policies(pair):
    """A watchdog that is fed survives a move, one that is not fires once; a triple fault
    resets; a panic powers off; the power button shuts down. All as the VM was made to."""
    g = shell_guest(pair, extra="reboot=t",
                    options="--on-panic stop --on-crash reset")
    say(g, "/init watchdog 5 & sleep 1")
    g.migrate("b")
    say(g, "sleep 6")
    assert troubles(g) == {"panic": 0, "crash": 0, "watchdog": 0}
    g.lab.run("b", f"vm type {g.name} kill -9 $!")
    boots(g, 2)
    assert troubles(g) == {"panic": 0, "crash": 0, "watchdog": 1}
    g.lab.run("b", f"vm type {g.name} reboot -f")       # by a triple fault
    boots(g, 3)
    assert troubles(g)["crash"] == 1
    g.lab.run("b", f"vm stop {g.name} --timeout 60")
    assert g.state() == "off"
    g.poll()
    assert "guest: power button" in g.text
    g.start()
    boots(g, 4)
    g.lab.run("b", f"vm type {g.name} echo c > /proc/sysrq-trigger")
    g.wait(lambda: g.state() == "off", 60, "end by panic")
    assert troubles(g)["panic"] == 1 and "panicked" in g.info()["stop_reason"]
    got = pair.cmd("b", f"vm stop {g.name} --timeout 5")
    assert got.status == 1 and got.text.startswith("error: not-running")
    g.remove()
