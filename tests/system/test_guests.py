# SPDX-License-Identifier: BSD-2-Clause
"""The kernels of tests/guest/: each checks exits from inside, on both beds; those that misbehave are contained."""
import glob
import os
import re

import pytest
from keel import LINUX, ROOT, fields, guest_elf, vm

NAMES = sorted(os.path.splitext(os.path.basename(p))[0] for p in glob.glob(f"{ROOT}/tests/guest/*.c"))
# Guests that are meant to die, or never to end; test_containment has them.
DIES = [n for n in NAMES if n.startswith("die_")]
HANGS = [n for n in NAMES if n.startswith("hang_")]
CHECKS = [n for n in NAMES if n not in DIES + HANGS + ["bench"]]


def tiny(name, **more):
    return vm(name, memory="64M", kernel=f"{name}.elf", initrd=None, cmdline=name, debug_exit="yes", **more)


def module(*names):
    return {f"{name}.elf": guest_elf(name) for name in names}


def exit_code(keel, name):
    return int(re.search(r"\d+", fields(keel.command(f"dominfo {name}")).get("Exit code", "-1")).group())


@pytest.mark.cost(20)
@pytest.mark.parametrize("name", CHECKS)
def test_guest(start, bed, name):
    """Success is 0 written to port 0xf4: exit code 1."""
    keel = start(bed, config=tiny(name), modules=module(name)).boot()
    keel.command(f"start {name}")
    keel.wait_state(name, "shut off")
    with keel.console(name):
        said = keel.settle(1)
    assert exit_code(keel, name) == 1, said
    assert "FAIL" not in said, said
    keel.poweroff()


@pytest.mark.cost(90)
def test_containment(start, bed):
    """Beside a Debian at work, every guest that misbehaves dies or spins alone."""
    config = vm("debian") + "".join(tiny(name) for name in DIES + HANGS)
    keel = start(bed, config=config, modules={**LINUX, **module(*DIES, *HANGS)}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
    for count, name in enumerate(DIES + HANGS):
        keel.command(f"start {name}")
        if name in DIES:
            keel.wait_for(f"domstate {name}", r"crashed|shut off")
        else:
            keel.settle(2)
            assert "running" in keel.command(f"domstate {name}")
        with keel.console("debian"):
            keel.send(f"echo alive{count}$((1 + 1))\r")
            keel.expect(f"alive{count}2")
        keel.command(f"destroy {name}")
        keel.wait_for(f"domstate {name}", r"crashed|shut off")
    keel.poweroff()
