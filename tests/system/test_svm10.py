# SPDX-License-Identifier: BSD-2-Clause
"""The third bed: SVM under QEMU 10, with x2APIC, an XSETBV intercept and other errata. A smoke run:
the prompt, many cores, Debian, and the guest kernels that look closest at the processor."""
import os
import subprocess

import pytest
from keel import BUILD, LINUX, ROOT, fields, vm
from test_guests import check_guest

DIR = f"{BUILD}/qemu10"
MISSING = subprocess.run([f"{ROOT}/tools/qemu10", DIR], stderr=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, check=False).returncode


def reason():
    try:
        with open(f"{DIR}/unavailable", encoding="utf-8") as f:
            return f.read().strip()
    except OSError:
        return "tools/qemu10 failed"


pytestmark = pytest.mark.skipif(MISSING, reason=reason() if MISSING else "")

KERNELS = "clock control cpuid insns irq keys lapic mmio msr pic pio processors xsave".split()


@pytest.mark.grub
@pytest.mark.parametrize("cpus", (1, 4))
@pytest.mark.cost(5)
def test_boot(start, cpus):
    keel = start("svm10", cpus=cpus).boot()
    node = keel.command("nodeinfo")
    assert int(fields(node)["CPU(s)"]) == cpus
    # QEMU's name, and mended all the same.
    assert "svm_inject_by_virq" in node and "xsetbv_not_intercepted" not in node
    keel.poweroff()


@pytest.mark.grub
@pytest.mark.cost(10)
def test_icount(start):
    """There QEMU's x2APIC must be off."""
    keel = start("svm10", icount=True).boot()
    keel.poweroff()


@pytest.mark.cost(30)
def test_debian(start):
    keel = start("svm10", config=vm("debian", vcpus=2), modules=LINUX, cpus=2).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
        keel.send("poweroff\r")
        keel.expect("has powered off|shut off")
    keel.poweroff()


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.cost(5)
def test_guest_kernel(start, name):
    check_guest(start, "svm10", name)
