# SPDX-License-Identifier: BSD-2-Clause
"""Files that come to a datastore over the network, and what is left of those that do not."""
import json
import os
import re
import socket
import subprocess
import sys
import time
import zlib

import pytest

from lablib import net
from lablib.client import Lab
from lablib.paths import BUILD

pytestmark = [pytest.mark.storage,
              pytest.mark.skipif(net.wrapper()[0] != "tap", reason="no taps: no server to ask")]

HERE = os.path.dirname(os.path.abspath(__file__))
TERNDISK = f"{BUILD}/terndisk"
MIB = 1 << 20
WEB = "10.77.0.254"
URL = f"http://{WEB}:8080"
# Holes, data, a piece of an extent at the end.
IMAGE = bytes(MIB) + os.urandom(5 * MIB) + bytes(9 * MIB) + os.urandom(MIB) + b"end"


class WebServer:
    """test/lab/webserver.py in the lab's network, and what it says."""

    def __init__(self, lab, path):
        self.proc = subprocess.Popen(
            lab.exec_argv([sys.executable, f"{HERE}/webserver.py", WEB, "8080", str(path)]),
            stdout=subprocess.PIPE, text=True)
        self.expect("serving")

    def expect(self, line):
        assert self.proc.stdout.readline().strip() == line

    def end(self):
        self.proc.kill()
        self.proc.wait()


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    image = tmp_path_factory.mktemp("ds") / "ds.img"
    subprocess.run([TERNDISK, "mkfs", image, "--size", "64M", "--name", "ds1",
                    "--io-timeout", "500"], check=True)
    return image


@pytest.fixture(scope="module")
def lab(disk, tmp_path_factory):
    lab = Lab(f"import-{os.getpid()}")
    lab.remove()
    lab.up(["a"], disks=[str(disk)])
    end = time.monotonic() + 60
    while not lab.ask("a", "datastore list"):
        assert time.monotonic() < end
        time.sleep(0.2)
    path = tmp_path_factory.mktemp("web") / "image"
    path.write_bytes(IMAGE)
    lab.web = WebServer(lab, path)
    yield lab
    lab.web.end()
    lab.down()


def files(lab):
    return {f["name"]: f for f in lab.ask("a", "datastore ls /ds/ds1/")}


def sum_of(lab, name):
    return lab.ask("a", f"disk sum /ds/ds1/{name}")["crc32"]


def test_fetched(lab):
    """By HTTP, byte for byte, zeros as holes; progress goes one way."""
    said = str(lab.cmd("a", f"datastore import {URL}/image /ds/ds1/vm/root.disk"))
    percents = [int(n) for n in re.findall(r"(\d+) %", said)]
    assert percents == sorted(percents) and percents[-1] == 100, said
    entry = files(lab)["vm/root.disk"]
    assert entry["size"] == len(IMAGE) and not entry["unfinished"]
    assert entry["kind"] == "thin" and entry["lease"] == "free"
    assert 7 * MIB <= entry["backed_bytes"] <= 11 * MIB
    lab.run("a", f"datastore import {URL}/pieces /ds/ds1/flat --kind flat")
    assert files(lab)["flat"]["backed_bytes"] == 3 * MIB
    assert sum_of(lab, "flat") == zlib.crc32(IMAGE[:2 * MIB + 5] + bytes(507))
    assert sum_of(lab, "vm/root.disk") == zlib.crc32(IMAGE + bytes(509))


@pytest.mark.parametrize("path, code, text", [
    ("/none", "not-found", "404 Not Found"),
    ("/denied", "refused", "403 Forbidden"),
    ("/moved", "refused", "http://else/where"),
    ("/endless", "unsupported", "how long"),
    ("/empty", "invalid", "empty"),
    ("/noise", "bad-stream", "HTTP"),
    ("/nothing", "link", "closed"),
    ("/short", "link", "2097152 of 3145728"),
    ("/long", "bad-stream", "more than it said"),
    ("/qcow2", "unsupported", "qcow2"),
    ("/huge --kind flat", "no-space", "full"),
])
def test_nothing_is_left_of_what_fails(lab, path, code, text):
    path, _, options = path.partition(" ")
    before = files(lab), lab.ask("a", "datastore list")[0]["free_bytes"]
    got = lab.cmd("a", f"datastore import {URL}{path} /ds/ds1/bad {options}")
    assert got.status == 1 and f"error: {code} " in got.text and text in got.text, got
    assert (files(lab), lab.ask("a", "datastore list")[0]["free_bytes"]) == before


