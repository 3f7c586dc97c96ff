# SPDX-License-Identifier: BSD-2-Clause
"""Disks of guests: Debian's own virtio drivers read an image whole, write over it, and give back."""
import hashlib
import os
import re

import pytest
from keel import LINUX, fields, guest_elf, vm, vmx_in_soak

SHELL = r"\w+:/# "
MODULES = ("virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk "
           "virtio-rng")


@pytest.fixture(name="images")
def images_(tmp_path):
    """Two images of random bytes; the first one's last block of 4 KiB is not whole."""
    paths = {}
    for name, size in (("one.img", 3 * 1024 * 1024 + 1536), ("two.img", 1024 * 1024)):
        paths[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(os.urandom(size))
    return paths


def md5(path):
    with open(path, "rb") as f:
        return hashlib.md5(f.read()).hexdigest()


def ask(keel, line):
    keel.send(line + "; echo do$((1))ne\r")
    return keel.expect(r"do1ne[\s\S]*?" + SHELL)


def load_drivers(keel, legacy):
    """With the interface of virtio 1, or with the older one."""
    keel.expect(r"READY [\d.]+")
    keel.expect(r"\w+:/# ")
    said = ask(keel, f"for m in {MODULES}; do insmod /lib/$m.ko; done".replace(
        "$m.ko", f"$m.ko $([ $m = virtio_pci ] && echo force_legacy={int(legacy)})"))
    # VERSION_1 is among the features that both sides have.
    assert f"v{int(not legacy)}v" in ask(keel, "echo v$(cut -c 33 /sys/bus/virtio/devices/virtio1/"
                                               "features)v")
    return said


@pytest.mark.cost(40)
@vmx_in_soak
def test_debian_virtio(start, bed, images):
    """/dev/vda is the image, byte for byte; what is written is read again, and only there: the next
    start has the image as it was. /dev/vdb is read-only. /dev/hwrng gives bytes."""
    config = vm("debian", memory="128M", vcpus=2, disk="one.img", device="virtio-rng-pci, slot=0:5.0")
    config = config.replace("disk =", "disk = two.img, mode=ro, slot=0:12.0\ndisk =")
    keel = start(bed, config=config, modules={**LINUX, **images}).boot()
    assert "one.img, bus=virtio, mode=overlay, slot=0:3.0" in keel.command("dumpconf debian")
    for legacy in (False, True):
        with keel.console("debian", "start debian --console"):
            said = load_drivers(keel, legacy)
            assert md5(images["one.img"]) in ask(keel, "md5sum /dev/vda"), said
            assert md5(images["two.img"]) in ask(keel, "md5sum /dev/vdb")
            out = ask(keel, "b=/sys/block/vda; echo = $(cat $b/size $b/ro) $(cat $b/serial) "
                            "$(cat $b/mq/*/cpu_list) $(cat /sys/block/vdb/ro) "
                            "$(cat $b/queue/discard_max_bytes)")
            assert "= 6147 0 one.img 0 1 1 3147264" in " ".join(out.split()), out
            # 64 KiB in the middle, by the page cache and past it; a read finds them again.
            out = ask(keel, "dd if=/dev/urandom of=/x bs=64k count=1 2>/dev/null; "
                            "dd if=/x of=/dev/vda bs=512 seek=1001 conv=fsync 2>/dev/null; "
                            "echo 3 >/proc/sys/vm/drop_caches; "
                            "dd if=/dev/vda bs=512 skip=1001 count=128 2>/dev/null | cmp - /x && "
                            "echo sa$((1))me")
            assert "sa1me" in out, out
            # What was written and is discarded reads as zeros: its memory has gone back.
            out = ask(keel, "blkdiscard /dev/vda; dd if=/dev/vda bs=512 skip=1001 count=128 "
                            "2>/dev/null | tr -d '\\0' | wc -c")
            assert "\n0\n" in out, out
            out = ask(keel, "dd if=/dev/zero of=/dev/vdb bs=512 count=1; "
                            "dd if=/dev/hwrng bs=16 count=64 2>/dev/null | wc -c")
            assert "1024" in out, out
            assert md5(images["two.img"]) in ask(keel, "md5sum /dev/vdb")
            # At work while its state is saved, reset, loaded and compared.
            ask(keel, "while :; do echo 3 >/proc/sys/vm/drop_caches; md5sum /dev/vdb; done "
                      ">/sums & sleep 1")
        assert "came back the same" in keel.command("domstatecheck debian 30")
        # And nothing that the disk wrote to its memory went by the dirty log.
        said = keel.command("dommemcheck debian", timeout=600)
        changed, marked = map(int, re.search(r"changed (\d+) frames .* were (\d+) in all",
                                             said).groups())
        assert 0 < changed <= marked, said
        with keel.console("debian"):
            out = ask(keel, "kill $!; sort -u /sums | wc -l; cat /sums | head -1")
            assert "\n1\n" in out and md5(images["two.img"]) in out, out
        keel.command("destroy debian")
        keel.wait_state("debian", "shut off")
    keel.poweroff()


@pytest.mark.cost(10)
def test_disk(start, bed, tmp_path):
    """tests/guest/disk.c: a driver of its own, in both formats, polling and by MSI-X, and rings
    that are bent."""
    size = 2 * 1024 * 1024
    (tmp_path / "rule.img").write_bytes(bytes((i * 7 + i // 512) & 255 for i in range(size)))
    config = vm("disk", memory="64M", kernel="disk.elf", initrd=None, cmdline="disk",
                debug_exit="yes", disk="rule.img, mode=overlay")
    keel = start(bed, config=config, modules={
        "disk.elf": guest_elf("disk"), "rule.img": str(tmp_path / "rule.img")}).boot()
    keel.command("start disk")
    keel.wait_state("disk", "shut off")
    said = keel.command("console disk")
    assert fields(keel.command("dominfo disk")).get("Exit code") == "1", said
    assert "FAIL" not in said and "PASS buffer_nowhere" in said, said
    keel.poweroff()
