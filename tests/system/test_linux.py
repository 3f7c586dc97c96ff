# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own kernel as a guest: to its shell, typing in it, power-off, reboot, two at once."""
import os
import re
import shutil
import subprocess

import pytest
from keel import (BUILD, INITRD, KERNEL, LINUX, LINUX_CMDLINE, ROOT, clean, fields, vm,
                  vmx_in_soak)

SHELL = r"\w+:/# "


def ready(keel, name):
    """In the guest's console: waits for the guest's prompt."""
    keel.expect(r"READY [\d.]+")
    keel.expect(rf"{name}:/# ")


@pytest.mark.grub
@pytest.mark.cost(60)
def test_debian(start, bed):
    """The demo: start, work in the shell, leave and come back, power off."""
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        keel.send("echo $((6 * 7)) $(hostname)\r")
        keel.expect(r"42 debian")
        keel.expect(SHELL)
        keel.send("cat /proc/cpuinfo | grep -c ^processor; echo done\r")
        keel.expect(r"1\s+done")
    assert "running" in keel.command("domstate debian")
    # What comes while nobody looks is kept.
    with keel.console("debian"):
        keel.send("(sleep 2; echo was$((1 + 1))late) &\r")
        keel.expect(SHELL)
    keel.wait_for("domstats debian", r"\d")
    keel.settle(4 if bed == "svm" else 8)
    with keel.console("debian"):
        keel.expect("was2late")
        keel.send("\rpoweroff\r")
        keel.expect("Power down")
    keel.wait_state("debian", "shut off")
    keel.poweroff()


@pytest.mark.cost(50)
@vmx_in_soak
def test_debian_reboot_inside(start, bed):
    keel = start(bed, config=vm("debian", on_reboot="restart"), modules=LINUX).boot()
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        keel.send("reboot\r")
        ready(keel, "debian")
        keel.send("echo back $((40 + 2))\r")
        keel.expect("back 42")
    keel.command("destroy debian")
    keel.wait_state("debian", "shut off")
    keel.poweroff()


@pytest.mark.cost(40)
@vmx_in_soak
def test_debian_shutdown_from_keel(start, bed):
    """`shutdown` presses the ACPI power button; the guest powers itself down."""
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        # The guest must have come as far as to listen to its button.
        keel.send("until grep 'Power Button' /proc/bus/input/devices; do sleep 1; done; sleep 2; "
                  "echo list$((1 + 1))ens\r")
        keel.expect("list2ens")
    keel.command("shutdown debian")
    keel.wait_state("debian", "shut off")
    keel.poweroff()


@pytest.mark.cost(60)
@vmx_in_soak
def test_debian_drivers(start, bed):
    """Debian's own drivers find fw_cfg and pvpanic: what Keel tells is read, a panic is seen, and a
    reset makes the guest a working one again."""
    config = vm("debian", on_crash="preserve")
    keel = start(bed, config=config, modules=LINUX).boot()
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        keel.send("insmod /lib/qemu_fw_cfg.ko; cd /sys/firmware/qemu_fw_cfg; "
                  "echo rev $(cat rev) $(ls by_name/etc)\r")
        out = keel.expect(r"rev 3 [^\n]*\n")
        assert "e820" in out and "system-states" in out
        keel.send("C=; until [ \"$C\" ]; do sleep 1; C=$(find /sys/devices -name capability); done; "
                  "echo can $(cat $C)\r")
        keel.expect(r"can (0x)?3\r?\n")
        keel.send("echo c >/proc/sysrq-trigger\r")
        keel.expect("has crashed and is kept")
    keel.wait_for("domstate debian --reason", r"(?m)^crashed \(panicked\)")
    keel.command("reset debian")
    with keel.console("debian"):
        ready(keel, "debian")
    keel.command("destroy debian")
    keel.poweroff()


PCI = """\
device = pcie-root-port, slot=0:1c.0
device = edu, slot=1:0.0
device = pci-testdev, slot=0:4.0
"""
# A function's ids, the size of its configuration space, and the beginnings of that.
LSPCI = ("for d in *; do echo $d $(cat $d/vendor $d/device) $(wc -c <$d/config) "
         "$(od -An -v -tx1 -N 128 $d/config); done; echo all$((1 + 1))\r")


def has_capability(bytes_, wanted):
    at = bytes_[0x34]
    while at and bytes_[at] != wanted:
        at = bytes_[at + 1]
    return at != 0


