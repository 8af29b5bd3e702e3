#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Someone who looks at a guest's serial port over TCP.

    viewer.py ADDR PORT [--stuck]

Says `connected` to standard error, copies what comes to standard output until the other side
ends, and types what comes on standard input. --stuck: reads nothing before a line has come.
"""
import os
import socket
import sys
import threading

RECEIVE_BYTES = 4096


def type_lines(s):
    for line in sys.stdin.buffer:
        s.sendall(line.replace(b"\n", b"\r"))


def main():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    s.settimeout(60)
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.settimeout(None)
    print("connected", file=sys.stderr, flush=True)
    if sys.argv[3:] == ["--stuck"]:
        sys.stdin.readline()
    else:
        threading.Thread(target=type_lines, args=(s,), daemon=True).start()
    try:
        while got := s.recv(65536):
            sys.stdout.buffer.write(got)
            sys.stdout.buffer.flush()
    except ConnectionError:
        pass
    os._exit(0)     # the thread that reads standard input does not end by itself


if __name__ == "__main__":
    main()
