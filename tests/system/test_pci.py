# SPDX-License-Identifier: BSD-2-Clause
"""The machine's PCI devices: found behind bridges, told of, driven, and their interrupts by every
way there is. Network cards of Intel's e1000 family raise any of them when told to
(drivers/pci_selftest.c); a serial card is a console."""
import re

import pytest

from keel import fields

CARDS = {
    "q35": ("svm", ["-device", "e1000e"]),
    "pc": ("svm", ["-machine", "pc", "-device", "e1000"]),
    "bochs": ("vmx", ["pci: slot1=e1000", "e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=null"]),
}


@pytest.mark.cost(10)
@pytest.mark.parametrize("machine", CARDS)
def test_interrupts(start, machine):
    """By the wire everywhere; by messages, to each CPU, where the card has them."""
    bed, emulator = CARDS[machine]
    cpus = 3 if machine == "q35" else 1
    keel = start(bed, cmdline="selftest=devices", cpus=cpus, emulator=emulator)
    text = keel.expect(r"selftest: (passed|\d+ failed)")
    keel.ended()
    assert "selftest: passed" in text
    came = [(how, int(cpu)) for how, cpu in
            re.findall(r"20 of 20 interrupts by (\S+) on CPU (\d)", text)]
    messages = [(how, cpu) for how in ("MSI", "MSI-X") for cpu in range(3)]
    assert came == [("wire", 0)] + (messages if machine == "q35" else [])


@pytest.mark.cost(10)
@pytest.mark.parametrize("machine", ("q35", "pc"))
def test_console_on_a_card(start, machine):
    """serial=pci: what is typed there comes by the card's own interrupt, whose wire others share."""
    keel = start("svm", serial="pci", emulator=["-machine", machine]).boot()
    assert re.search(r"serial: console on PCI 00:0\d\.0 \(0xc0\d0\), INTA, 115200 baud", keel.boot_log)
    assert "polling" not in keel.boot_log
    name = keel.wait_for("nodedev-list", r"pci_0000_00_0[12]_0\b(?![\s\S]*_00_0[12]_0\b)").group(0)
    facts = fields(keel.command(f"nodedev-info {name}"))
    assert facts["Driver"] == "serial" and facts["Class"] == "0x070002, serial controller"
    before = int(re.search(r"(\d+)  uart", keel.command("irqs")).group(1))
    assert len(keel.command("help").splitlines()) > 20
    assert int(re.search(r"(\d+)  uart", keel.command("irqs")).group(1)) > before
    keel.poweroff()


def test_no_such_card(start):
    """COM1 speaks until the card is found, and then goes on."""
    keel = start("svm", cmdline="serial=pci3", emulator=["-device", "pci-serial"]).boot()
    assert "there is no PCI card with a port 3" in keel.boot_log
    assert fields(keel.command("nodeinfo"))["Console"].startswith("COM1 (0x3f8), IRQ 4")
    keel.poweroff()


def test_nodedev(start, bed):
    """Names and facts, of what is behind a bridge too; nothing is written to who has no driver."""
    behind = ["-device", "pcie-root-port,id=behind,addr=5", "-device", "nvme,serial=x,bus=behind"]
    keel = start(bed, emulator=behind if bed == "svm" else []).boot()
    names = keel.command("nodedev-list").split()
    assert names[0] == "pci_0000_00_00_0" and names == sorted(names)
    facts = fields(keel.command("nodedev-info pci_0000_00_00_0"))
    assert facts["Class"] == "0x060000, host bridge" and facts["Parent"] == "computer"
    assert facts["Driver"] == "none" and facts["IOMMU group"] == "not known"
    if bed == "svm":
        assert "pci_0000_01_00_0" in names
        facts = fields(keel.command("nodedev-info pci_0000_01_00_0"))
        assert facts["Parent"] == "pci_0000_00_05_0" and facts["Class"] == "0x010802, NVMe controller"
        assert facts["MSI-X"] == "65" and facts["Reset"] == "by function"
        assert re.fullmatch(r"memory at 0x[0-9a-f]+000, 64 bits", facts["BAR 0"])
    assert "there is no device 'pci_0000_00_00_9'" in keel.command("nodedev-info pci_0000_00_00_9")
    keel.poweroff()
