#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""netfuzz.py DEVICE MAC HOST OURS SEED SECONDS: hostile frames to one host.

Run inside the lab's network.  Frames are valid ARP, IPv4, IPv6, ICMP, UDP and TCP
with lengths, offsets, options and flags that lie, cut short or run on, and noise.
"""
import random
import socket
import struct
import sys
import time


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Maker:
    def __init__(self, rng, mac, host, ours):
        self.rng = rng
        self.eth = bytes.fromhex(mac.replace(":", "")) + b"\x52\x54\x00\x77\x00\xfe"
        self.host, self.ours = socket.inet_aton(host), socket.inet_aton(ours)
        self.host6 = b"\xfd\x77" + bytes(13) + self.host[3:]
        self.ours6 = b"\xfd\x77" + bytes(13) + self.ours[3:]

    def odd(self, value, bits):
        """The value, or now and then one that lies."""
        r = self.rng
        return value if r.random() < 0.8 else r.choice(
            [0, 1, (1 << bits) - 1, r.getrandbits(bits), max(value - 1, 0),
             min(value + 1, (1 << bits) - 1)])

    def tcp(self):
        r = self.rng
        options = bytes(r.randbytes(r.randrange(0, 41)))
        options += bytes(-len(options) % 4)
        offset = self.odd((20 + len(options)) // 4, 4)
        head = struct.pack("!HHIIBBHHH", r.choice([1, 7801, 7899, 40000]),
                           r.choice([7801, 8902, 1, r.getrandbits(16)]), r.getrandbits(32),
                           r.getrandbits(32), offset << 4 & 0xff, r.getrandbits(8),
                           r.getrandbits(16), 0, r.getrandbits(16))
        return 6, head + options + r.randbytes(r.randrange(0, 100)), 16

    def udp(self):
        r = self.rng
        data = r.randbytes(r.randrange(0, 200))
        return 17, struct.pack("!HHHH", r.getrandbits(16), r.getrandbits(16),
                               self.odd(8 + len(data), 16), 0) + data, 6

    def icmp(self):
        r = self.rng
        return 1, bytes([r.choice([0, 3, 5, 8, 13, r.getrandbits(8)]), r.getrandbits(8), 0, 0]) \
            + r.randbytes(r.randrange(0, 120)), 2

    def icmp6(self):
        r = self.rng
        kind = r.choice([1, 2, 3, 4, 128, 129, 133, 134, 135, 136, 137, r.getrandbits(8)])
        return 58, bytes([kind, 0, 0, 0]) + r.randbytes(r.randrange(0, 120)), 2

    def ip4(self):
        r = self.rng
        proto, body, at = r.choice([self.tcp, self.tcp, self.udp, self.icmp])()
        pseudo = self.ours + self.host + struct.pack("!BBH", 0, proto, len(body))
        if r.random() < 0.9:
            s = checksum(body if proto == 1 else pseudo + body)
            body = body[:at] + struct.pack("!H", s) + body[at + 2:]
        options = r.randbytes(4 * r.choice([0, 0, 0, 1, 5, 10]))
        ihl = self.odd(5 + len(options) // 4, 4)
        frag = r.choice([0, 0, 0, 0x2000, 0x2001, r.getrandbits(14)])
        head = struct.pack("!BBHHHBBH", 0x40 | ihl, 0, self.odd(20 + len(options) + len(body), 16),
                           r.choice([7, r.getrandbits(16)]), frag, 64, proto, 0)
        head += r.choice([self.ours, self.ours, self.host, r.randbytes(4)]) + self.host + options
        s = checksum(head)
        return b"\x08\x00" + head[:10] + struct.pack("!H", s) + head[12:] + body

    def ip6(self):
        r = self.rng
        proto, body, at = r.choice([self.tcp, self.udp, self.icmp6, self.icmp6])()
        pseudo = self.ours6 + self.host6 + struct.pack("!IBBBB", len(body), 0, 0, 0, proto)
        s = checksum(pseudo + body)
        body = body[:at] + struct.pack("!H", s) + body[at + 2:]
        for _ in range(r.choice([0, 0, 1, 3])):
            kind = r.choice([0, 43, 44, 60])
            extra = r.randbytes(6 + 8 * r.choice([0, 1]))
            body = bytes([proto, self.odd((len(extra) - 6) // 8, 8)]) + extra + body
            proto = kind
        hops = r.choice([64, 255])
        return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, self.odd(len(body), 16), proto, hops) \
            + self.ours6 + self.host6 + body

    def arp(self):
        r = self.rng
        return b"\x08\x06" + struct.pack("!HHBBH", self.odd(1, 16), self.odd(0x800, 16),
                                         self.odd(6, 8), self.odd(4, 8), r.choice([1, 2, 9])) \
            + self.eth[6:] + r.choice([self.ours, r.randbytes(4)]) + bytes(6) + self.host

    def noise(self):
        return self.rng.randbytes(self.rng.randrange(0, 300))

    def frame(self):
        r = self.rng
        f = self.eth + r.choice([self.ip4, self.ip4, self.ip6, self.arp, self.noise])()
        if r.random() < 0.15:
            f = f[:r.randrange(14, max(15, len(f)))]
        return f


def main():
    device, mac, host, ours, seed, seconds = sys.argv[1:]
    maker = Maker(random.Random(int(seed)), mac, host, ours)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((device, 0))
    end, sent = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        try:
            s.send(maker.frame())
        except OSError:
            continue
        sent += 1
        if sent % 50 == 0:
            time.sleep(0.01)
    print(sent)


if __name__ == "__main__":
    main()
