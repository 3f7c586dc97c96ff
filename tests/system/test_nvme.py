# SPDX-License-Identifier: BSD-2-Clause
"""NVMe disks of guests: Debian's own driver, and firmware that boots from one."""
import hashlib
import os

import pytest
from keel import LINUX, fields, guest_elf, vm, vmx_in_soak
from test_disks import SHELL, ask
from test_sata import SEABIOS, file_of, rescue_disc


@pytest.mark.cost(20)
@vmx_in_soak
def test_linux(start, bed, tmp_path):
    """A queue for each vCPU and doorbells in memory; what is there is read, what is written is
    kept, what is discarded is gone; the second disk is read-only."""
    one, two = os.urandom(2 << 20), os.urandom(1 << 20)
    config = vm("debian", memory="128M", vcpus=2, disk="one.img, bus=nvme")
    config = config.replace("disk =", "disk = two.img, bus=nvme, mode=ro, slot=0:12.0\ndisk =")
    keel = start(bed, config=config, modules={
        **LINUX, "one.img": file_of(tmp_path / "one.img", one),
        "two.img": file_of(tmp_path / "two.img", two)}).boot()
    assert "one.img, bus=nvme, mode=overlay, slot=0:3.0" in keel.command("dumpconf debian")
    with keel.console("debian", "start debian --console"):
        keel.expect(r"READY [\d.]+")
        keel.expect(SHELL)
        out = ask(keel, "until [ -b /dev/nvme0n1 -a -b /dev/nvme1n1 ]; do sleep 1; done; "
                        "b=/sys/block/nvme0n1; echo = $(cat $b/size $b/ro) "
                        "$(cat $b/device/model $b/device/queue_count $b/mq/*/cpu_list) "
                        "$(cat /sys/block/nvme1n1/ro)")
        assert "= 4096 0 Keel NVMe Ctrl 3 0 1 1" in " ".join(out.split()), out
        # Each queue has a message of its own.
        assert "msi3msi" in ask(keel, "echo msi$(grep -c 'MSI.*nvme0q' /proc/interrupts)msi")
        out = ask(keel, "md5sum /dev/nvme0n1 /dev/nvme1n1")
        assert hashlib.md5(one).hexdigest() in out and hashlib.md5(two).hexdigest() in out, out
        # 256 KiB in the middle, by the page cache and past it; a read finds them again.
        out = ask(keel, "d=/dev/nvme0n1; dd if=/dev/urandom of=/x bs=64k count=4 2>/dev/null; "
                        "dd if=/x of=$d bs=512 seek=1001 conv=fsync 2>/dev/null; "
                        "echo 3 >/proc/sys/vm/drop_caches; "
                        "dd if=$d bs=512 skip=1001 count=512 2>/dev/null | cmp - /x && "
                        "echo sa$((1))me")
        assert "sa1me" in out, out
        out = ask(keel, "blkdiscard $d; dd if=$d bs=512 skip=1008 count=504 2>/dev/null | "
                        "tr -d '\\0' | wc -c; dd if=/dev/zero of=/dev/nvme1n1 bs=512 count=1")
        assert "\n0\n" in out and "not permitted" in out, out
        assert hashlib.md5(two).hexdigest() in ask(keel, "md5sum /dev/nvme1n1")
        out = ask(keel, "echo bad$(dmesg | grep nvme | grep -ciE 'error|fail|time|unable')bad; "
                        "dmesg | grep nvme")
        assert "bad0bad" in out, out
        # At work while its state is saved, reset, loaded and compared.
        ask(keel, "while :; do echo 3 >/proc/sys/vm/drop_caches; md5sum /dev/nvme1n1; done "
                  ">/sums & sleep 1")
    assert "came back the same" in keel.command("domstatecheck debian 30")
    with keel.console("debian"):
        out = ask(keel, "kill $!; sort -u /sums | wc -l; cat /sums | head -1")
        assert "\n1\n" in out and hashlib.md5(two).hexdigest() in out, out
        # The driver lets go of a controller and takes it again.
        out = ask(keel, "p=$(readlink -f /sys/block/nvme1n1/device/device); "
                        "echo ${p##*/} >/sys/bus/pci/drivers/nvme/unbind; "
                        "echo ${p##*/} >/sys/bus/pci/drivers/nvme/bind; "
                        "until [ -b /dev/nvme1n1 ]; do sleep 1; done; md5sum /dev/nvme1n1")
        assert hashlib.md5(two).hexdigest() in out, out
    keel.command("destroy debian")
    keel.poweroff()


@pytest.mark.cost(10)
def test_boot(start, bed, tmp_path):
    """SeaBIOS finds the disk by its own driver, and GRUB reads its configuration by INT 13h."""
    config = "[vm one]\nmemory = 32M\nfirmware = bios\ndisk = grub.iso, bus=nvme\n"
    keel = start(bed, config=config,
                 modules={"bios": SEABIOS, "grub.iso": rescue_disc(tmp_path)}).boot()
    with keel.console("one", "start one --console"):
        keel.expect("read by hd0")
    assert "came back the same" in keel.command("domstatecheck one 3")
    keel.command("destroy one")
    keel.poweroff()


@pytest.mark.cost(10)
def test_driver(start, bed, tmp_path):
    """tests/guest/nvme.c: a driver of its own: compares, zeroes, discards, resets, and what is no
    memory."""
    size = 2 * 1024 * 1024
    rule = bytes((i * 7 + i // 512) & 255 for i in range(size))
    config = vm("disk", memory="64M", kernel="nvme.elf", initrd=None, cmdline="nvme",
                debug_exit="yes", disk="rule.img, bus=nvme")
    keel = start(bed, config=config, modules={
        "nvme.elf": guest_elf("nvme"), "rule.img": file_of(tmp_path / "rule.img", rule)}).boot()
    keel.command("start disk")
    keel.wait_state("disk", "shut off")
    said = keel.command("console disk")
    assert fields(keel.command("dominfo disk")).get("Exit code") == "1", said
    assert "FAIL" not in said and "PASS queue_nowhere" in said, said
    keel.poweroff()
