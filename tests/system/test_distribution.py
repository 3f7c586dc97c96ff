# SPDX-License-Identifier: BSD-2-Clause
"""A whole Debian from its own disk: firmware, boot loader, systemd, a login prompt."""
import os
import subprocess

import pytest
from keel import BUILD, ROOT

SEABIOS = "/usr/share/seabios/bios-256k.bin"
CONFIG = """\
[vm debian]
memory = 512M
firmware = bios
on_reboot = restart
disk = debian.img, bus=virtio, mode=overlay
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
    keel = start("svm", config=CONFIG, modules={"bios": SEABIOS, "debian.img": image},
                 memory=3072).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("GRUB")
        log_in(keel)
        keel.send("echo kept$((1 + 1)) >/root/word; systemctl --failed --no-legend | wc -l; "
                  "systemctl reboot\r")
        assert "\n0" in keel.expect("GRUB").replace("\r", "")
        log_in(keel)
        keel.send("cat /root/word; grep vda1 /proc/mounts; systemctl poweroff\r")
        keel.expect("kept2")
        keel.expect("/dev/vda1 / ext4")
        keel.expect("Domain 'debian' is shut off")
    keel.poweroff()
