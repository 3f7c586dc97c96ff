# SPDX-License-Identifier: BSD-2-Clause
"""From power-on to the prompt: each way to boot, each number of cores, and the refusals."""
import re

import pexpect
import pytest
from keel import fields


def cpus_of(keel):
    return int(fields(keel.command("nodeinfo"))["CPU(s)"])


def test_bios_grub(start, bed):
    keel = start(bed).boot()
    keel.command("help")
    keel.poweroff()
    assert not keel.child.isalive()


@pytest.mark.cost(10)
def test_uefi_grub(start):
    keel = start("svm", uefi=True).boot()
    assert cpus_of(keel) == 1
    keel.poweroff()


def test_pvh(start):
    keel = start("svm", pvh=True, config="[host]\nhostname = pvh0\n").boot()
    assert cpus_of(keel) == 1
    assert "pvh0" in keel.command("hostname")
    keel.poweroff()


def test_pvh_without_modules(start):
    keel = start("svm", pvh=True, config=None).boot()
    keel.poweroff()


@pytest.mark.parametrize("cpus", (2, 4, 8))
@pytest.mark.cost(5)
def test_cores_svm(start, cpus):
    keel = start("svm", cpus=cpus).boot()
    assert cpus_of(keel) == cpus
    keel.poweroff()


@pytest.mark.parametrize("cpus", (2, 4))
@pytest.mark.cost(10)
def test_cores_vmx(start, cpus):
    keel = start("vmx", cpus=cpus).boot()
    assert cpus_of(keel) == cpus
    keel.poweroff()


@pytest.mark.cost(5)
def test_cores_in_parallel(start):
    """The host runs the cores truly at once: races of the start-up would show here."""
    for _ in range(3):
        keel = start("svm", cpus=4, thread="multi").boot()
        assert cpus_of(keel) == 4
        keel.poweroff()


@pytest.mark.cost(5)
def test_ryzen_smoke(start):
    """Bochs's other SVM: next-RIP save, flush by ASID, pause filter, and quirks of its own."""
    keel = start("vmx", cpu_model="ryzen").boot()
    assert re.search(r"\bSVM\b", keel.command("nodeinfo"))
    keel.poweroff()


REFUSALS = {
    "svm without SVM": ("svm", {"cpu_model": "max,-svm"}, r"SVM|VT-x|VMX"),
    "vmx without EPT": ("vmx", {"cpu_model": "core2_penryn_t9600"}, r"EPT"),
    "vmx without unrestricted guest": ("vmx", {"cpu_model": "corei5_lynnfield_750"},
                                       r"unrestricted"),
    "svm without NPT": ("svm", {"cpu_model": "max,+svm,-npt"}, r"NPT|nested pag"),
    "too little memory": ("svm", {"memory": 16}, r"memory"),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.cost(3)
def test_refusal(start, case):
    """One clear line that says what is missing."""
    bed, options, pattern = REFUSALS[case]
    keel = start(bed, **options)
    keel.expect(r"keel: cannot start: ")
    line = keel.expect(r"\n")
    assert re.search(pattern, line), line
    with pytest.raises(pexpect.TIMEOUT):
        keel.child.expect("keel> ", timeout=2)
