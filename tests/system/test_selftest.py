# SPDX-License-Identifier: BSD-2-Clause
"""Keel tests its own threads, timers, locks and memory on the machine it runs on
(kernel/selftest.c)."""
import re

import pytest

# Costs in instructions, exact under -icount: the ceilings that docs/SPEC.md promises.
CEILINGS = {
    "mutex_lock and mutex_unlock": 120,
    "timer_set and timer_cancel": 220,
    "sched_point, nothing wanted": 12,
    "a sleep of 1 us": 1500,
    "sched_yield and back, two switches,": 900,
}


def selftest(start, bed, **more):
    keel = start(bed, cmdline="selftest", **more)
    text = keel.expect(r"selftest: (passed|\d+ failed)")
    keel.ended()
    assert "selftest: passed" in text
    # What is in ring 3 and reads what is Keel's.
    assert "ring3: ended by #PF page fault at 000000000040000c, error code 5" in text
    return text


@pytest.mark.cost(40)
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_selftest(start, bed, cpus):
    selftest(start, bed, cpus=cpus)


@pytest.mark.cost(90)
def test_cores_in_parallel(start):
    """Cores that really run at once: as many as the smallest test machine has, else the emulator
    starves some of them."""
    selftest(start, "svm", cpus=2, thread="multi", patience=600)


def test_costs(start):
    text = selftest(start, "svm", icount=True)
    for what, ceiling in CEILINGS.items():
        ticks = int(re.search(re.escape(what) + r" costs (\d+) ticks", text).group(1))
        assert ticks <= ceiling, f"{what} costs {ticks}"
