# SPDX-License-Identifier: BSD-2-Clause
"""What is on the screen: EGA text after a BIOS boot, a framebuffer after a UEFI boot, read back
from QEMU."""
import gzip
import socket
import time

import pytest

FONT = "/usr/share/consolefonts/Lat15-VGA16.psf.gz"


class Monitor:
    """QEMU's own console, on a socket."""

    def __init__(self, path):
        self.path = str(path)
        self.arguments = ["-monitor", f"unix:{self.path},server=on,wait=off"]

    def command(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            s.settimeout(60)
            self.read(s)
            s.sendall(line.encode() + b"\n")
            self.read(s)

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


SCREENS = {"bios": ({}, ega_rows), "uefi": ({"uefi": True}, framebuffer_rows)}


def wait_for(rows_of, monitor, tmp_path, text):
    """The screen follows the log, not at once."""
    end = time.monotonic() + 60
    while True:
        rows = rows_of(monitor, tmp_path)
        if any(text in row for row in rows):
            return rows
        assert time.monotonic() < end, "\n".join(rows)
        time.sleep(0.5)


@pytest.mark.parametrize("firmware", SCREENS)
@pytest.mark.cost(10)
def test_log_on_the_screen(start, tmp_path, firmware):
    options, rows_of = SCREENS[firmware]
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, **options).boot()
    rows = wait_for(rows_of, monitor, tmp_path, "] keel: ready")
    assert "] keel: loaded by GRUB" in rows[0]
    assert not any("Booting" in row for row in rows)
    assert "screen: " in keel.boot_log
    keel.poweroff()


@pytest.mark.parametrize("firmware", SCREENS)
@pytest.mark.cost(10)
def test_panic_on_the_screen(start, tmp_path, firmware):
    """Also without a serial port: the beginning is what stays."""
    options, rows_of = SCREENS[firmware]
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cmdline="provoke=null", **options)
    keel.expect("halted")
    rows = wait_for(rows_of, monitor, tmp_path, "PANIC: #PF page fault: write to unmapped")
    assert any(row.startswith("cpu 0 of 1") for row in rows)
    assert any(row.startswith("backtrace:") for row in rows)


@pytest.mark.cost(3)
def test_refusal_on_the_screen(start, tmp_path):
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cpu_model="max,-svm")
    keel.expect("keel: cannot start: ")
    wait_for(ega_rows, monitor, tmp_path, "keel: cannot start: ")


def test_screen_switched_off(start, tmp_path):
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cmdline="screen=no").boot()
    assert "screen: " not in keel.boot_log
    assert not any("keel: ready" in row for row in ega_rows(monitor, tmp_path))
    keel.poweroff()
