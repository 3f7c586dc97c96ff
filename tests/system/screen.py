# SPDX-License-Identifier: BSD-2-Clause
"""A screen that nobody sees, read back from QEMU, and a keyboard that QEMU's monitor types on."""
import gzip
import os
import socket
import struct
import time
import zlib

FONT = "/usr/share/consolefonts/Lat15-VGA16.psf.gz"


KEYS = {" ": "spc", "\r": "ret", "-": "minus", ".": "dot", "'": "apostrophe", ";": "semicolon", "/": "slash",
        "\t": "tab", "\x7f": "backspace", "$": "shift-4", "(": "shift-9", ")": "shift-0", "+": "shift-equal",
        "\x03": "ctrl-c", "\x1d": "ctrl-bracket_right", "\x14": "ctrl-t", "_": "shift-minus"}


class Monitor:
    """QEMU's own console, on a socket."""

    def __init__(self, path):
        self.path = str(path)
        self.arguments = ["-monitor", f"unix:{self.path},server=on,wait=off"]

    def command(self, line):
        end = time.monotonic() + 60
        while not os.path.exists(self.path):  # QEMU has not begun yet
            assert time.monotonic() < end
            time.sleep(0.1)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            s.settimeout(60)
            self.read(s)
            s.sendall(line.encode() + b"\n")
            self.read(s)

    def type(self, text):
        """Key by key, as a person at a US keyboard."""
        for c in text:
            self.key(KEYS.get(c) or (f"shift-{c.lower()}" if c.isupper() else c))

    def key(self, name):
        self.command(f"sendkey {name} 20")
        time.sleep(0.05)

    @staticmethod
    def read(s):
        """Up to the prompt at the beginning of a line; it echoes in between."""
        text = b""
        while not text.endswith(b"\n(qemu) "):
            text += s.recv(4096)


def ega_rows(monitor, tmp_path):
    monitor.command(f"pmemsave 0xb8000 4000 \"{tmp_path}/ega\"")
    cells = (tmp_path / "ega").read_bytes()
    return [cells[at:at + 160:2].decode("cp437").rstrip() for at in range(0, 4000, 160)]


def glyphs():
    """The rows of dots of each character of the font, by its own table."""
    with gzip.open(FONT) as f:
        data = f.read()
    assert data[:2] == b"\x36\x04" and data[3] == 16
    return {chr(i): data[4 + 16 * i:20 + 16 * i] for i in range(0x20, 0x7f)}


def framebuffer_rows(monitor, tmp_path):
    """The screen's cells as characters; what is in no cell of the font is a question mark."""
    monitor.command(f"screendump {tmp_path}/screen.ppm")
    kind, size, most, dots = (tmp_path / "screen.ppm").read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    assert kind == b"P6" and most == b"255" and len(dots) == 3 * width * height
    character = {rows: c for c, rows in glyphs().items()}

    def cell(y, x):
        rows = bytearray()
        for line in range(16):
            at = ((y * 16 + line) * width + x * 8) * 3
            rows.append(sum(0x80 >> i for i in range(8) if dots[at + 3 * i:at + 3 * i + 3] == b"\xaa\xaa\xaa"))
        return character.get(bytes(rows), "?")
    return ["".join(cell(y, x) for x in range(width // 8)).rstrip() for y in range(height // 16)]


def read_png(png):
    """Width, height, and the rows of it, red, green and blue; as Keel makes them, and checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        data = png[at + 8:at + 8 + size]
        assert zlib.crc32(kind + data) == int.from_bytes(png[at + 8 + size:at + 12 + size], "big")
        chunks.append((kind, data))
        at += size + 12
    (_, head), *others, end = chunks
    assert chunks[0][0] == b"IHDR" and end == (b"IEND", b"")
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", head)
    assert rest == [0, 0, 0] and colour in (2, 3)
    palette = others.pop(0)[1] if colour == 3 else None
    assert all(kind == b"IDAT" for kind, _ in others)
    raw = zlib.decompress(b"".join(data for _, data in others))
    line = (width * (depth if palette else 24) + 7) // 8
    assert len(raw) == (line + 1) * height
    lines = [raw[y * (line + 1):(y + 1) * (line + 1)] for y in range(height)]
    return width, height, [dots(row, width, depth, palette) for row in lines]


def dots(row, width, depth, palette):
    """Of one row with its filter in front: none with a palette, else the difference to the left."""
    kind, out = row[0], bytearray(row[1:])
    assert kind == (0 if palette else 1)
    if not palette:
        for i in range(3, len(out)):
            out[i] = (out[i] + out[i - 3]) & 255
        return bytes(out)
    mask, per = (1 << depth) - 1, 8 // depth
    index = (out[x // per] >> (8 - depth - x % per * depth) & mask for x in range(width))
    return b"".join(palette[3 * i:3 * i + 3] for i in index)


SCREENS = {"bios": ({}, ega_rows), "uefi": ({"uefi": True}, framebuffer_rows)}


def wait_for(rows_of, monitor, tmp_path, text, patience=120):
    """The screen follows the log, not at once."""
    end = time.monotonic() + patience
    while True:
        rows = rows_of(monitor, tmp_path)
        if any(text in row for row in rows):
            return rows
        assert time.monotonic() < end, "\n".join(rows)
        time.sleep(0.5)
