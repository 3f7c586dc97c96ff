# SPDX-License-Identifier: BSD-2-Clause
"""A guest's screen, as an administrator at the serial line sees it: text with the guest's keyboard,
and pictures of what it draws."""
import time

import pytest
from keel import BUILD
from screen import read_png
from test_firmware import SEABIOS, pc
from test_guests import exit_code

VGABIOS = "/usr/share/seabios/vgabios-stdvga.bin"
MODULES = {"bios": SEABIOS, "vgabios.bin": VGABIOS}
VIDEO = "vga, rom=vgabios.bin"
BLACK = bytes(3)


def characters():
    """Of code page 437 by their dots, from the screen's BIOS: the second one is a face."""
    with open(VGABIOS, "rb") as f:
        rom = f.read()
    at = rom.index(bytes.fromhex("00007e81a58181bd9981817e00000000")) - 16
    known = {rom[at + 16 * i:at + 16 * i + 16]: bytes([i]).decode("cp437") for i in range(256)}
    return {**known, bytes(16): " "}        # of which there are three


def text_of(png):
    """The lines of a picture of 80 by 25 characters; what is none of the font's is a question mark.
    None: it shows something else."""
    width, height, rows = read_png(png)
    if (width, height) != (720, 400):
        return []
    known = characters()

    def cell(y, x):
        dots = bytearray()
        for row in rows[16 * y:16 * y + 16]:
            pixel = (row[at:at + 3] for at in range(27 * x, 27 * x + 24, 3))
            dots.append(sum(0x80 >> i for i, p in enumerate(pixel) if p != BLACK))
        return bytes(dots)
    return ["".join(known.get(cell(y, x), "?") for x in range(80)).rstrip() for y in range(25)]


def wait_for_text(keel, name, text):
    """On the terminal it may come in parts, between which it is told where they are."""
    end = time.monotonic() + keel.patience
    while True:
        lines = text_of(keel.screenshot(name))
        if any(text in line for line in lines):
            return lines
        assert time.monotonic() < end, lines


def test_text(start, bed):
    """A guest that knows a BIOS's screen and keyboard alone is worked with to its end."""
    config = pc("dos", video=VIDEO, disk="dos.img, bus=sata", debug_exit="yes") + pc("blind", video="none")
    keel = start(bed, config=config, modules={**MODULES, "dos.img": f"{BUILD}/tests/guest/dos.img"}).boot()
    keel.command("start blind")
    for command in ("screenshot", "console --screen"):
        assert "error: domain 'blind' has no screen: 'video = vga'" in keel.command(f"{command} blind")
    keel.command("start dos")
    lines = wait_for_text(keel, "dos", "press a key: ?")       # and its cursor
    assert lines[0].startswith("SeaBIOS (version ") and lines.count("ok read") == 1
    last = lines.index("press a key: ?")
    assert lines[3] == "DOS-like guest" and not any(lines[last + 1:]), lines
    # All of it is drawn, then what changes, as it comes.
    keel.send("console dos --screen\r")
    assert "\nbad " not in keel.expect("SeaBIOS [\\s\\S]*press a key:")
    keel.send("k\x1d")
    keel.expect("Left the screen of domain 'dos'")
    wait_for_text(keel, "dos", "press a key: k")
    keel.send("console dos --screen\r")
    keel.expect("and a K:")
    keel.send("K")
    keel.expect("and its mouse:")
    keel.send("\x1d")
    keel.expect("Left the screen of domain 'dos'")
    keel.command("send-mouse dos 300 40 LEFT")
    keel.wait_state("dos", "shut off")
    assert exit_code(keel, "dos") == 1
    keel.poweroff()


@pytest.mark.cost(10)
def test_graphics(start):
    """GRUB draws its text itself, in black and white; a picture shows that, and the terminal does
    when it is text again."""
    config = pc("rescue", memory="64M", video=VIDEO, cdrom="rescue.iso")
    keel = start("svm", config=config, modules={
        **MODULES, "rescue.iso": f"{BUILD}/guest/grub-rescue.iso"}).boot()
    keel.command("start rescue")
    wait_for_text(keel, "rescue", "highlighted entry")
    with keel.console("rescue", "console rescue --screen"):
        keel.send("c")
    wait_for_text(keel, "rescue", "grub> ")
    with keel.console("rescue", "console rescue --screen"):
        keel.send("insmod all_video; loadfont unicode; set gfxmode=1024x768; terminal_output gfxterm\r")
        keel.expect("Graphics, 1024 x 768: 'screenshot rescue' shows it")
    pictures = []
    while True:                                     # until it has written its prompt
        width, height, rows = read_png(keel.screenshot("rescue"))
        assert (width, height) == (1024, 768)
        inked = [y for y, row in enumerate(rows) if any(row)]
        pictures.append(rows)
        if len(inked) >= 10:
            break
        assert len(pictures) < 100
    assert inked[-1] < 100 and not any(any(row[3 * 200:]) for row in rows)
    with keel.console("rescue", "console rescue --screen"):
        keel.expect("Graphics, 1024 x 768")
        keel.send("terminal_output console; echo done, $?\r")
    wait_for_text(keel, "rescue", "done, 0")
    keel.send("console rescue --screen\rhalt\r")
    keel.expect("Domain 'rescue' is shut off")
    keel.poweroff()
