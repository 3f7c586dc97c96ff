# SPDX-License-Identifier: BSD-2-Clause
"""Lifetimes: guests come and go a thousand times and leave no page behind."""
import re

import pytest
from keel import LINUX, vm


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
@pytest.mark.parametrize("bed,rounds", (("svm", 1000), ("vmx", 1000)))
def test_rounds_leave_nothing(start, bed, rounds):
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()

    def round_trip(count):
        for _ in range(count):
            keel.send("start debian; destroy debian\r")
            keel.child.expect("destroyed")
        keel.wait_state("debian", "shut off")

    round_trip(3)
    before = free_pages(keel)
    round_trip(rounds)
    assert free_pages(keel) == before
    keel.poweroff()


@pytest.mark.cost(30)
def test_destroy_while_booting(start):
    """Destroyed at any moment of its boot, a guest ends, and its memory comes back."""
    keel = start("svm", config=vm("debian"), modules=LINUX, cpus=2).boot()
    before = free_pages(keel)
    for wait in (0.05, 0.2, 0.5, 1, 2, 3, 5):
        keel.command("start debian")
        keel.settle(wait)
        keel.command("destroy debian")
        keel.wait_state("debian", "shut off")
    assert abs(free_pages(keel) - before) <= 64
    keel.poweroff()
