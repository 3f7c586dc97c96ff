# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the system tests: the beds, and Keels that are ended, their transcripts kept when
the test fails."""
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from keel import BEDS, LOGS, Keel  # noqa: E402  pylint: disable=wrong-import-position


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true",
                     help="also what is marked soak, and the long form of what has a short one")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "cost(seconds): about how long a test takes: quick ones first, then the longest")
    config.addinivalue_line("markers", "soak: only with --soak (make soak)")
    config.addinivalue_line("markers", "grub: Keel is loaded as on a real machine, by GRUB")


def log_name(item):
    """With the file's name: two files may have tests of one name, which may run at once."""
    return re.sub(r"[^\w.-]+", "_", f"{item.path.stem}.{item.name}")


QUICK = 10


def pytest_collection_modifyitems(config, items):
    """Quick ones first, which tell soonest that something is broken; of the others the longest
    first, so that all workers end at about the same time."""
    def rank(item):
        mark = item.get_closest_marker("cost")
        cost = mark.args[0] if mark else 1
        return (0, cost) if cost <= QUICK else (1, -cost)
    items.sort(key=rank)
    assert len({log_name(item) for item in items}) == len(items), "two tests with one log"
    if not config.getoption("--soak"):
        long = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    for item in items:
        if "vmx" in item.name and "vmx" not in BEDS:
            item.add_marker(pytest.mark.skip(reason="there is no vmx/ yet"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A worker has one test in hand and one to come; xdist itself would give it a quarter of all
    that are left, however long they take, while others have nothing more to do."""
    from xdist.scheduler import LoadScheduling  # pylint: disable=import-outside-toplevel

    class ShortQueues(LoadScheduling):
        def _send_tests(self, node, num):
            super()._send_tests(node, min(num, 2 - len(self.node2pending[node])))

    return ShortQueues(config, log)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    setattr(item, "failed_" + report.when, report.failed)
    if report.failed and getattr(item, "keels", None):
        for keel in item.keels:
            try:
                with open(keel.transcript, encoding="latin-1", newline="") as f:
                    tail = f.read()[-3000:]
                report.sections.append((f"serial line, {keel.transcript}", tail.replace("\r", "")))
            except OSError:
                pass


@pytest.fixture(params=BEDS)
def bed(request):
    return request.param


@pytest.fixture
def soak(request):
    """Is the long form asked for?"""
    return request.config.getoption("--soak")


@pytest.fixture
def start(request):
    """start(bed, ...): a Keel that lives as long as the test."""
    keels = request.node.keels = []

    def start_keel(bed, **options):
        name = log_name(request.node) + (f".{len(keels)}" if keels else "")
        try:
            os.unlink(f"{LOGS}/{name}.log")
        except OSError:
            pass
        options.setdefault("grub", request.node.get_closest_marker("grub") is not None)
        keels.append(Keel(bed, name=name, **options))
        return keels[-1]

    yield start_keel
    for keel in keels:
        keel.close()
        if not (getattr(request.node, "failed_call", False)
                or getattr(request.node, "failed_setup", False)):
            os.unlink(keel.transcript)
