#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""dhcpd.py DEVICE SERVER FIRST ROUTER LEASE [LIES]: a DHCP server for the lab's network.

Gives FIRST, FIRST + 1, ... to those who ask, and says what it does, a line each:
`discover MAC`, `ack ADDR NAME`, `nak ADDR NAME`, `release ADDR`. Before its first offer it sends
LIES answers that are cut short or whose options run on.
"""
import socket
import struct
import sys

MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)
MASK, ROUTER, NAME, WANTED, LEASE, KIND, SERVER, END = 1, 3, 12, 50, 51, 53, 54, 255


def parse(data):
    """The options by number; what runs on is left out."""
    options, at = {}, 240
    while at + 1 < len(data) and data[at] != END:
        if data[at] == 0:
            at += 1
            continue
        options[data[at]] = data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return options


class Server:
    def __init__(self, device, server, first, router, lease, lies=0):
        self.server, self.first = socket.inet_aton(server), socket.inet_aton(first)
        self.router, self.lease, self.lies = socket.inet_aton(router), int(lease), int(lies)
        self.given = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        self.sock.bind(("", 67))

    def address(self, mac):
        if mac not in self.given:
            self.given.append(mac)
        return self.first[:3] + bytes([self.first[3] + self.given.index(mac)])

    def answer(self, kind, data, mine):
        head = struct.pack("!BBBB4sHH4s4s4s4s16s", 2, 1, 6, 0, data[4:8], 0, 0x8000, bytes(4),
                           mine, self.server, bytes(4), data[28:44])
        options = bytes([KIND, 1, kind, SERVER, 4]) + self.server
        if kind != NAK:
            options += bytes([LEASE, 4]) + struct.pack("!I", self.lease) \
                + bytes([MASK, 4, 255, 255, 255, 0, ROUTER, 4]) + self.router
        return head + bytes(192) + MAGIC + options + bytes([END])

    def send(self, packet):
        self.sock.sendto(packet, ("255.255.255.255", 68))

    def lie(self, data, mine):
        good = self.answer(OFFER, data, mine)
        lies = [good[:-1], good[:243], good[:240] + bytes([KIND, 200, OFFER]),
                good[:-1] + bytes([ROUTER, 255, 1]), good[:200], good[:240]]
        for k in range(self.lies):
            self.send(lies[k % len(lies)])
        self.lies = 0

    def serve(self):
        data = self.sock.recv(2048)
        if len(data) < 241 or data[236:240] != MAGIC:
            return
        options, mac = parse(data), data[28:34]
        kind, mine = options.get(KIND, b"\0")[0], self.address(mac)
        wanted = options.get(WANTED, data[12:16])
        if kind == DISCOVER:
            print("discover", mac.hex(":"), flush=True)
            self.lie(data, mine)
            self.send(self.answer(OFFER, data, mine))
        elif kind == REQUEST and options.get(SERVER, self.server) == self.server:
            good = wanted == mine
            print("ack" if good else "nak", socket.inet_ntoa(wanted),
                  options.get(NAME, b"").decode(), flush=True)
            self.send(self.answer(ACK if good else NAK, data, mine))
        elif kind == RELEASE:
            print("release", socket.inet_ntoa(data[12:16]), flush=True)


def main():
    server = Server(*sys.argv[1:])
    print("serving", flush=True)
    while True:
        server.serve()


main()
