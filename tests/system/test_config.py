# SPDX-License-Identifier: BSD-2-Clause
"""keel.conf full of mistakes, and a person who makes them: every one is named, none takes
anything else down."""
import random
import re

import pytest
from keel import LINUX, rows, vm

GOOD = vm("good")


def defined(keel):
    return sorted(row[1] for row in rows(keel.command("list --all")))


def mistakes(tmp_path):
    """[(section text, offset of the faulty line in it)], files."""
    bad_elf, truncated, empty = tmp_path / "bad.elf", tmp_path / "short", tmp_path / "empty"
    bad_elf.write_bytes(b"\x7fELF\x02\x01\x01" + random.Random(1).randbytes(4000))
    with open(LINUX["vmlinuz"], "rb") as f:
        truncated.write_bytes(f.read(100_000))
    empty.write_bytes(b"")
    cases = [
        (vm("missing", kernel="nothere"), 2),
        (vm("missing2", initrd="nothere"), 3),
        (vm("huge", memory="1024G"), 1),
        (vm("tiny", memory="0"), 1),
        (vm("unit", memory="12Q"), 1),
        (vm("negative", memory="-5M"), 1),
        (vm("overflow", memory="99999999999999999999G"), 1),
        (vm("novcpu", vcpus="0"), 5),
        (vm("manyvcpu", vcpus="10000"), 5),
        (vm("unknownkey", colour="blue"), 5),
        (vm("boolean", autostart="perhaps"), 5),
        (vm("policy", on_crash="explode"), 5),
        (vm("uuid", uuid="not-a-uuid"), 5),
        ("[vm nokernel]\nmemory = 64M\n\n", 0),
        ("[vm bad/name]\nmemory = 64M\nkernel = vmlinuz\n\n", 0),
        ("[vm]\nmemory = 64M\n\n", 0),
        ("[planet mars]\nmoons = 2\n\n", 0),
        ("[vm open\nmemory = 64M\n\n", 0),
        ("[vm control]\nmemory = 64M\nkernel = vm\x01linuz\n\n", 2),
        ("[vm noequals]\nmemory = 64M\nkernel = vmlinuz\nthis line says nothing\n\n", 3),
        ("[vm long]\nmemory = 64M\nkernel = vmlinuz\ncmdline = " + "x" * 65536 + "\n\n", 3),
        (vm("twice", memory="64M\nmemory = 65M"), 2),
        (vm("good", memory="65M"), 0),
    ]
    by_content = [vm("badelf", kernel="bad.elf"), vm("truncated", kernel="short"),
                  vm("emptykernel", kernel="empty")]
    return cases, by_content, {"bad.elf": bad_elf, "short": truncated, "empty": empty}


@pytest.mark.cost(5)
def test_config_full_of_errors(start, bed, tmp_path):
    cases, by_content, files = mistakes(tmp_path)
    text, lines = GOOD, []
    for section, offset in cases:
        lines.append(text.count("\n") + offset + 1)
        text += section
    text += "".join(by_content) + vm("alsogood")
    keel = start(bed, config=text, modules={**LINUX, **files}).boot()
    log = keel.command("dmesg")
    named = {int(n) for n in re.findall(r"keel\.conf:(\d+)", keel.boot_log + log)}
    missing = [(n, text.split("\n")[n - 1][:60]) for n in lines if n not in named]
    assert not missing, f"no error names these lines: {missing}\n{log}"
    names = defined(keel)
    assert {"good", "alsogood"} <= set(names)
    # What only the loader can tell may be told at definition or at start.
    for name in set(names) - {"good", "alsogood"}:
        assert name in ("badelf", "truncated", "emptykernel"), name
        assert "error: " in keel.command(f"start {name}")
        assert "shut off" in keel.command(f"domstate {name}")
    keel.poweroff()


@pytest.mark.parametrize("seed", range(4))
def test_config_of_random_bytes(start, seed):
    data = random.Random(seed).randbytes(20_000)
    keel = start("svm", config=data).boot()
    assert defined(keel) == []
    assert "keel.conf:" in keel.boot_log + keel.command("dmesg")
    keel.poweroff()


@pytest.mark.grub
@pytest.mark.parametrize("config", (None, "", "\n\n; nothing\n", "[host]\nhostname = x"))
def test_config_absent_or_empty(start, config):
    keel = start("svm", config=config).boot()
    assert defined(keel) == []
    keel.poweroff()


WRONG = [
    "nonsense", "start", "start nobody", "start debian extra words", "console debian",
    "destroy debian", "suspend debian", "resume debian", "shutdown debian", "reboot debian",
    "reset debian", "dominfo", "dominfo nobody", "domstats nobody", "vcpuinfo nobody",
    "start --frobnicate debian", "help nonsense", 'start "debian', "list --nothing", "console",
    "x" * 3000, "dominfo " + "y" * 200, "start \\", "%s%n%s%n", "help " * 100,
]


@pytest.mark.cost(4)
def test_shell_mistakes(start, bed):
    """Each mistake gives an error that says so, and the next command works."""
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    for line in WRONG:
        out = keel.command(line)
        assert "error: " in out, f"{line!r} gave {out!r}"
    for line in ("", "   ", "# remark", ";", ";;;"):
        keel.command(line) if line.strip() else keel.send(line + "\r")
    # Control characters, escape sequences cut short, and a burst without a pause.
    keel.send("\x00\x01\x02\x05\x08\x0b\x0c\x1b[\x1b[999;999Z\x1bO\x7f\x7f\x15")
    keel.send("".join(chr(c) for c in range(128, 256)) + "\x15\x03\r")
    keel.settle(1)
    assert "debian" in keel.command("list --all")
    assert "shut off" in keel.command("domstate debian")
    keel.poweroff()


def test_start_twice(start, bed):
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    keel.command("start debian")
    assert "error: " in keel.command("start debian")
    assert "running" in keel.command("domstate debian")
    assert "error: " not in keel.command("destroy debian")
    keel.wait_state("debian", "shut off")
    keel.poweroff()
