# SPDX-License-Identifier: BSD-2-Clause
"""A TCP relay that spoils what it carries; run inside a lab's network.

    proxy.py LISTEN-ADDR TARGET-ADDR PORT [--cut N] [--flip OFFSET:BIT]... [--append HEX]
             [--record FILE] [--flip-back OFFSET:BIT]... [--garbage N:FILE]

Bytes from the connecting side are counted over one connection: after N both
sides are closed (--cut); bits are turned (--flip; --flip-back in what comes
back); the rest of the stream is replaced by HEX repeated for 4 MiB (--append,
with --cut); once FILE exists all bits of connection N are turned (--garbage; the
first one is 0).  Prints `ready`.
"""
import argparse
import itertools
import os
import socket
import sys
import threading


def turn(data, start, flips):
    for offset, bit in flips:
        if start <= offset < start + len(data):
            data[offset - start] ^= 1 << bit


def spoil(data, start, number, args):
    """(bytes to pass on, whether the stream ends here)"""
    data = bytearray(data)
    if args.garbage and number == int(args.garbage[0]) and os.path.exists(args.garbage[1]):
        data = bytearray(b ^ 0xff for b in data)
    turn(data, start, args.flip)
    if args.cut is not None and start + len(data) >= args.cut:
        return bytes(data[:max(0, args.cut - start)]), True
    return bytes(data), False


def forward(source, sink, number, args, record):
    """The spoiled direction."""
    count = 0
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            out, end = spoil(data, count, number, args)
            count += len(data)
            sink.sendall(out)
            if record:
                record.write(out)
                record.flush()
            if end:
                if args.append:
                    piece = bytes.fromhex(args.append)
                    sink.sendall(piece * ((4 << 20) // len(piece)))
                break
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def back(source, sink, flips):
    count = 0
    try:
        while True:
            data = bytearray(source.recv(65536))
            if not data:
                return
            turn(data, count, flips)
            count += len(data)
            sink.sendall(data)
    except OSError:
        pass
    finally:
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("listen")
    ap.add_argument("target")
    ap.add_argument("port", type=int)
    ap.add_argument("--cut", type=int)
    for name in ("--flip", "--flip-back"):
        ap.add_argument(name, type=lambda t: tuple(int(x) for x in t.split(":")),
                        action="append", default=[])
    ap.add_argument("--append")
    ap.add_argument("--record")
    ap.add_argument("--garbage", type=lambda t: t.split(":", 1))
    args = ap.parse_args()
    record = open(args.record, "wb") if args.record else None
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((args.listen, args.port))
    server.listen()
    print("ready", flush=True)
    for number in itertools.count():
        near, _ = server.accept()
        far = socket.create_connection((args.target, args.port), 10)
        far.settimeout(None)
        threading.Thread(target=forward, args=(near, far, number, args, record),
                         daemon=True).start()
        threading.Thread(target=back, args=(far, near, args.flip_back), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
