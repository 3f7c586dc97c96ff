# SPDX-License-Identifier: BSD-2-Clause
"""Lifetimes: guests come and go a thousand times and leave no page behind."""
import re

import pytest
from keel import LINUX, rows, vm
from test_guests import module, tiny


def free_pages(keel):
    """`nodememstats`: the free memory in KiB, once the scrubber has nothing left to do."""
    previous = None
    while True:
        out = keel.command("nodememstats")
        free = int(re.search(r"(?im)^\s*free\s*:\s*(\d+)", out).group(1))
        if free == previous:
            return free
        previous = free
        keel.settle(0.5)


@pytest.mark.cost(100)
def test_rounds_leave_nothing(start, bed, soak):
    """A tiny guest again and again; a page lost in each round would show. It prints nothing: a
    domain keeps what nobody read."""
    keel = start(bed, config=tiny("spin", cmdline="quiet"), modules=module("spin")).boot()

    def rounds(count):
        for _ in range(count):
            keel.send("start spin; destroy spin\r")
            keel.child.expect("'spin' destroyed")

    rounds(3)
    before = free_pages(keel)
    rounds(3000 if soak else 300)
    assert free_pages(keel) == before
    keel.poweroff()


@pytest.mark.cost(60)
def test_many(start, soak):
    """250 tiny guests at once, in the long form 1,000, on one CPU: all start and run, are listed,
    and end; what they held comes back, but for what pools and unread consoles keep."""
    names = [f"tiny{i}" for i in range(1000 if soak else 250)]
    config = "".join(vm(name, memory="2M", kernel="die.elf", initrd=None, cmdline="cli_hlt")
                     for name in names)
    keel = start("svm", config=config, modules=module("die"),
                 memory="16G" if soak else "2G").boot()
    before = free_pages(keel)
    for name in names:
        keel.command(f"start {name}")
    assert [row[1:] for row in rows(keel.command("list"))] == [[n, "running"] for n in names]
    halts = re.findall(r"(?m)^\s*exits\.hlt\.count=1$", keel.command("domstats --exits"))
    assert len(halts) == len(names)
    with keel.console(names[-1]):
        keel.expect("GOING cli_hlt")
    for name in names:
        keel.command(f"destroy {name}")
    keel.wait_for("list", r"---\s*\Z")
    assert len(rows(keel.command("list --all"))) == len(names)
    assert before - free_pages(keel) < 64 * len(names)
    keel.poweroff()


@pytest.mark.cost(30)
def test_linux_rounds_leave_nothing(start, bed):
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    free = []
    for _ in range(4):
        keel.command("start debian")
        keel.settle(3)
        keel.command("destroy debian")
        free.append(free_pages(keel))
    assert len(set(free[1:])) == 1, free
    keel.poweroff()


@pytest.mark.cost(30)
def test_destroy_while_booting(start):
    """Destroyed at any moment of its boot, a guest ends, and its memory comes back."""
    keel = start("svm", config=vm("debian"), modules=LINUX, cpus=2).boot()
    free = []
    for wait in (0, 0.05, 0.2, 0.5, 1, 2, 3, 5):
        keel.command("start debian")
        keel.settle(wait)
        keel.command("destroy debian")
        keel.wait_state("debian", "shut off")
        free.append(free_pages(keel))
    # What the first round leaves in the pools stays there.
    assert max(free[1:]) - min(free[1:]) <= 64, free
    keel.poweroff()
