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


@pytest.mark.cost(40)
def test_weights_and_caps(start):
    """By keel.conf and changed while they run; a second may have a burst of 20 ms more or less."""
    config = spinner("a", cpu_shares=3072) + spinner("b", "quiet all", vcpus=2)
    keel = start("svm", config=config, modules=SPIN, icount=True).boot()
    keel.command("start a; start b")
    ran = shares(keel, "ab", 1)
    assert abs(ran["a"] / sum(ran.values()) - 0.75) < 0.0375, ran
    said = keel.command("schedinfo a global_quota=20000")
    assert re.search(r"cpu_shares +: 3072\s+vcpu_period[\s\S]*global_quota +: 20000", said), said
    ran = shares(keel, "ab", 1)
    assert abs(ran["a"] / sum(ran.values()) - 0.2) < 0.03, ran
    keel.command("schedinfo a global_quota=-1; schedinfo a cpu_shares=1024; schedinfo b vcpu_quota=10000")
    ran = shares(keel, "ab", 1)
    assert abs(ran["b"] / sum(ran.values()) - 0.2) < 0.03, ran
    # One that shall wait is ended at once all the same.
    assert "destroyed" in keel.command("schedinfo b vcpu_quota=1000 --live; destroy b")
    keel.poweroff()


def where(keel, name):
    """The CPUs of its vCPUs, and where each may run."""
    said = keel.command(f"vcpuinfo {name}")
    return re.findall(r"CPU:\s+(\d+)\s+State[^V]*?CPU Affinity:\s+([y-]+)", said)


@pytest.mark.cost(20)
def test_vcpus_stay_where_they_are_held(start, bed):
    """By keel.conf, and moved while they run or wait; what the host does not have is refused."""
    config = spinner("a", "quiet all", vcpus=2, cpuset="0-1,^0") + spinner("b") \
        + spinner("none", cpuset="7")
    keel = start(bed, config=config, modules=SPIN, cpus=2).boot()
    assert "cpuset: not all CPUs of '7' exist: the host has 0 to 1" in keel.command("dmesg")
    assert "no domain has the name" in keel.command("start none")
    keel.command("start a")
    keel.command("start b")
    keel.settle(2)
    assert where(keel, "a") == [("1", "-y")] * 2
    assert where(keel, "b") == [("0", "yy")]
    keel.command("vcpupin a 1 0; vcpupin b 0 1")
    keel.settle(2)
    assert where(keel, "a") == [("1", "-y"), ("0", "y-")]
    assert where(keel, "b") == [("1", "-y")]
    keel.command("suspend a; vcpupin a 0 0; resume a; vcpupin a 1 1")
    keel.settle(2)
    assert where(keel, "a") == [("0", "y-"), ("1", "-y")]
    assert "vcpupin: not all CPUs of '2' exist" in keel.command("vcpupin a 1 2")
    assert "vcpupin = 0:0" in keel.command("dumpconf a")
    keel.command("reset a")
    keel.settle(2)
    assert where(keel, "a") == [("0", "y-"), ("1", "-y")]
    keel.poweroff()


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
