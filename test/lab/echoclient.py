#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TCP client that checks what an echo service gives back.

    echoclient.py ADDR PORT --bytes N     sends N random bytes, wants the same back
    echoclient.py ADDR PORT --until-stop  says `connected`, then goes to and fro with small
                                          messages until a line comes on standard input
    echoclient.py ADDR PORT --stream      the same with random bytes, as many as go through
Prints `ok ...` and exits with 0, or says what was wrong.
"""
import argparse
import os
import select
import socket
import sys
import threading

SILENCE_S = 120
BLOCK, WINDOW = 4096, 1 << 18


def all_at_once(s, count):
    data = os.urandom(count)
    threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
    at = 0
    while at < count:
        got = s.recv(65536)
        if not got or data[at:at + len(got)] != got:
            sys.exit(f"echo: {'wrong bytes' if got else 'closed'} after {at}")
        at += len(got)
    return at


def until_stop(s):
    print("connected", flush=True)
    count = 0
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        message = f"{count:08d}".encode()
        s.sendall(message)
        got = b""
        while len(got) < len(message):
            part = s.recv(64)
            if not part:
                sys.exit(f"echo: closed after {count} messages")
            got += part
        if got != message:
            sys.exit(f"echo: {got} came back for {message}")
        count += 1
    return count


def check(sent, got, at):
    """Takes off SENT what came back."""
    if not got or sent[:len(got)] != got:
        sys.exit(f"echo: {'wrong bytes' if got else 'closed'} after {at}")
    del sent[:len(got)]
    return at + len(got)


def stream(s):
    print("connected", flush=True)
    sent, at, stopping = bytearray(), 0, False
    while sent or not stopping:
        wants = [s] if stopping else [s, sys.stdin]
        room = not stopping and len(sent) <= WINDOW
        ready, free, _ = select.select(wants, [s] if room else [], [], SILENCE_S)
        if free:
            block = os.urandom(BLOCK)
            sent += block[:s.send(block)]
        if s in ready:
            at = check(sent, s.recv(65536), at)
        if not ready and not free:
            sys.exit(f"echo: silence after {at}")
        stopping = stopping or sys.stdin in ready
    return at


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("addr")
    ap.add_argument("port", type=int)
    ap.add_argument("--bytes", type=int)
    ap.add_argument("--until-stop", action="store_true")
    ap.add_argument("--stream", action="store_true")
    args = ap.parse_args()
    with socket.create_connection((args.addr, args.port), timeout=SILENCE_S) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if args.bytes:
            print("ok", all_at_once(s, args.bytes))
        else:
            print("ok", stream(s) if args.stream else until_stop(s))


main()
