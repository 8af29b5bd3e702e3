# SPDX-License-Identifier: BSD-2-Clause
"""Reads a host's screen: a picture taken by the emulator, turned back into text by the font."""
import os
import re
import time

from lablib.paths import BUILD
from lablib.qmp import qmp

WIDTH, HEIGHT = 8, 16


def font():
    """the 16 rows of a glyph -> its character"""
    with open(f"{BUILD}/obj/drivers/font.hex", encoding="ascii") as f:
        rows = [bytes(int(x, 16) for x in re.findall(r"0x(\w\w)", line)) for line in f]
    return {glyph: chr(0x20 + i) for i, glyph in enumerate(rows)}


def picture(path):
    """(width, height, pixels) of a PPM file, the pixels as rows of their red octets"""
    with open(path, "rb") as f:
        data = f.read()
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    width, height = int(head[1]), int(head[2])
    red = data[head.end()::3]
    return width, height, [red[y * width:(y + 1) * width] for y in range(height)]


def cell(rows, x, y):
    return bytes(sum(0x80 >> i for i, v in enumerate(row[x:x + WIDTH]) if v > 0x40)
                 for row in rows[y:y + HEIGHT])


def read(lab, host):
    """The screen's lines; U+FFFD where a cell is no character."""
    path = f"{lab.dir}/{host}/screen.ppm"
    qmp(lab, host, "screendump", filename=path)
    width, height, rows = picture(path)
    os.unlink(path)
    glyphs = font()
    return ["".join(glyphs.get(cell(rows, x, y), "\ufffd")
                    for x in range(0, width - WIDTH + 1, WIDTH)).rstrip()
            for y in range(0, height - HEIGHT + 1, HEIGHT)]


def wait(lab, host, pattern, timeout=30):
    """The lines, as soon as one of them matches PATTERN."""
    end = time.monotonic() + timeout
    while True:
        lines = read(lab, host)
        if any(re.search(pattern, line) for line in lines):
            return lines
        assert time.monotonic() < end, f"'{pattern}' is not on the screen:\n" + "\n".join(lines)
        time.sleep(0.2)
