# SPDX-License-Identifier: BSD-2-Clause
"""A guest's serial ports over TCP, for several viewers at once."""
import contextlib
import re
import subprocess
import sys
import time

import pytest

from lablib import net
from lablib.guest import Guest
from lablib.paths import TOP

pytestmark = [pytest.mark.guests,
              pytest.mark.skipif(net.wrapper()[0] != "tap", reason="no taps: nobody to look")]

LINES = [str(i) for i in range(1, 401)]
MANY = 48000        # lines: 325 kB, of which 256 KiB are kept
LOST = re.compile(r"\r\n\[tern: (\d+) bytes lost\]\r\n")


def until(lab, condition, what, timeout=60):
    end = time.monotonic() + timeout * lab.patience
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Viewer:
    """What it has seen is in a file."""

    def __init__(self, lab, port, path, *options):
        self.path = path
        with open(path, "wb") as out:
            self.proc = subprocess.Popen(
                lab.exec_argv([sys.executable, f"{TOP}/test/lab/viewer.py", "10.77.0.1",
                               str(port), *options]),
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE, text=True)
        assert self.proc.stderr.readline() == "connected\n"

    def type(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def seen(self):
        with open(self.path, "rb") as f:
            return f.read().decode(errors="replace")

    def end(self):
        self.proc.kill()
        self.proc.wait()


@pytest.fixture
def look(pair, tmp_path):
    """look(PORT, options...) connects a viewer; all end with the test."""
    with contextlib.ExitStack() as stack:
        def one(port, *options):
            v = Viewer(pair, port, str(tmp_path / f"seen-{len(stack._exit_callbacks)}"), *options)
            stack.callback(v.end)
            return v
        yield one


def log_text(lab, host, port):
    return lab.ask(host, f"vm log s --port {port} --since 0")


def test_viewers_see_every_byte_and_harm_nobody(pair, look):
    g = Guest(pair, "s")
    g.create("a", mode="shell", mem="128M")
    g.start()
    g.wait_text(r"guest# ", 180)
    assert pair.ask("a", "vm serial s --listen 2301")["viewers"] == 0
    pair.run("a", "vm serial s --port 2 --listen 2302 --read-only")
    for line, code in (("vm serial s --listen 2303", "exists"), ("vm serial s --port 1",
                       "not-found"), ("vm serial s --port 1 --listen 2301", "busy"),
                       ("vm serial s --listen 0", "invalid"),
                       ("vm serial s --listen 2303 --off", "usage")):
        assert pair.cmd("a", line).text.startswith(f"error: {code} "), line
    one, two, stuck = look(2301), look(2301), look(2302, "--stuck")
    # The guest writes far more to the other port than its viewer takes, and is done with it.
    one.type(f"seq 1 {MANY} > /dev/hvc0; echo wrote-$((1+1))")
    g.wait_text(r"^wrote-2", 120)
    two.type(f"seq 1 {len(LINES)}; echo done-$((1+1))")
    until(pair, lambda: all("done-2\r\n" in v.seen() for v in (one, two)), "no end of the lines")
    assert pair.ask("a", "vm serial s")["viewers"] == 2
    kept = log_text(pair, "a", 0)["text"]
    for v in (one, two):
        # From the first line that the guest wrote, and as vm log and vm console have it.
        assert kept.startswith(v.seen()) and len(v.seen()) > kept.index("done-2\r\n")
        assert "\r\n".join(LINES) in v.seen()
    # The stuck one goes on: what it missed is told, once, and all else is there.
    stuck.type("")
    until(pair, lambda: f"\n{MANY}\r\n" in stuck.seen(), "the stuck viewer does not go on")
    text, end = stuck.seen(), log_text(pair, "a", 2)["offset"]
    lost = [int(n) for n in LOST.findall(text)]
    assert len(lost) == 1 and sum(lost) + len(LOST.sub("", text)) == end
    head, _, tail = LOST.split(text)
    whole = "".join(f"{i}\r\n" for i in range(1, MANY + 1))
    assert whole.startswith(head) and whole.endswith(tail)
    # A viewer who only reads has not typed; one who leaves makes room.
    one.end()
    until(pair, lambda: pair.ask("a", "vm serial s")["viewers"] == 1, "a viewer stays")
    pair.run("a", "vm suspend s")
    pair.run("a", "vm restore s")
    two.type("echo again-$((1+1))")
    until(pair, lambda: "again-2\r\n" in two.seen(), "no viewer after a restore")
    g.migrate("b")
    assert two.proc.wait(30) == 0
    until(pair, lambda: pair.cmd("a", "vm serial s").text.startswith("error: not-found"),
          "it is still shown")
    pair.run("b", "vm serial s --listen 2301")
    pair.run("b", "vm serial s --off")
    assert pair.cmd("b", "vm serial s --off").status == 1
