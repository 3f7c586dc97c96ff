# SPDX-License-Identifier: BSD-2-Clause
"""The saved form on guests at work: their state is saved, reset, loaded and compared again and again, and they do not notice."""
import re

import pytest
from keel import BEDS, EXACT, LINUX, vm
from test_guests import CHECKS, exit_code, last_words, module, tiny


def check(keel, name, rounds):
    """True while the guest runs; then what came back was the same."""
    out = keel.command(f"domstatecheck {name} {rounds}")
    assert "EIO" not in out and "ENOMEM" not in out, out + keel.command("dmesg")
    return "came back the same" in out


@pytest.mark.cost(80)
def test_debian_state(start, bed, soak):
    """While it boots, while it works, while it sleeps."""
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    keel.command("start debian")
    for _ in range(20):
        assert check(keel, "debian", 3)
        keel.settle(0.3)
    with keel.console("debian"):
        keel.expect("READY")
        keel.expect("debian:/# ")
        keel.send("while :; do :; done & sleep 1; echo busy$((1 + 1))\r")
        keel.expect("busy2")
    assert check(keel, "debian", 200 if soak else 50)
    with keel.console("debian"):
        keel.send("kill %1; sleep 1; date; cat /proc/uptime; echo idle$((1 + 1))\r")
        keel.expect("idle2")
    assert check(keel, "debian", 50 if soak else 20)
    with keel.console("debian"):
        keel.send("dmesg | grep -iE 'unstable|stall|lockup|spurious'; echo no$((1 + 1))thing; poweroff\r")
        assert not re.search(r"\] .*(unstable|stall|lockup|spurious)", keel.expect("no2thing"))
        keel.expect("Power down")
    keel.wait_state("debian", "shut off")
    keel.poweroff()


@pytest.mark.cost(100)
@pytest.mark.parametrize("bed,vcpus", [
    ("svm", 4), ("vmx", 1), pytest.param("svm", 1, marks=pytest.mark.soak),
    pytest.param("vmx", 4, marks=pytest.mark.soak)])
def test_debian_memory(start, bed, vcpus, soak):
    """Under a guest that writes its memory, no frame changes unmarked, its tables come and go, and
    it loses no byte."""
    # Bochs is slow at looking at all of a guest's memory.
    size, memory, rounds = (4000000, "256M", 2) if bed == "svm" else (500000, "128M", 1)
    keel = start(bed, config=vm("debian", vcpus=vcpus, memory=memory), modules=LINUX,
                 cpus=min(vcpus, 2)).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
        keel.send(f"head -c {size} /dev/urandom >/tmp/a; s=$(md5sum </tmp/a)\r")
        keel.expect("debian:/# ")
        keel.send(f"for i in $(seq {vcpus}); do (while cat /tmp/a >/tmp/b$i; do :; done) & done\r")
        keel.expect("debian:/# ")
    # Where the host is short of time the guest may hardly run in a round: then there are more.
    rounds, done, taken_in_all, used_in_all = 20 if soak else rounds, 0, 0, 0
    while done < rounds or (done < 40 and not (taken_in_all and used_in_all)):
        said = keel.command("dommemcheck debian", timeout=600)
        changed, marked, taken, used = map(int, re.search(
            r"changed (\d+) frames .* were (\d+) in all; (\d+) that held nothing were taken; "
            r"(\d+) times one was found used", said).groups())
        assert 0 < changed <= marked, said
        taken_in_all += taken
        used_in_all += used
        done += 1
    assert taken_in_all > 0 and used_in_all > 0
    pinned = re.search(r"(\d+) times memory was pinned while its slot moved or went", keel.command("dmesg"))
    assert pinned and int(pinned.group(1)) > 50
    with keel.console("debian"):
        keel.send("kill $(jobs -p); for i in /tmp/a; do [ \"$(md5sum <$i)\" = \"$s\" ] && echo same$((1 + 1)); done\r")
        keel.expect("same2")
        keel.send("dmesg | grep -iE 'BUG|corrupt|stall|lockup'; echo no$((1 + 1))thing\r")
        assert not re.search(r"\] .*(BUG|corrupt|stall|lockup)", keel.expect("no2thing"))
    keel.poweroff()


@pytest.mark.cost(15)
def test_executed_while_taken(start, bed):
    """Pages are taken from under a guest that executes them, and come back with the next fetch."""
    keel = start(bed, config=vm("zeros", kernel="die.elf", initrd=None, memory="8M",
                                cmdline="exec_zeros"), modules=module("die")).boot()
    keel.command("start zeros")
    said = keel.command("dommemcheck zeros", timeout=300)
    assert int(re.search(r"(\d+) that held nothing were taken", said).group(1)) > 0, said
    with keel.console("zeros"):
        first = keel.expect(r"executed \d+\r\n")
        keel.expect(r"executed \d+\r\n")
        assert "not executed" not in first
    assert "running" in keel.command("domstate zeros")
    keel.poweroff()


# Without --soak every kernel runs on one of the beds; on Bochs none that is long there.
LONG_ON_BOCHS = ("sweep",)
STATES = [pytest.param(bed, name, marks=[pytest.mark.soak] *
                       (bed == "vmx" if name in LONG_ON_BOCHS else (i + k) % len(BEDS)))
          for i, name in enumerate(CHECKS) for k, bed in enumerate(BEDS)]


@pytest.mark.cost(40)
@pytest.mark.parametrize("bed,name", STATES)
def test_guest_state(start, bed, name):
    """Each guest kernel proves its exits all the same while its state is taken apart under it."""
    keel = start(bed, config=tiny(name), modules=module(name), **EXACT[bed]).boot()
    keel.command(f"start {name}")
    rounds = 0
    while check(keel, name, 7):
        rounds += 7
    keel.wait_state(name, "shut off")
    said = last_words(keel, name)
    assert exit_code(keel, name) == 1, f"{said}\nafter {rounds} rounds"
    keel.poweroff()
