# SPDX-License-Identifier: BSD-2-Clause
"""Guests that begin at their reset vector, in Debian's unmodified SeaBIOS."""
import os
import re

import pytest
from keel import BUILD, KERNEL, INITRD, LINUX_CMDLINE
from test_guests import exit_code

SEABIOS = "/usr/share/seabios/bios-256k.bin"
OVMF = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")
LINUXBOOT = "/usr/share/qemu/linuxboot_dma.bin"
UUID = "6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e811"


def pc(name, **keys):
    keys = {"memory": "32M", "firmware": "bios", **keys}
    return f"[vm {name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n"


def option_rom(path, code):
    """A ROM that firmware calls once it has set the machine up."""
    rom = b"\x55\xaa\x01" + code.ljust(508, b"\0")
    with open(path, "wb") as f:
        f.write(rom + bytes([-sum(rom) & 0xff]))


def test_seabios(start, bed):
    """To its boot attempt, and its state there is whole; with two vCPUs it waits for the other to
    have come."""
    config = pc("one", uuid=UUID) + pc("two", vcpus=2)
    keel = start(bed, config=config, modules={"bios": SEABIOS}, cpus=2).boot()
    with keel.console("one", "start one --console"):
        seen = keel.expect(r"No bootable device\.")
    assert "SeaBIOS (version" in seen and f"Machine UUID {UUID}" in seen
    with keel.console("two", "start two --console"):
        keel.expect(r"No bootable device\.")
    keel.wait_for("vcpuinfo two", "VCPU: +1\n.*\nState: +blocked")
    for name in ("one", "two"):
        assert "came back the same" in keel.command(f"domstatecheck {name} 3")
        assert "each was marked" in keel.command(f"dommemcheck {name}")
        assert "Domain" in keel.command(f"destroy {name}")
    keel.poweroff()


def test_reset(start, bed, tmp_path):
    """Port CF9h restarts it from its image; a fast reset by port 92h does, too."""
    ports = {"cf9": "ba f9 0c b0 02 ee b0 06 ee cb", "92": "b0 00 e6 92 b0 01 e6 92 cb"}
    modules = {"bios": SEABIOS}
    for name, code in ports.items():
        modules[f"{name}.rom"] = str(tmp_path / name)
        option_rom(modules[f"{name}.rom"], bytes.fromhex(code))
    config = "".join(pc(f"by-{name}", option_rom=f"{name}.rom") for name in ports)
    keel = start(bed, config=config, modules=modules).boot()
    for name in ports:
        with keel.console(f"by-{name}", f"start by-{name} --console"):
            keel.expect(r"SeaBIOS \(version")
            keel.expect(r"SeaBIOS \(version")
        keel.command(f"destroy by-{name}")
        keel.wait_state(f"by-{name}", "shut off")
    keel.poweroff()


def boot_sector(path, word):
    """A disk whose first sector says that by the BIOS; without a word it cannot be started."""
    code = bytes.fromhex("31c0 8ed8 be187c ac 84c0 7409 b40e bb0700 cd10 ebf2 f4 ebfd")
    start = code + f"this is {word}".encode() if word else b""
    sector = start.ljust(510, b"\0") + (b"\x55\xaa" if word else b"")
    path.write_bytes(sector.ljust(1 << 20, b"\0"))
    return str(path)


def test_boot_order(start, tmp_path):
    """Which disk is started first: at each kind of controller, by numbers and by kinds; what is not
    in the order is not tried; the menu offers all."""
    words = {"one": "one", "two": "two", "none": ""}
    guests = {
        "second": (["disk = one", "disk = two, boot=1"], "this is two"),
        "behind": (["device = pcie-root-port, slot=0:1c.0", "disk = one, slot=0:3.0, boot=2",
                    "disk = two, slot=1:0.0, boot=1"], "this is two"),
        "sata": (["disk = one, boot=9", "disk = none, bus=sata",
                  "disk = two, bus=sata, port=4, boot=8"], "this is two"),
        "ide": (["disk = one, boot=9", "disk = none, bus=ide",
                 "disk = two, bus=ide, port=3, boot=8"], "this is two"),
        "next": (["disk = two", "disk = one, boot=2", "cdrom = none, boot=1"], "this is one"),
        "strict": (["disk = one", "cdrom = none, boot=1"], r"No bootable device\."),
        "kinds": (["disk = one", "cdrom = none", "boot = cdrom, disk"], "this is one"),
    }
    config = "".join(f"[vm {name}]\nmemory = 32M\nfirmware = bios\n" + "\n".join(lines) + "\n"
                     for name, (lines, _) in guests.items())
    config += pc("menu", disk="one", boot_menu="60000")
    keel = start("svm", config=config, modules={
        "bios": SEABIOS, **{n: boot_sector(tmp_path / n, w) for n, w in words.items()}}).boot()
    for name, (_, said) in guests.items():
        with keel.console(name, f"start {name} --console"):
            assert "this is" not in keel.expect(said)[:-len(said)]
        keel.command(f"destroy {name}")
    with keel.console("menu", "start menu --console"):
        keel.expect("Press ESC for boot menu")
        keel.send("\x1b")
        keel.expect("Select boot device:")
        keel.expect(r"1\. Virtio disk")
        keel.send("1")
        keel.expect("this is one")
    assert "<boot dev='cdrom'/>" in keel.command("dumpxml kinds")
    assert "<bootmenu enable='yes' timeout='60000'/>" in keel.command("dumpxml menu")
    keel.poweroff()