@pytest.mark.parametrize("words, code", [
    (f"{URL}/image /ds/none/x", "not-found"),
    (f"{URL}/image /tmp/x", "invalid"),
    (f"{URL}/image /ds/ds1/../x", "invalid"),
    (f"{URL}/image /ds/ds1/vm/root.disk", "exists"),
    (f"{URL}/image /ds/ds1/x --kind round", "invalid"),
    (f"https://{WEB}/image /ds/ds1/x", "unsupported"),
    ("ftp /ds/ds1/x", "invalid"),
    ("http://nobody/ /ds/ds1/x", "invalid"),
    (f"http://{WEB}:9/ /ds/ds1/x", "refused"),
    (f"{URL}/image", "usage"),
])
def test_what_import_refuses(lab, words, code):
    got = lab.cmd("a", f"datastore import {words}")
    assert got.status == 1 and f"error: {code} " in got.text, got


def test_interrupted(lab):
    """Ctrl-C on the console, while bytes come; nothing is left."""
    before = set(files(lab))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(lab.sock)
        s.sendall(json.dumps({"op": "console", "host": "a"}).encode() + b"\n")
        s.recv(100)
        s.sendall(f"datastore import {URL}/trickle /ds/ds1/slow\r".encode())
        got = b""
        while b" MB/s" not in got:
            got += s.recv(65536)
        assert files(lab)["slow"]["unfinished"]
        s.sendall(b"\x03")
        while b"tern:a> " not in got.partition(b"error: interrupted")[2]:
            got += s.recv(65536)
    assert set(files(lab)) == before


def push(lab, *args):
    return subprocess.run(lab.exec_argv([TERNDISK, "push", *map(str, args)]),
                          capture_output=True, text=True, timeout=60 * lab.patience)


@pytest.fixture
def listening(lab):
    assert lab.ask("a", "datastore listen on")["on"]
    yield lab
    assert not lab.ask("a", "datastore listen off")["on"]


def test_nobody_pushes_unasked(lab, tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    assert not lab.ask("a", "datastore listen")["on"]
    got = push(lab, "10.77.0.1", tmp_path / "x", "/ds/ds1/x")
    assert got.returncode == 1 and "datastore listen on" in got.stderr


def test_pushed(listening, tmp_path):
    """A qcow2 image from Linux, byte for byte, holes as holes."""
    raw, qcow2 = tmp_path / "raw", tmp_path / "qcow2"
    raw.write_bytes(IMAGE)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2], check=True)
    whole = IMAGE + bytes(-len(IMAGE) % 512)
    got = push(listening, "10.77.0.1", qcow2, "/ds/ds1/pushed")
    assert got.returncode == 0, got.stderr
    entry = files(listening)["pushed"]
    assert entry["size"] == len(whole) and entry["lease"] == "free" and not entry["unfinished"]
    assert entry["backed_bytes"] <= 11 * MIB
    assert sum_of(listening, "pushed") == zlib.crc32(whole)
    assert listening.ask("a", "datastore listen")["files"] == 1


@pytest.mark.parametrize("path, options, text", [
    ("/ds/ds1/pushed", [], "exists"),
    ("/ds/none/x", [], "not-found"),
    ("/ds/ds1/../x", [], "invalid"),
    ("/ds/ds1/huge", ["--kind", "flat"], "no-space"),
    ("/tmp/x", [], "no path"),
])
def test_what_a_push_is_refused(listening, tmp_path, path, options, text):
    before = files(listening), listening.ask("a", "datastore list")[0]["free_bytes"]
    (tmp_path / "x").write_bytes(b"x" * MIB)
    os.truncate(tmp_path / "x", 128 * MIB)
    got = push(listening, "10.77.0.1", tmp_path / "x", path, *options)
    assert got.returncode == 1 and text in got.stderr, got.stderr
    assert (files(listening), listening.ask("a", "datastore list")[0]["free_bytes"]) == before


def test_full_in_the_middle(listening, tmp_path):
    """The host's word reaches a pusher that is still sending."""
    before = set(files(listening))
    (tmp_path / "x").write_bytes(os.urandom(64 * MIB))
    got = push(listening, "10.77.0.1", tmp_path / "x", "/ds/ds1/big")
    assert got.returncode == 1 and "no-space" in got.stderr, got.stderr
    assert set(files(listening)) == before


HOSTILE = """
import socket, sys
for word in sys.argv[1:]:
    with socket.create_connection(("10.77.0.1", 8904)) as s:
        s.sendall(bytes.fromhex(word))
        s.shutdown(socket.SHUT_WR)
        print(s.recv(4096).hex())
"""


def test_a_hostile_pusher(listening):
    """Noise, half a head, a message of the host's: refused, and others are served."""
    words = ["00" * 64, "54524e50", "54524e50" + "0200" + "00" * 10, "54524e5001000000ffffffff"]
    got = subprocess.run(listening.exec_argv([sys.executable, "-c", HOSTILE, *words]),
                         capture_output=True, text=True, timeout=120, check=True)
    told = got.stdout.splitlines()
    assert b"bad-stream".hex() in told[0] and b"bad-stream".hex() in told[2], told
    assert listening.ask("a", "datastore listen")["on"]
