# SPDX-License-Identifier: BSD-2-Clause
"""The numbers of docs/SPEC.md, by tools/bench: each is at or below what is promised there."""
import re
import subprocess

import pytest
from keel import ROOT

BARE_TO_READY = 702_000_000


def bench(only):
    """{name: value} of one part of the bench."""
    text = subprocess.run([f"{ROOT}/tools/bench", "--only", only], check=True, capture_output=True,
                          text=True, timeout=400).stdout
    return {name: int(value) for name, value in re.findall(r"(?m)^(\w+) (\d+) \w+$", text)}


def promises(table=1):
    """{name: most} of the operations' table, or of another."""
    with open(f"{ROOT}/docs/SPEC.md", encoding="utf-8") as f:
        table = f.read().split("\n## ")[table]
    return {name: int(most.replace(",", "")) for name, most in
            re.findall(r"(?m)^\| (\w+) \| [^|]+ \| ([\d,]+) \|", table)}


@pytest.mark.cost(20)
def test_operations():
    most = promises()
    assert len(most) == 19
    now = bench("operations")
    assert not {name: now.get(name) for name in most if now.get(name, 1 << 60) > most[name]}
    assert now["host_memory"] <= 24 << 20


@pytest.mark.cost(40)
def test_starting():
    now = bench("debian")
    assert now["boot_to_prompt"] <= now["grub_to_prompt"] <= 300_000_000
    assert now["start_tiny"] <= promises(2)["start_tiny"]
    assert now["start_to_ready"] <= 0.85 * BARE_TO_READY
    assert now["boot_keel"] <= 0.002 * now["start_to_ready"]
    assert now["vm_overhead"] <= 1 << 20


def test_image():
    now = bench("image")
    assert now["image_text"] + now["image_rodata"] + now["image_data"] <= 700 << 10