def test_hostile(start, bed):
    """Two processors move what is shown below 1 MiB, and the chipset's registers, under each
    other: contained, and all answers as the registers say afterwards. Another guest beside it does
    not notice."""
    config = pc("bad", vcpus=2, firmware="shadow.rom", debug_exit="yes") + pc("good")
    keel = start(bed, config=config, cpus=2, modules={
        "shadow.rom": f"{BUILD}/tests/guest/shadow.rom", "bios": SEABIOS}).boot()
    keel.command("start bad")
    with keel.console("good", "start good --console"):
        keel.expect(r"No bootable device\.")
    keel.wait_state("bad", "shut off")
    assert exit_code(keel, "bad") == 1
    keel.poweroff()


def test_chipset(start, bed):
    """What a machine with firmware has besides: the HPET's interrupts, SMBus and DMA registers, and
    the watchdog, which starts it a second time."""
    keel = start(bed, config=pc("tries", firmware="chipset.rom", debug_exit="yes"), modules={
        "chipset.rom": f"{BUILD}/tests/guest/chipset.rom"}).boot()
    keel.command("start tries")
    keel.wait_state("tries", "shut off")
    assert exit_code(keel, "tries") == 1
    assert "domain 'tries' has reset itself" in keel.command("dmesg")
    keel.poweroff()


def hpet_keeps_time(keel):
    """A sleep by the HPET's clock is as long by the RTC's, whichever is read first: the outer
    difference is never the smaller one, but for the RTC's second."""
    keel.send("cd /sys/devices/system/clocksource/clocksource0; cat available_clocksource\r")
    assert "hpet" in keel.expect("debian:.*# ").split()
    keel.send("echo hpet >current_clocksource; cat current_clocksource\r")
    assert "hpet" in keel.expect("debian:.*# ").splitlines()
    rtc, up = "echo $(cat /sys/class/rtc/rtc0/since_epoch)00", "cut -d' ' -f1 /proc/uptime | tr -d ."
    keel.send(f"{rtc}; {up}; {rtc}; sleep 4; {rtc}; {up}; {rtc}\r")
    seen = [int(n) for n in re.findall(r"^\d+$", keel.expect("debian:.*# "), re.M)]
    assert len(seen) == 6, seen
    assert seen[4] - seen[1] < seen[5] - seen[0] + 100, seen
    assert seen[3] - seen[2] < seen[4] - seen[1] + 100, seen
    keel.send("echo kvm-clock >current_clocksource\r")
    keel.expect("debian:.*# ")


