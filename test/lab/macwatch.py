#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Says what it hears from one Ethernet address; run on a machine of the lab's network.

    macwatch.py MAC       `watching`, then one line a frame: rarp, arp ADDR, na ADDR, other
                          until standard input ends
"""
import ipaddress
import select
import socket
import sys

ETH_P_ALL, ETH_ARP, ETH_RARP, ETH_IPV6 = 3, 0x0806, 0x8035, 0x86dd
ICMP6, ADVERTISE = 58, 136


def name(frame):
    """Announcements by kind and address; they are sent to everybody."""
    kind, body = int.from_bytes(frame[12:14], "big"), frame[14:]
    if not frame[0] & 1:
        return "other"
    if kind == ETH_RARP:
        return "rarp"
    if kind == ETH_ARP and body[14:18] == body[24:28]:
        return f"arp {ipaddress.ip_address(body[14:18])}"
    if kind == ETH_IPV6 and body[6] == ICMP6 and body[40] == ADVERTISE:
        return f"na {ipaddress.ip_address(body[48:64])}"
    return "other"


def main():
    mac = bytes.fromhex(sys.argv[1].replace(":", ""))
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind(("eth0", 0))
    print("watching", flush=True)
    while True:
        ready, _, _ = select.select([s, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        frame = s.recv(65535)
        if frame[6:12] == mac:
            print(name(frame), flush=True)


main()
