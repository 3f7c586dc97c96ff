# SPDX-License-Identifier: BSD-2-Clause
"""Disks and discs at a guest's SATA and IDE controllers: firmware finds them and boots from them."""
import hashlib
import os
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from keel import BUILD, INITRD, LINUX_CMDLINE, vm

SEABIOS = "/usr/share/seabios/bios-256k.bin"
GRUB_CFG = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo read by $root
sleep 3600
"""


def rescue_disc(path, configuration=GRUB_CFG, *files):
    """As grub-mkrescue makes them: it boots as a disc and as a disk."""
    grub = path / "iso" / "boot" / "grub"
    grub.mkdir(parents=True)
    (grub / "grub.cfg").write_text(configuration)
    for file in files:
        shutil.copy(file, path / "iso")
    subprocess.run(["grub-mkrescue", "-o", path / "grub.iso", "--fonts=", "--locales=", "--themes=",
                    "--install-modules=normal iso9660 serial terminal echo sleep linux",
                    path / "iso"], check=True, capture_output=True)
    return str(path / "grub.iso")


@pytest.mark.cost(15)
@pytest.mark.parametrize("what,root", [("cdrom = grub.iso", "hd96"),
                                       ("disk = grub.iso, bus=sata", "hd0"),
                                       ("cdrom = grub.iso, bus=ide", "hd96"),
                                       ("disk = grub.iso, bus=ide", "hd0")])
def test_boot(start, bed, tmp_path, what, root):
    """SeaBIOS finds the drive, and GRUB reads its configuration by INT 13h."""
    config = f"[vm one]\nmemory = 32M\nfirmware = bios\n{what}\n"
    keel = start(bed, config=config,
                 modules={"bios": SEABIOS, "grub.iso": rescue_disc(tmp_path)}).boot()
    with keel.console("one", "start one --console"):
        keel.expect(rf"read by {root}")
    assert "came back the same" in keel.command("domstatecheck one 3")
    if what.startswith("cdrom"):
        change(keel, "hda" if "ide" in what else "sda")
    keel.command("destroy one")
    keel.poweroff()


def change(keel, drive):
    """The disc of a guest that runs, as virsh has it; and what a drive does not take."""
    def tray():
        disk = ElementTree.fromstring(keel.command("dumpxml one")).find("devices/disk")
        return disk.find("source"), disk.find("target").get("tray")

    assert f"{drive}      grub.iso" in keel.command("domblklist one")
    assert tray()[0].get("file") == "grub.iso"
    assert "there is a disc" in keel.command(f"change-media one {drive} grub.iso --insert")
    assert "Successfully ejected media." in keel.command(f"change-media one {drive} --eject")
    assert f"{drive}      -" in keel.command("domblklist one") and tray() == (None, "open")
    assert "there is no disc" in keel.command(f"change-media one {drive} --eject")
    assert "no module 'x'" in keel.command(f"change-media one {drive} x --insert")
    assert "came back the same" in keel.command("domstatecheck one 3")
    assert "Successfully inserted" in keel.command(f"change-media one {drive} grub.iso --insert")
    assert tray()[1] is None
    assert "Successfully ejected" in keel.command("change-media one grub.iso --eject --config")
    assert "cdrom = none" in keel.command("dumpconf one --inactive")
    assert f"{drive}      grub.iso" in keel.command("domblklist one")


def file_of(path, data):
    path.write_bytes(data)
    return str(path)


@pytest.mark.soak
@pytest.mark.cost(40)
@pytest.mark.parametrize("bus,cmdline,depth", [("sata", "", 32), ("ide", "", 1),
                                               ("ide", "libata.dma=0", 1)])
def test_linux(start, tmp_path, bus, cmdline, depth):
    """
    Debian's own drivers, with NCQ and by MSI, by a bus master and by PIO: what they read is there,
    what they write is kept.
    """
    kernel = f"{BUILD}/guest/vmlinuz-disks"
    with open(INITRD, "rb") as initrd, open(f"{kernel}.cpio", "rb") as drivers:
        both = file_of(tmp_path / "initrd.img", initrd.read() + drivers.read())
    image = os.urandom(1 << 20)
    disc = rescue_disc(tmp_path)
    config = vm("debian", memory="256M", disk=f"a.img, bus={bus}", cdrom=f"grub.iso, bus={bus}",
                cmdline=f"{LINUX_CMDLINE} hostname=debian {cmdline}")
    keel = start("svm", config=config, memory=768, modules={
        "vmlinuz": kernel, "initrd.img": both, "grub.iso": disc,
        "a.img": file_of(tmp_path / "a.img", image)}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("debian:/# ")
        keel.send("sh /lib/disks/load; until [ -b /dev/sda -a -b /dev/sr0 ]; do sleep 1; done; "
                  "cat /sys/block/sda/device/queue_depth; sha256sum /dev/sda /dev/sr0; "
                  "echo read$((1 + 1))\r")
        said = keel.expect("read2")
        assert f"\n{depth}" in said
        assert hashlib.sha256(image).hexdigest() in said
        with open(disc, "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() in said
        keel.send("head -c 1048576 /dev/urandom >/tmp/r; dd if=/tmp/r of=/dev/sda bs=64k conv=fsync; "
                  "echo 3 >/proc/sys/vm/drop_caches; cmp /tmp/r /dev/sda && echo sa$((1 + 1))me\r")
        keel.expect("sa2me")
        keel.send("mount -t iso9660 -o ro /dev/sr0 /root && cat /root/boot/grub/grub.cfg\r")
        keel.expect("sleep 3600")
        keel.send("echo bad$(dmesg | grep -cE 'ata[0-9].*(exception|failed|error)')bad\r")
        keel.expect("bad0bad")
    assert "came back the same" in keel.command("domstatecheck debian 3")
    keel.command("destroy debian")
    keel.poweroff()


def labelled(path, label):
    """A disc of that name with one file."""
    tree = path / label
    tree.mkdir()
    (tree / "name").write_text(label)
    out = str(path / f"{label}.iso")
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", label, "-o", out, tree], check=True)
    return out


@pytest.mark.soak
@pytest.mark.cost(30)
def test_discs(start, tmp_path):
    """Debian's own driver sees each other disc, holds a drive shut that is mounted, and ejects."""
    kernel = f"{BUILD}/guest/vmlinuz-disks"
    with open(INITRD, "rb") as initrd, open(f"{kernel}.cpio", "rb") as drivers:
        both = file_of(tmp_path / "initrd.img", initrd.read() + drivers.read())
    config = vm("debian", memory="256M", cdrom="one.iso")
    keel = start("svm", config=config, memory=768, modules={
        "vmlinuz": kernel, "initrd.img": both, "one.iso": labelled(tmp_path, "ONE"),
        "two.iso": labelled(tmp_path, "TWO")}).boot()
    label = "dd if=/dev/sr0 bs=1 skip=32808 count=8 2>/dev/null"

    def guest(command, answer):
        with keel.console("debian"):
            keel.send(f"{command}; echo do$((1 + 1))ne\r")
            assert answer in keel.expect("do2ne")

    with keel.console("debian", "start debian --console"):
        keel.expect("debian:/# ")
        keel.send("sh /lib/disks/load; until [ -b /dev/sr0 ]; do sleep 1; done; echo do$((1 + 1))ne\r")
        keel.expect("do2ne")
    guest(label, "ONE")
    assert "Successfully updated" in keel.command("change-media debian sda two.iso")
    guest(label, "TWO")
    guest("mount -t iso9660 -o ro /dev/sr0 /root && cat /root/name", "TWO")
    assert "holds the tray of 'sda' shut" in keel.command("change-media debian sda --eject")
    guest("cat /root/name; umount /root", "TWO")
    assert "Successfully ejected" in keel.command("change-media debian sda --eject")
    guest("dd if=/dev/sr0 count=1 2>&1", "No medium")
    assert "Successfully inserted" in keel.command("change-media debian sda one.iso --insert")
    guest(label, "ONE")
    guest(f"echo 1 >/proc/sys/dev/cdrom/autoeject; {label}", "ONE")
    assert "sda      -" in keel.command("domblklist debian")
    assert "tray='open'" in keel.command("dumpxml debian")
    # Linux shuts it as it opens the drive, and reads a disc that has changed from the next time on.
    guest(f"echo 0 >/proc/sys/dev/cdrom/autoeject; {label}; {label}", "ONE")
    assert "sda      one.iso" in keel.command("domblklist debian")
    assert "came back the same" in keel.command("domstatecheck debian 3")
    keel.command("destroy debian")
    keel.poweroff()
