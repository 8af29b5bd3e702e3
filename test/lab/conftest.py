# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the lab tests: Tern hosts in emulators, shared where that is safe.

    python3 -m pytest test/lab                all of them
    python3 -m pytest test/lab -m migrate     one suite: lab, svm, migrate, fault

`pair` is a lab of two hosts, a and b, for a whole session, with a third machine where there
are taps; a test that kills or confuses one gets it back whole: the fixture starts dead hosts
again, clears the links and removes every VM before each test.
"""
import os
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{TOP}/tools")
sys.dont_write_bytecode = True

from lablib import moves, net  # noqa: E402
from lablib.client import Lab  # noqa: E402
from lablib.guest import Guest  # noqa: E402
from lablib.paths import GUEST, LabError  # noqa: E402

SUITES = {"lab": "tools/lab by itself, with toy hosts",
          "svm": "guests on one host", "vmx": "the same with VT-x, in Bochs",
          "migrate": "guests on the move",
          "fault": "what goes wrong while they are", "storage": "a host's disks",
          "net": "the hosts' own network", "guests": "guests as people run them",
          "svmotion": "guests whose disks move",
          "xvmotion": "guests that move with their disks"}


def pytest_configure(config):
    for name, what in SUITES.items():
        config.addinivalue_line("markers", f"{name}: {what}")


@pytest.fixture(scope="session")
def payload():
    subprocess.run(["make", "-s", "-C", TOP, "guest"], check=True)
    return GUEST


def revive(lab, hosts, payload):
    """Every host alive, every link whole."""
    alive = {h["name"] for h in lab.status()["hosts"] if h["alive"]}
    dead = [h for h in hosts if h not in alive]
    if dead:
        lab.up(dead, files=payload)
    for host in hosts:
        lab.link(host, "clear")


def clear(lab, hosts, payload):
    """As revive, and no VM left; a host that keeps one, or hangs, is started again."""
    revive(lab, hosts, payload)
    for host in hosts:
        try:
            for vm in lab.ask(host, "vm list"):
                lab.cmd(host, f"vm stop {vm['name']}")
                lab.run(host, f"vm delete {vm['name']}")
        except LabError:
            lab.kill(host)
            revive(lab, [host], payload)


def third():
    """What a lab takes as its clients: a machine beside the hosts, where there are taps."""
    return ["third"] if net.wrapper()[0] == "tap" else []


@pytest.fixture(scope="session")
def _pair_lab(payload):
    lab = Lab(f"test-{os.getpid()}")
    lab.remove()
    lab.up(["a", "b"], files=payload, clients=third())
    yield lab
    lab.down()


@pytest.fixture
def pair(_pair_lab, payload):
    """Hosts a and b, clean."""
    clear(_pair_lab, ["a", "b"], payload)
    return _pair_lab


@pytest.fixture
def guest(pair):
    """A guest on a that writes 20 MiB/s over 32 MiB and checks it, running."""
    g = Guest(pair, "g")
    g.create("a", mode="dirty", ws=32, rate=20)
    g.start()
    g.wait_ready()
    g.wait_beats(5)
    return g


Lab.before_end = moves.settle       # as long as hosts live all that they did is told


@pytest.fixture(autouse=True)
def _moves():
    """After each test: the models of the commit must allow what hosts did in migrations."""
    yield
    for lab in Lab.made:
        moves.settle(lab)


def pytest_terminal_summary(terminalreporter):
    done, steps = moves.held(Lab.made)
    terminalreporter.write_line(f"{done} migrations, {steps} steps of theirs, are as the models of "
                                "the commit allow")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what the hosts said last."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for value in item.funcargs.values():
        if isinstance(value, Lab):
            for host in ("a", "b"):
                try:
                    report.sections.append((f"host {host}", value.log(host)[-4000:]))
                except LabError:
                    pass