@pytest.mark.cost(40)
@vmx_in_soak
def test_debian_pci(start, bed):
    """Linux numbers the bus behind a root port, finds edu there with 4 KiB of configuration space
    and MSI, and gives it a place where it answers."""
    keel = start(bed, config=vm("debian") + PCI, modules=LINUX).boot()
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        keel.send(f"cd /sys/bus/pci/devices; {LSPCI}")
        said = keel.expect(r"all2")
        found = {d: (v, i, int(n), bytes.fromhex(c)) for d, v, i, n, c in re.findall(
            r"(0000:\S+) (0x\w+) (0x\w+) (\d+) ((?: ?[0-9a-f]{2})+)", said)}
        keel.send("cd 0000:01:00.0; echo 1 >enable; devmem $(cut -d' ' -f1 resource | head -n1)\r")
        keel.expect("0x010000ED")
    assert {d: f[:3] for d, f in found.items()} == {
        "0000:00:00.0": ("0x8086", "0x29c0", 4096), "0000:00:04.0": ("0x1b36", "0x0005", 256),
        "0000:00:1f.0": ("0x8086", "0x2918", 256),
        "0000:00:1c.0": ("0x1b36", "0x000c", 4096), "0000:01:00.0": ("0x1234", "0x11e8", 4096)}
    assert has_capability(found["0000:01:00.0"][3] + bytes(128), 5), said
    keel.command("destroy debian")
    keel.poweroff()


@pytest.mark.soak
@pytest.mark.cost(60)
def test_debian_686(start):
    """A kernel of 32 bits, with PAE; the initrd's programs have 64. Bochs would unpack it for minutes."""
    config = vm("i686", kernel="vmlinuz-686", cmdline="console=ttyS0 cryptomgr.notests")
    keel = start("svm", config=config, modules={
        "vmlinuz-686": f"{BUILD}/guest/vmlinuz-686", "initrd.img": INITRD}).boot()
    with keel.console("i686", "start i686 --console"):
        said = keel.expect("Run /init as init process")
        assert "686-pae" in said and "Hypervisor detected: KVM" in said, said
        keel.expect("No working init found")
    keel.poweroff()


@pytest.mark.cost(40)
@pytest.mark.parametrize("bed,topology,ids,siblings,sockets", [
    ("svm", "2 sockets, 3 cores", "0 1 2 4 5 6", 3, 2),
    pytest.param("vmx", "3 cores, 2 threads", "0 1 2 3 4 5", 6, 1, marks=pytest.mark.soak)])
def test_debian_topology(start, bed, topology, ids, siblings, sockets):
    """Sockets, cores and threads are what the configuration says, APIC ids with gaps and all."""
    keel = start(bed, config=vm("debian", topology=topology), modules=LINUX, cpus=2).boot()
    assert fields(keel.command("dominfo debian"))["CPU(s)"] == "6"
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        keel.send("tr -d '\\t' </proc/cpuinfo | grep -E '^(apicid|physical id|cpu cores|siblings)'\r")
        said = keel.expect(SHELL)

    def told(what):
        return re.findall(rf"{what}: ?(\d+)", said)

    assert told("apicid") == ids.split(), said
    assert set(told("cpu cores")) == {"3"} and set(told("siblings")) == {str(siblings)}, said
    assert len(set(told("physical id"))) == sockets, said
    keel.poweroff()


@pytest.mark.cost(80)
@vmx_in_soak
def test_two_guests(start, bed):
    """Two guests side by side: each has its own memory, console and name; one's death leaves
    the other alone."""
    keel = start(bed, config=vm("debian") + vm("debian2"), modules=LINUX).boot()
    keel.command("start debian")
    keel.command("start debian2")
    for name in ("debian", "debian2"):
        with keel.console(name):
            ready(keel, name)
            keel.send(f"echo {name} > /tmp/me; cat /tmp/me /etc/hostname; hostname\r")
            keel.expect(rf"{name}\r\n")
            keel.expect(SHELL)
    keel.command("suspend debian2")
    assert "paused" in keel.command("domstate debian2")
    with keel.console("debian"):
        keel.send("cat /tmp/me; echo $((20 + 22))\r")
        keel.expect(r"debian\s+42")
    keel.command("resume debian2")
    keel.command("destroy debian")
    keel.wait_state("debian", "shut off")
    with keel.console("debian2"):
        keel.send("cat /tmp/me; echo $((20 + 22))\r")
        keel.expect(r"debian2\s+42")
        keel.send("poweroff\r")
        keel.expect("Power down")
    keel.wait_state("debian2", "shut off")
    keel.poweroff()


