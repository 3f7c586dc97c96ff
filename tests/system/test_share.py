# SPDX-License-Identifier: BSD-2-Clause
"""Busy guests share cores fairly, by Keel's own accounting, where the clock counts instructions."""
import re

import pytest

from keel import EXACT, guest_elf, vm

SPIN = {"spin.elf": guest_elf("spin")}


def spinner(name, cmdline="quiet", **more):
    return vm(name, memory="16M", kernel="spin.elf", initrd=None, cmdline=cmdline, **more)


def cpu_time(keel, name):
    return int(re.search(r"cpu\.time=(\d+)", keel.command(f"domstats {name}")).group(1))


def shares(keel, names, seconds):
    """The cpu time of each over at least so many of the host's seconds in all."""
    before = {n: cpu_time(keel, n) for n in names}
    while True:
        ran = {n: cpu_time(keel, n) - before[n] for n in names}
        if sum(ran.values()) >= seconds * 1e9:
            return ran
        keel.settle(2)


def spin(start, bed, names, cmdline="quiet", **more):
    keel = start(bed, config="".join(spinner(name, cmdline) for name in names), modules=SPIN,
                 **EXACT[bed], **more).boot()
    for name in names:
        keel.command(f"start {name}")
    return keel


def check_even(ran, tolerance):
    mean = sum(ran.values()) / len(ran)
    for ns in ran.values():
        assert abs(ns - mean) < tolerance * mean, ran


@pytest.mark.cost(40)
def test_two_guests_share_a_core(start, bed):
    """Each within 5% of half of the core over 2 s; they have interrupts off and never
    exit by themselves."""
    ran = shares(spin(start, bed, "ab"), "ab", 2)
    check_even(ran, 0.05)


@pytest.mark.cost(90)
def test_three_guests_share_two_cores(start):
    """They take turns at sharing a core; if they did not, one would have half as much again as the
    mean. A move comes every 100 ms, so that a few of them are within the tolerance;
    tests/unit/test_sched.c holds the scheduler itself to 2.5%."""
    ran = shares(spin(start, "svm", "abc", cpus=2, cmdline="quiet pause"), "abc", 12)
    check_even(ran, 0.10)


@pytest.mark.cost(40)
def test_vcpus_share_what_their_vm_gets(start, soak):
    """VMs of 1, 4 and 16 busy vCPUs on one core: a third each within 2% over 5 s, or 5% over 1 s."""
    vcpus = {"a": 1, "b": 4, "c": 16}
    config = "".join(spinner(name, "quiet all", vcpus=n) for name, n in vcpus.items())
    keel = start("svm", config=config, modules=SPIN, icount=True).boot()
    for name in vcpus:
        keel.command(f"start {name}")
    ran = shares(keel, vcpus, 5 if soak else 1)
    check_even(ran, 0.02 if soak else 0.05)
    busy = re.findall(r"vcpu\.\d+\.time=(\d+)", keel.command("domstats c"))
    assert all(int(ns) > 0 for ns in busy), busy


@pytest.mark.cost(20)
@pytest.mark.parametrize("bed,by", [
    ("svm", "8259"), ("svm", "ioapic"), ("vmx", "ioapic"),
    pytest.param("vmx", "8259", marks=pytest.mark.soak)])
def test_ticks_beside_a_busy_guest(start, bed, by):
    """A guest that counts the 8254's ticks keeps time on half a core."""
    config = spinner("busy") + vm("ticks", memory="16M", kernel="ticks.elf", initrd=None,
                                  cmdline=f"ticks {by}", debug_exit="yes")
    keel = start(bed, config=config,
                 modules={**SPIN, "ticks.elf": guest_elf("ticks")}).boot()
    keel.command("start busy")
    with keel.console("ticks", "start ticks --console"):
        said = keel.expect("DONE.*")
    assert "PASS ticks" in said, said
    assert cpu_time(keel, "busy") > 0.5e9, "they did not share"
    keel.poweroff()
