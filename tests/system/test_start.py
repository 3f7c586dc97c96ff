# SPDX-License-Identifier: BSD-2-Clause
"""From power-on to `keel: ready`: each way to boot and each number of cores, read from the
boot log alone."""
import re

import pytest


def boot_log(keel):
    return keel.expect("keel: ready")


def cpus_of(text):
    return int(re.search(r"smp: (\d+) CPUs", text).group(1))


@pytest.mark.parametrize("how", ("grub", "uefi", "pvh", "stick", "uefi stick"))
@pytest.mark.cost(3)
def test_ways_to_boot(start, how):
    text = boot_log(start("svm", **{word: True for word in how.split() if word != "grub"}))
    assert f"loaded by {'PVH' if how == 'pvh' else 'GRUB'}" in text
    assert "1 modules" in text
    assert cpus_of(text) == 1


@pytest.mark.cost(2)
def test_pvh_without_modules(start):
    assert "0 modules" in boot_log(start("svm", pvh=True, config=None))


@pytest.mark.parametrize("cpus", (1, 2, 4, 8))
@pytest.mark.parametrize("thread", ("single", "multi"))
@pytest.mark.cost(3)
def test_cores_svm(start, cpus, thread):
    assert cpus_of(boot_log(start("svm", cpus=cpus, thread=thread))) == cpus


@pytest.mark.parametrize("cpus", (1, 2, 4))
@pytest.mark.cost(4)
def test_cores_vmx(start, cpus):
    assert cpus_of(boot_log(start("vmx", cpus=cpus))) == cpus


@pytest.mark.cost(2)
def test_too_little_memory(start):
    text = start("svm", memory=16).expect("halted")
    assert re.search(r"keel: cannot start: .* memory", text), text
