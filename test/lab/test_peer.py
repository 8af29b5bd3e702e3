# SPDX-License-Identifier: BSD-2-Clause
"""A peer that speaks the protocol, and means no good or asks late.

peer.py plays it, inside the lab's network, with the offer of a real migration that
proxy.py has recorded.
"""
import os
import subprocess
import sys

import pytest

from lablib.guest import Guest
from test_stream import HERE, LAB_SIDE, PORT, Proxy

pytestmark = pytest.mark.fault


@pytest.fixture
def mover(pair):
    """A guest on a, b without any VM."""
    if pair.status()["net"] != "tap":
        pytest.skip("this needs taps (root): the lab's network cannot be entered")
    g = Guest(pair, "g")
    g.create("a", mode="dirty", ws=16, rate=5)
    g.start()
    g.wait_ready()
    return g


class Peer:
    def __init__(self, g, record):
        self.argv = g.lab.exec_argv([sys.executable, f"{HERE}/peer.py", g.lab.addr("b"), str(PORT),
                                     record])

    def start(self, *words):
        return subprocess.Popen(self.argv + list(words), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    def says(self, *words):
        done = subprocess.run(self.argv + list(words), capture_output=True, text=True, timeout=120,
                              check=True, stdin=subprocess.DEVNULL)
        return done.stdout.strip()


def recorded(g, tmp_path, *options):
    """Migrates to b, through the proxy that records it: a peer with its offer, the job."""
    record = os.fspath(tmp_path / "stream")
    with Proxy(g.lab, "--record", record):
        job = g.lab.ask("a", " ".join(["migrate", "g", LAB_SIDE, *options]))["id"]
        st = g.migrate_wait(job, timeout=120)
    assert st["phase"] == "done", st
    return Peer(g, record)


def test_settle_after_many_others(mover, tmp_path):
    """Seventy other migrations later the host still knows that it took this VM over."""
    peer = recorded(mover, tmp_path)
    mover.host = "b"
    assert peer.says("settle", "GO") == "running"
    mover.migrate("a")
    assert peer.says("offers", "70") == "accepted 70"
    assert peer.says("settle", "GO") == "running"
    assert "unknown" not in peer.says("settle", "ABORTED")


@pytest.mark.parametrize("sign", ["alive", "clock"])
def test_idle_peers_give_way(mover, tmp_path, sign):
    """As many accepted offers as a host serves, which do no more than say that they are
    alive, or ask for the time, do not keep a real migration out."""
    peer = recorded(mover, tmp_path, "--dry-run")
    idle = peer.start("idle", "16", sign)
    try:
        assert idle.stdout.readline() == "ready 16\n"

        def moved():
            job = mover.migrate_start("b")
            return mover.migrate_wait(job)["phase"] == "done"

        mover.wait(moved, 60, "migration past the idle ones")
        mover.host = "b"
        mover.wait_beats(3)
        said = idle.communicate(timeout=60)[0].split()
    finally:
        idle.kill()
    assert said[0] == "ended" and set(said[1:]) == {"idle"}, said
    mover.verify()


def test_offer_does_not_harm_a_complete_copy(mover, tmp_path):
    """Who knows a VM's name and UUID, and offers it, is refused: the copy that has said READY
    stays and is taken over."""
    peer = recorded(mover, tmp_path, "--dry-run")
    job = mover.migrate_start("b", "--hold", "go")
    mover.migrate_wait(job, until=("go",), timeout=60)
    assert peer.says("offer").startswith("exists: ")
    assert mover.exists("b")
    mover.lab.run("a", f"migrate continue {job}")
    assert mover.migrate_wait(job)["phase"] == "done"
    mover.host = "b"
    mover.wait_beats(3)
    mover.verify()