def normal(text):
    """Kernel messages of warning level and above, without what differs between two boots."""
    out = set()
    for line in re.findall(r"<[0-4]>\[[^\]]*\] ([^\r\n]*)", text):
        out.add(re.sub(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", "#", line))
    return out


ASK = f"{LINUX_CMDLINE} run=dmesg_-r&&poweroff"
GRUB_CFG = f"""\
linux /boot/vmlinuz '{ASK.replace(" ", "' '")}'
initrd /boot/initrd.img
boot
"""


def plain(bed, tmp_path):
    """What the same kernel says on the same bed without Keel."""
    if bed == "svm":
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-machine", "q35",
                   "-m", "192", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                   "-kernel", KERNEL, "-initrd", INITRD, "-append", ASK]
    else:
        grub = tmp_path / "iso" / "boot" / "grub"
        grub.mkdir(parents=True)
        (grub / "grub.cfg").write_text(GRUB_CFG)
        for path in LINUX.values():
            shutil.copy(path, grub.parent)
        subprocess.run(["grub-mkrescue", "-o", tmp_path / "linux.iso", "--fonts=", "--locales=",
                        "--themes=", "--install-modules=normal linux iso9660", tmp_path / "iso"],
                       check=True, capture_output=True)
        command = [f"{ROOT}/tools/run", "--bed", "vmx", "--ignore-bad-msrs",
                   "--iso", tmp_path / "linux.iso"]
    out = subprocess.run(["timeout", "300", *command], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, check=False)
    text = clean(out.stdout.decode("latin-1"))
    assert "READY" in text and "Power down" in text, text[-2000:]
    return normal(text)


@pytest.mark.cost(90)
@vmx_in_soak
def test_debian_warns_of_nothing_new(start, bed, tmp_path):
    keel = start(bed, config=vm("debian", cmdline=ASK), modules=LINUX).boot()
    with keel.console("debian", "start debian --console"):
        text = keel.expect("Power down")
    keel.poweroff()
    new = normal(text) - plain(bed, tmp_path)
    # There is no mouse, and where there is none Linux wonders.
    new = {line for line in new if "appears to have AUX port disabled" not in line}
    assert not new, "\n".join(sorted(new))


@pytest.mark.grub
@pytest.mark.cost(30)
def test_demo_iso(start, bed):
    """What `make run` starts: both Debian guests defined, not started."""
    with open(os.path.join(os.path.dirname(__file__), "../../configs/demo.conf"),
              encoding="utf-8") as f:
        keel = start(bed, config=f.read(), modules=LINUX).boot()
    out = keel.command("list --all")
    assert re.search(r"debian\s+shut off", out) and re.search(r"debian2\s+shut off", out)
    assert "debian" not in keel.command("list")
    keel.poweroff()


ELSEWHERE = {
    "uefi": ("svm", {"grub": True, "uefi": True}), "pvh": ("svm", {"pvh": True}),
    "2 cores": ("svm", {"grub": True, "cpus": 2}),
    "4 parallel cores": ("svm", {"cpus": 4, "thread": "multi"}),
    "4 GiB": ("svm", {"grub": True, "memory": "5G"}),
    "vmx 2 cores": ("vmx", {"cpus": 2}), "ryzen": ("vmx", {"cpu_model": "ryzen"}),
    "4K code pages": ("vmx", {"cmdline": "itlb_multihit=on"}),
}


@pytest.mark.cost(70)
@pytest.mark.parametrize("where", ELSEWHERE)
def test_debian_elsewhere(start, where):
    """The guest does not mind how Keel was started, nor on what."""
    bed, options = ELSEWHERE[where]
    keel = start(bed, config=vm("debian") + vm("debian2"), modules=LINUX, **options).boot()
    info = keel.command("nodeinfo")
    assert ("itlb_multihit -" in info) == (where == "4K code pages")
    assert re.search(r"^Mitigations: +none: an emulator", info, re.M)
    two = bed == "svm"  # on Bochs test_two_guests is enough
    if two:
        keel.command("start debian2")
    with keel.console("debian", "start debian --console"):
        ready(keel, "debian")
        keel.send("echo $((6 * 7)) && poweroff\r")
        keel.expect("42")
        keel.expect("Power down")
    keel.wait_state("debian", "shut off")
    assert not two or keel.state("debian2") == "running"
    keel.poweroff()
