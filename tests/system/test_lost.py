# SPDX-License-Identifier: BSD-2-Clause
"""A machine of one processor that loses interrupts, as QEMU's TCG does now and then: drop_irqs=N
makes one of N wait for the next one. The terminal answers, guests start, time goes on."""
import pytest

from keel import LINUX, guest_elf, vm, vmx_in_soak


def answers(keel, word):
    for n in range(20):
        assert f"{word}{n}" in keel.command(f"echo {word}{n}")


@pytest.mark.cost(20)
@vmx_in_soak
def test_terminal(start, bed):
    """With the processor idle, and beside a guest that never is."""
    keel = start(bed, config=vm("spin", kernel="spin", initrd=None, cmdline="quiet"),
                 modules={"spin": guest_elf("spin")}, cmdline="drop_irqs=2").boot()
    assert "interrupt_may_get_lost" in keel.command("nodeinfo")
    answers(keel, "idle")
    keel.command("start spin")
    keel.wait_state("spin", "running")
    answers(keel, "busy")


@pytest.mark.cost(40)
@vmx_in_soak
def test_debian(start, bed):
    keel = start(bed, config=vm("debian"), modules=LINUX, cmdline="drop_irqs=2").boot()
    with keel.console("debian", "start debian --console"):
        keel.expect(r"READY [\d.]+")
        keel.expect("debian:/# ")
        keel.send("while :; do :; done\r")
    answers(keel, "busy")
