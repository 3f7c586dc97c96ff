# SPDX-License-Identifier: BSD-2-Clause
"""Loaders and operating systems of others, unmodified, from their own media: Keel's tests are never
what they were written for."""
from collections import Counter

import pytest
from keel import BUILD
from screen import read_png
from test_firmware import SEABIOS, pc
from test_guest_screen import MODULES, VIDEO
from test_guests import exit_code
from test_sata import rescue_disc

DOS = f"{BUILD}/tests/guest/dos.img"
DISKS = ("virtio", "sata")


@pytest.mark.parametrize("bus", DISKS)
def test_dos(start, bed, bus):
    """A boot sector that lives on the BIOS's services, on each kind of disk: every one answers as
    it did to DOS."""
    config = pc("dos", disk=f"dos.img, bus={bus}", debug_exit="yes")
    keel = start(bed, config=config, modules={"bios": SEABIOS, "dos.img": DOS}).boot()
    with keel.console("dos", "start dos --console"):
        said = keel.expect("press a key: ")
        assert "\nbad " not in said and said.count("\nok ") == 14, said
        # By the BIOS's serial console, and by the keyboard itself.
        keel.send("k")
        keel.expect("k[\\s\\S]*and a K: ")
    assert "there is no key 'KEY_NO'" in keel.command("send-key dos KEY_NO")
    keel.command("send-key dos KEY_LEFTSHIFT KEY_K")
    assert "there is no button 'KEY_K'" in keel.command("send-mouse dos 0 0 KEY_K")
    keel.command("send-mouse dos 300 40 LEFT")
    keel.wait_state("dos", "shut off")
    assert exit_code(keel, "dos") == 1
    keel.poweroff()


@pytest.mark.cost(15)
def test_u_boot(start):
    """As the firmware itself, to its prompt: it has found the PCI devices and reads its disk."""
    config = pc("embedded", memory="128M", firmware="u-boot.rom", disk="dos.img, bus=sata")
    keel = start("svm", config=config, modules={
        "u-boot.rom": f"{BUILD}/guest/u-boot.rom", "dos.img": DOS}).boot()
    with keel.console("embedded", "start embedded --console"):
        keel.expect("stop autoboot")
        keel.send(" ")
        keel.expect("=> ")
        keel.send("pci\r")
        assert "0x2918" in keel.expect("=> ")
        keel.send("scsi scan; scsi read 1000000 b3f 1; md.b 1000000 4\r")
        keel.expect(r"LAST[\s\S]*=> ")    # what is typed before the prompt is lost
        keel.send("reset\r")
        keel.expect("U-Boot 20")
    keel.poweroff()


@pytest.mark.cost(10)
def test_grub_rescue(start):
    """Debian's GRUB from its CD-ROM: it lists the drives of the BIOS, and halts by ACPI."""
    keel = start("svm", config=pc("rescue", memory="64M", cdrom="rescue.iso"), modules={
        "bios": SEABIOS, "rescue.iso": f"{BUILD}/guest/grub-rescue.iso"}).boot()
    with keel.console("rescue", "start rescue --console"):
        keel.expect("highlighted entry")
        keel.send("c")
        keel.expect("grub>")
        keel.send("ls; lspci\r")
        said = keel.expect(r"00:1f\.2[\s\S]*grub>")
        assert "(cd" in said, said
        keel.send("halt\r")
        keel.expect("is shut off")
    keel.poweroff()


@pytest.mark.cost(10)
def test_ipxe(start):
    """ISOLINUX loads iPXE, which finds no card that it has a driver for, and gives back to the
    BIOS."""
    keel = start("svm", config=pc("net", cdrom="ipxe.iso"), modules={
        "bios": SEABIOS, "ipxe.iso": f"{BUILD}/guest/ipxe.iso"}).boot()
    with keel.console("net", "start net --console"):
        keel.expect("ISOLINUX")
        keel.expect("Open Source Network Boot Firmware")
        keel.expect("No bootable device")
    keel.poweroff()


@pytest.mark.cost(15)
def test_memtest(start, tmp_path):
    """memtest86+ from a CD-ROM: it draws on the screen by itself, and listens to the keyboard."""
    disc = rescue_disc(tmp_path, "linux /memtest.bin\nboot\n", f"{BUILD}/guest/memtest.bin")
    keel = start("svm", config=pc("memory", memory="64M", cdrom="memtest.iso", video=VIDEO),
                 modules={**MODULES, "memtest.iso": disc}).boot()
    keel.command("start memory")
    with keel.console("memory", "console memory --screen"):
        keel.expect("Memtest86")
        keel.expect("Testing:")
        keel.send("\x1bOP")            # F1
        keel.expect("Settings:")
        keel.expect("Exit menu")
    keel.poweroff()


@pytest.mark.soak
@pytest.mark.parametrize("arch", ["amd64", "i386"])
def test_installer(start, arch):
    """Debian's installer to its first question, on the serial line."""
    config = pc("new", memory="1G", cdrom="installer.iso")
    keel = start("svm", config=config, memory=2048, modules={
        "bios": SEABIOS, "installer.iso": f"{BUILD}/guest/installer-{arch}.iso"}).boot()
    with keel.console("new", "start new --console"):
        keel.expect("highlighted entry")
        keel.send("\r")
        keel.expect("Linux version")
        keel.expect("Choose the language to be used for the installation")
    keel.poweroff()


def pixels(picture):
    """Size, and how often each colour stands in it."""
    width, height, rows = read_png(picture)
    return width, height, Counter(row[at:at + 3] for row in rows for at in range(0, len(row), 3))


@pytest.mark.soak
def test_graphical_installer(start):
    """The same in graphical form: its first question is drawn, one language chosen in it, by
    keyboard and by mouse another one."""
    config = pc("new", memory="1G", cdrom="installer.iso", video=VIDEO)
    keel = start("svm", config=config, memory=2048, modules={
        **MODULES, "installer.iso": f"{BUILD}/guest/installer-amd64.iso"}).boot()
    with keel.console("new", "start new --console"):
        keel.expect("highlighted entry")
        keel.send("\x1b[B\r")

    def drawn(*unlike):
        """A page with the line that is chosen, in Debian's colours, and no picture that was."""
        for _ in range(100):
            keel.settle(2)
            picture = keel.screenshot("new")
            width, height, colours = pixels(picture)
            chosen = sum(n for (r, g, b), n in colours.items()
                         if r < 80 and g > 110 and b > 90 and g > b)
            if (width, height) == (1280, 800) and picture not in unlike and \
                    colours[b"\xff" * 3] > 400000 and 15000 < chosen < 60000:
                return picture
        raise AssertionError(f"{width} x {height}, {chosen} pixels chosen")

    first = drawn()
    keel.command("send-key new KEY_DOWN")
    second = drawn(first)
    keel.command("send-mouse new -100 200 LEFT")
    drawn(first, second)
    keel.poweroff()
