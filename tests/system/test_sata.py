# SPDX-License-Identifier: BSD-2-Clause
"""Disks and discs at the SATA controller of a guest: firmware finds them and boots from them."""
import subprocess

import pytest

SEABIOS = "/usr/share/seabios/bios-256k.bin"
GRUB_CFG = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo read by $root
sleep 3600
"""


def rescue_disc(path):
    """As grub-mkrescue makes them: it boots as a disc and as a disk."""
    grub = path / "iso" / "boot" / "grub"
    grub.mkdir(parents=True)
    (grub / "grub.cfg").write_text(GRUB_CFG)
    subprocess.run(["grub-mkrescue", "-o", path / "grub.iso", "--fonts=", "--locales=", "--themes=",
                    "--install-modules=normal iso9660 serial terminal echo sleep",
                    path / "iso"], check=True, capture_output=True)
    return str(path / "grub.iso")


@pytest.mark.cost(15)
@pytest.mark.parametrize("what,root", [("cdrom = grub.iso", "hd96"),
                                       ("disk = grub.iso, bus=sata", "hd0")])
def test_boot(start, bed, tmp_path, what, root):
    """SeaBIOS finds the drive, and GRUB reads its configuration by INT 13h."""
    config = f"[vm one]\nmemory = 32M\nfirmware = bios\n{what}\n"
    keel = start(bed, config=config,
                 modules={"bios": SEABIOS, "grub.iso": rescue_disc(tmp_path)}).boot()
    with keel.console("one", "start one --console"):
        keel.expect(rf"read by {root}")
    assert "came back the same" in keel.command("domstatecheck one 3")
    keel.command("destroy one")
    keel.poweroff()
