#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A web server in the lab's network: gives a file, or answers in ways that servers should not.

  webserver.py ADDRESS PORT FILE

/image is FILE; what other paths do is in ANSWERS. Each request is told on standard output, as
"GET /image".
"""
import socket
import sys
import threading
import time

MIB = 1 << 20


def head(length, status="200 OK", *fields):
    lines = [f"HTTP/1.1 {status}", *fields]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def image(s, data):
    s.sendall(head(len(data)))
    s.sendall(data)


def short(s, data):
    s.sendall(head(3 * MIB) + data[:2 * MIB])


def long(s, data):
    s.sendall(head(MIB) + data[:MIB] + b"and more")


def trickle(s, data):
    """Never ends within a test."""
    s.sendall(head(len(data)))
    for at in range(0, len(data), 1000):
        s.sendall(data[at:at + 1000])
        time.sleep(0.05)


def in_pieces(s, data):
    """The head in pieces, the first bytes of the body with its last."""
    whole = head(2 * MIB + 5) + data[:2 * MIB + 5]
    for at in (0, 7, 20):
        s.sendall(whole[at:{0: 7, 7: 20}.get(at)])
        time.sleep(0.05)


ANSWERS = {
    "/image": image,
    "/short": short,
    "/long": long,
    "/trickle": trickle,
    "/pieces": in_pieces,
    "/moved": lambda s, data: s.sendall(head(0, "302 Found", "Location: http://else/where")),
    "/denied": lambda s, data: s.sendall(head(0, "403 Forbidden")),
    "/endless": lambda s, data: s.sendall(head(None) + data[:MIB]),
    "/huge": lambda s, data: s.sendall(head(1 << 50)),
    "/empty": lambda s, data: s.sendall(head(0)),
    "/noise": lambda s, data: s.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "/nothing": lambda s, data: None,
    "/qcow2": lambda s, data: s.sendall(head(MIB) + b"QFI\xfb" + data[4:MIB]),
}


def none(s, _data):
    s.sendall(head(9, "404 Not Found") + b"not here\n")


def serve(s, data):
    with s:
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                more = s.recv(4096)
                if not more:
                    return
                request += more
            path = request.split()[1].decode()
            print(f"GET {path}", flush=True)
            ANSWERS.get(path, none)(s, data)
        except OSError:
            print("gone", flush=True)


def main():
    address, port, path = sys.argv[1:]
    with open(path, "rb") as f:
        data = f.read()
    with socket.create_server((address, int(port))) as server:
        print("serving", flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], data), daemon=True).start()


if __name__ == "__main__":
    main()