@pytest.mark.skipif(not os.path.exists(LINUXBOOT), reason="no linuxboot_dma.bin (qemu-system-data)")
@pytest.mark.cost(12)
def test_linux_by_seabios(start):
    """Debian's kernel, which takes memory map, ACPI and SMBIOS from the BIOS, and reboots by it."""
    config = pc("debian", memory="192M", vcpus=2, kernel="vmlinuz", initrd="initrd.img",
                cmdline=f"{LINUX_CMDLINE} hostname=debian", option_rom="linuxboot.bin",
                manufacturer="A maker", product="Some machine", serial="S-1234", uuid=UUID)
    keel = start("svm", config=config, memory=512, modules={
        "bios": SEABIOS, "linuxboot.bin": LINUXBOOT, "vmlinuz": KERNEL, "initrd.img": INITRD}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
        keel.send("cd /sys/class/dmi/id; cat sys_vendor product_name product_serial product_uuid\r")
        seen = keel.expect("debian:.*# ")
        for text in ("A maker", "Some machine", "S-1234", UUID):
            assert text in seen.splitlines(), seen
        keel.send("dmesg | grep -iE 'acpi.*error|firmware bug|mmconfig|brought up|i8042'\r")
        seen = keel.expect("debian:.*# ")
        assert "MMCONFIG" in seen and "2 CPUs" in seen and "i8042 KBD port" in seen, seen
        assert "PNP0303:KBD,PNP0f13:MOU" in seen and "i8042 AUX port" in seen, seen
        assert not re.search(r"\] .*(error|Firmware Bug)", seen, re.I), seen
        hpet_keeps_time(keel)
        # Its clock goes on from what the guest has set it to.
        keel.send("date -s 2031-02-03 >/dev/null; hwclock -w -u; reboot\r")
        keel.expect(r"SeaBIOS \(version")
        keel.expect("READY")
        keel.expect("debian:.*# ")
        keel.send("date +year%Y\r")
        keel.expect("year2031")
    assert "came back the same" in keel.command("domstatecheck debian 5")
    keel.poweroff()


def test_refused(start):
    """What is no firmware's size is told where it is defined."""
    keel = start("svm", config=pc("odd"), modules={"bios": "/bin/true"}).boot()
    assert "a multiple of 4 KiB is wanted" in keel.boot_log
    keel.poweroff()


@pytest.mark.cost(70)
@pytest.mark.parametrize("bed", ["svm", pytest.param("vmx", marks=pytest.mark.soak)])
def test_ovmf(start, bed):
    """Debian's OVMF to its shell, with two vCPUs. A variable that is set there is in its flash
    after a reset; it lists an NVMe disk."""
    config = pc("efi", memory="128M", vcpus=2, firmware="efi", nvram="vars",
                disk="vars, bus=nvme")
    keel = start(bed, config=config, memory=512, cpus=2,
                 modules={"efi": OVMF[0], "vars": OVMF[1]}).boot()
    name = "setvar kept -guid 2c1f5f1e-5a4b-4a7c-9d3e-1c2b3a495867"

    def shell():
        keel.expect("seconds to skip")
        keel.send("\x1b")
        keel.expect("Shell> ")

    with keel.console("efi", "start efi --console"):
        shell()
        keel.send("map\r")
        keel.expect(r"NVMe\(0x1,")
        keel.expect("Shell> ")
        keel.send(f"{name} -bs -rt -nv =4711\r")
        keel.expect("Shell> ")
        keel.send("reset\r")
        shell()
        keel.send(f"{name}\r")
        keel.expect("47 *11")
        keel.expect("Shell> ")
    assert "came back the same" in keel.command("domstatecheck efi 3")
    keel.poweroff()


@pytest.mark.soak
def test_linux_by_ovmf(start, bed):
    """Debian's kernel as an EFI program: OVMF takes it from the firmware's configuration itself.
    It takes the screen over, and the card's registers where OVMF has put them, above 4 GiB."""
    config = pc("debian", memory="256M", vcpus=2, firmware="efi", nvram="vars", kernel="vmlinuz",
                initrd="initrd.img", cmdline=f"{LINUX_CMDLINE} hostname=debian",
                device="virtio-rng-pci, slot=0:3.0")
    keel = start(bed, config=config, memory=768, cpus=2, modules={
        "efi": OVMF[0], "vars": OVMF[1], "vmlinuz": KERNEL, "initrd.img": INITRD}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
        keel.send("ls /sys/firmware/efi; dmesg | grep -c 'Brought up 1 node, 2 CPUs'\r")
        assert "runtime" in keel.expect("\n1\r")
        keel.send("cat /proc/iomem; echo en''d\r")
        seen = keel.expect("\nend\r")
        assert re.search(r"100000000-[0-9a-f]+ : PCI Bus 0000:00\s+[0-9a-f]{9,10}-[0-9a-f]+ : "
                         r"0000:00:03.0", seen), seen
        assert re.search(r"c[0-9a-f]{7}-[0-9a-f]+ : 0000:00:01.0\s+c[0-9a-f]{7}-[0-9a-f]+ : efifb",
                         seen), seen
    assert "came back the same" in keel.command("domstatecheck debian 3")
    keel.poweroff()
