# SPDX-License-Identifier: BSD-2-Clause
"""Plays a migration's source, from a real one's recorded stream; run inside a lab's network.

    peer.py HOST PORT RECORD VERB [ARG]

    offers N      N offers with new ids, one after the other; each accepted one is aborted
    offer         one offer with a new id
    idle N SIGN   N accepted offers that say SIGN (alive, clock), nothing else, until standard
                  input ends
    settle GO|ABORTED     how did the recorded migration end?

RECORD is what proxy.py --record wrote.  Prints what the host answered.
"""
import os
import select
import socket
import struct
import sys

HEAD = struct.Struct("<IHHII")
MAGIC = 0x4d4e5254
HELLO, OFFER, ACCEPT, REFUSE, ABORT, ALIVE, SETTLE, VERDICT = 1, 2, 3, 4, 17, 18, 19, 20
SIGNS = {"alive": (ALIVE, b""), "clock": (5, bytes(16))}
OUTCOMES = {"ABORTED": 1, "GO": 2}
VERDICTS = {1: "running", 2: "discarded", 3: "unknown"}


def recorded(path):
    """Bodies of the first HELLO and OFFER."""
    bodies = {}
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while OFFER not in bodies:
        _, kind, _, length, payload = HEAD.unpack_from(data, at)
        bodies.setdefault(kind, data[at + HEAD.size:at + HEAD.size + length])
        at += HEAD.size + length + payload
    return bodies[HELLO], bodies[OFFER]


class Source:
    def __init__(self, address, hello, ident=None):
        self.sock = socket.create_connection(address, 10)
        self.sock.settimeout(30)
        self.send(HELLO, hello[:8] + (ident or os.urandom(16)) + hello[24:])

    def send(self, kind, body=b""):
        self.sock.sendall(HEAD.pack(MAGIC, kind, 0, len(body), 0) + body)

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise ConnectionError("the host ended the stream")
            data += piece
        return data

    def receive(self, *but):
        """The next message that is not one of BUT."""
        while True:
            _, kind, _, length, _ = HEAD.unpack(self.take(HEAD.size))
            body = self.take(length)
            if kind not in but:
                return kind, body


def words(body):
    return [part.split(b"\0")[0].decode() for part in (body[:24], body[24:])]


def offer(address, hello, body):
    """(stream, None) when it was accepted, else (None, what the host said)"""
    s = Source(address, hello)
    s.send(OFFER, body)
    kind, answer = s.receive(HELLO, ALIVE)
    return (s, None) if kind == ACCEPT else (None, ": ".join(words(answer)))


def abort(s):
    s.send(ABORT, b"canceled".ljust(24, b"\0") + b"a test".ljust(160, b"\0"))
    s.sock.shutdown(socket.SHUT_WR)
    try:
        while s.sock.recv(4096):
            pass
    except ConnectionError:
        pass


def say(s, sign):
    """An ended stream takes it no more; what it said last is there to be read all the same."""
    try:
        s.send(*sign)
    except OSError:
        pass


def idle(address, hello, body, count, sign):
    streams = [offer(address, hello, body)[0] for _ in range(count)]
    print("ready", len([s for s in streams if s]), flush=True)
    streams = [s for s in streams if s]
    ended, left = [], 2
    while left:  # twice more after the end of the input: the end comes behind a last answer
        if select.select([sys.stdin], [], [], 1)[0]:
            left -= 1
        for s in list(streams):
            try:
                say(s, sign)
                kind, answer = s.receive()
                if kind == ABORT:
                    raise ConnectionError(words(answer)[0])
            except OSError as e:
                ended.append(str(e))
                streams.remove(s)
    print("ended", *ended)


def main():
    host, port, record, verb, *args = sys.argv[1:]
    address = (host, int(port))
    hello, body = recorded(record)
    if verb == "offers":
        accepted = 0
        for _ in range(int(args[0])):
            got = offer(address, hello, body)[0]
            if got:
                accepted += 1
                abort(got)
        print("accepted", accepted)
    elif verb == "offer":
        s, said = offer(address, hello, body)
        print(said or "accepted")
        if s:
            abort(s)
    elif verb == "idle":
        idle(address, hello, body, int(args[0]), SIGNS[args[1]])
    elif verb == "settle":
        ident = hello[8:24]
        s = Source(address, hello, ident)
        s.send(SETTLE, ident + struct.pack("<II", OUTCOMES[args[0]], 0) + b"g".ljust(32, b"\0"))
        print(VERDICTS[struct.unpack_from("<I", s.receive(HELLO, ALIVE)[1], 16)[0]])


main()
