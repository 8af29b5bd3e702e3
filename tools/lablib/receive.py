#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Takes one TCP connection and keeps what comes in a file, as a dump is received:

  receive.py PORT FILE        says "ready" when it listens; blocks of zeros become holes
"""
import os
import socket
import sys

BLOCK = 1 << 20


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    with socket.create_server(("", port)) as server, open(path, "wb") as f:
        print("ready", flush=True)
        conn, _ = server.accept()
        with conn, conn.makefile("rb") as stream:
            while block := stream.read(BLOCK):
                if block.count(0) == len(block):
                    f.seek(len(block), os.SEEK_CUR)
                else:
                    f.write(block)
        f.truncate()


main()
