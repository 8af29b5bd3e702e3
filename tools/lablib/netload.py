#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a third machine sees of a guest's network; needs the guest's services (test/guest/net.c).

    netload.py ADDR to SECONDS       TCP to the guest, as fast as it reads
    netload.py ADDR from SECONDS     TCP from the guest, as fast as it sends
    netload.py ADDR rr SECONDS       one byte there and back by TCP, again and again
    netload.py ADDR probe            a datagram there and back every 5 ms, until a line comes
                                     on standard input; it says `probing` after the first answer

Prints one JSON object.  `lab client NAME -- tools/lablib/netload.py ...`
"""
import argparse
import json
import select
import socket
import statistics
import sys
import time

ECHO, DISCARD, CHARGEN = 7, 9, 19
CHUNK = 1 << 18
PROBE_S = 0.005
SILENCE_S = 60


def connect(addr, port):
    s = socket.create_connection((addr, port), timeout=SILENCE_S)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def rate(count, start):
    seconds = time.monotonic() - start
    return {"bytes": count, "seconds": seconds, "mb_s": count / 1e6 / seconds}


def send_to(addr, seconds):
    """Until the guest has read the last byte: it closes then."""
    chunk, count = bytes(CHUNK), 0
    with connect(addr, DISCARD) as s:
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            s.sendall(chunk)
            count += len(chunk)
        s.shutdown(socket.SHUT_WR)
        if s.recv(1):
            sys.exit("netload: the discard service answered")
        return rate(count, start)


def read_from(addr, seconds):
    room, count = bytearray(CHUNK), 0
    with connect(addr, CHARGEN) as s:
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            got = s.recv_into(room)
            if not got:
                sys.exit("netload: the chargen service closed")
            count += got
        return rate(count, start)


def round_trips(addr, seconds):
    took = []
    with connect(addr, ECHO) as s:
        start = at = time.monotonic()
        while at - start < seconds:
            s.sendall(b"r")
            if s.recv(1) != b"r":
                sys.exit("netload: the echo service gave something else back")
            took.append(time.monotonic() - at)
            at += took[-1]
    took.sort()
    return {"count": len(took), "per_s": len(took) / (at - start),
            "median_us": statistics.median(took) * 1e6, "p99_us": took[len(took) * 99 // 100] * 1e6}


class Probe:
    """Datagrams with numbers; when each answer came."""

    def __init__(self, addr):
        self.s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET,
                               socket.SOCK_DGRAM)
        self.s.connect((addr, ECHO))
        self.sent, self.seen, self.came = 0, set(), []

    def send(self):
        try:
            self.s.send(self.sent.to_bytes(8, "little"))
        except OSError:
            pass                # nobody there now: a hole like any other
        self.sent += 1

    def take(self):
        try:
            answer = self.s.recv(64)
        except OSError:
            return
        number = int.from_bytes(answer, "little")
        if number >= self.sent:
            sys.exit(f"netload: an answer that was not asked for: {number}")
        self.came.append(time.monotonic())
        self.seen.add(number)

    def run(self):
        due, inputs = time.monotonic(), [self.s, sys.stdin]
        while True:
            ready, _, _ = select.select(inputs, [], [], max(0, due - time.monotonic()))
            if sys.stdin in ready:
                return
            if self.s in ready:
                self.take()
                if len(self.came) == 1:
                    print("probing", flush=True)
            if time.monotonic() >= due:
                self.send()
                due = max(due + PROBE_S, time.monotonic())

    def result(self):
        holes = [b - a for a, b in zip(self.came, self.came[1:])]
        return {"sent": self.sent, "answers": len(self.came), "twice": len(self.came)
                - len(self.seen), "hole_ms": 1e3 * max(holes, default=0),
                "usual_ms": 1e3 * statistics.median(holes or [0])}


def probe(addr):
    p = Probe(addr)
    p.run()
    return p.result()


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("addr")
    ap.add_argument("what", choices=["to", "from", "rr", "probe"])
    ap.add_argument("seconds", type=float, nargs="?", default=5)
    a = ap.parse_args()
    if a.what == "probe":
        got = probe(a.addr)
    else:
        got = {"to": send_to, "from": read_from, "rr": round_trips}[a.what](a.addr, a.seconds)
    print(json.dumps(got), flush=True)


if __name__ == "__main__":
    main()
