#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TCP client that checks what an echo service gives back.

    echoclient.py ADDR PORT --bytes N     sends N random bytes, wants the same back
    echoclient.py ADDR PORT --until-stop  says `connected`, then goes to and fro with small
                                          messages until a line comes on standard input
Prints `ok ...` and exits with 0, or says what was wrong.
"""
import argparse
import os
import select
import socket
import sys
import threading

SILENCE_S = 120


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


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("addr")
    ap.add_argument("port", type=int)
    ap.add_argument("--bytes", type=int)
    ap.add_argument("--until-stop", action="store_true")
    args = ap.parse_args()
    with socket.create_connection((args.addr, args.port), timeout=SILENCE_S) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("ok", until_stop(s) if args.until_stop else all_at_once(s, args.bytes))


main()
