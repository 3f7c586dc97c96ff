# SPDX-License-Identifier: BSD-2-Clause
"""A whole Debian from its own disk: firmware, boot loader, systemd, a login prompt."""
import os
import re
import subprocess

import pytest
from keel import BUILD, ROOT

SEABIOS = "/usr/share/seabios/bios-256k.bin"
OVMF = {"efi": "/usr/share/OVMF/OVMF_CODE_4M.fd", "vars": "/usr/share/OVMF/OVMF_VARS_4M.fd"}


def config(firmware, bus):
    return f"""\
[vm debian]
memory = 512M
firmware = {firmware}
on_reboot = restart
boot = disk
disk = debian.img, bus={bus}, mode=overlay
"""


@pytest.fixture(scope="module")
def image():
    path = f"{BUILD}/guest/debian.img"
    if not os.path.exists(path):
        subprocess.run([f"{ROOT}/tools/guest-disk", path], check=True, capture_output=True)
    return path


def log_in(keel):
    keel.expect(r"keel-guest login: ")
    keel.send("root\r")
    keel.expect("Password: ")
    keel.send("keel\r")
    keel.expect(r"root@keel-guest:~# ")


@pytest.mark.soak
def test_debian_from_its_disk(start, image):
    """It starts, works, keeps what it writes over a reboot, and switches itself off."""
    keel = start("svm", config=config("bios", "virtio"), memory=3072,
                 modules={"bios": SEABIOS, "debian.img": image}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("GRUB")
        log_in(keel)
        keel.send("echo kept$((1 + 1)) >/root/word; systemctl --failed --no-legend | wc -l; "
                  "systemctl reboot\r")
        assert "\n0" in keel.expect("GRUB").replace("\r", "")
        log_in(keel)
        keel.send("cat /root/word; grep vda3 /proc/mounts; systemctl poweroff\r")
        keel.expect("kept2")
        keel.expect("/dev/vda3 / ext4")
        keel.expect("Domain 'debian' is shut off")
    keel.poweroff()


@pytest.mark.soak
@pytest.mark.parametrize("bus,disk", [("virtio", "vda"), ("sata", "sda"), ("nvme", "nvme0n1")])
def test_debian_by_uefi(start, image, bus, disk):
    """OVMF starts what is at the removable path, then by an entry that Debian made in its flash and
    that is there after a reboot; from the disk of each kind of controller."""
    keel = start("svm", config=config("efi\nnvram = vars", bus), memory=3072,
                 modules={**OVMF, "debian.img": image}).boot()
    with keel.console("debian", "start debian --console"):
        log_in(keel)
        keel.send(f"efibootmgr -qcd /dev/{disk} -p 2 -L Debian -l '\\EFI\\debian\\grubx64.efi'; "
                  "systemctl --failed --no-legend | wc -l; systemctl reboot\r")
        assert "\n0" in keel.expect("BdsDxe: starting").replace("\r", "")
        log_in(keel)
        root = f"{disk}{'p' * disk.startswith('nvme')}3"
        keel.send(f"efibootmgr; grep {root} /proc/mounts; systemctl poweroff\r")
        said = keel.expect(f"/dev/{root} / ext4")
        current = re.search(r"BootCurrent: (\w+)", said).group(1)
        assert re.search(rf"Boot{current}\* Debian", said), said
        keel.expect("Domain 'debian' is shut off")
    keel.poweroff()
