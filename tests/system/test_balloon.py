# SPDX-License-Identifier: BSD-2-Clause
"""A guest's memory while it runs: Debian's own virtio_balloon gives it back and takes it again."""
import re

import pytest
from keel import LINUX, vm, vmx_in_soak

MODULES = ("virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci "
           "virtio_balloon")


def ask(keel, line):
    keel.send("\r" + line + "; echo do$((1))ne\r")
    return keel.expect(r"do1ne[\s\S]*?\w+:/# ")


def load(keel, name="debian"):
    with keel.console(name, f"start {name} --console"):
        keel.expect(r"READY [\d.]+")
        keel.expect(rf"{name}:/# ")
        ask(keel, f"for m in {MODULES}; do insmod /lib/$m.ko; done")


def stats(keel, command):
    out = keel.command(command)
    return {k: int(n) for k, n in re.findall(r"(?m)^\s*([\w.]+)[ =](\d+)\s*$", out)}


def balloon(keel):
    return stats(keel, "domstats debian --balloon")


def wait(keel, what, name, ok):
    """Until a statistic is so."""
    for _ in range(100):
        if ok(what(keel)[name]):
            return
        keel.settle(0.2)
    assert False, what(keel)


@pytest.mark.cost(20)
@vmx_in_soak
def test_balloon(start, bed):
    """setmem takes memory and gives it again, each page once; the host has it meanwhile; what the
    guest tells of its memory comes by itself, again and again; pages that it frees go back without
    a word of the administrator's; state is saved and loaded with all that."""
    config = vm("debian", memory="256M", vcpus=2, device="virtio-balloon-pci")
    keel = start(bed, config=config, modules=LINUX).boot()
    assert "is shut off" in keel.command("setmem debian 128M")
    load(keel)
    told = stats(keel, "dommemstat debian")
    assert told["actual"] == 256 << 10 and 0 < told["unused"] < told["available"] < 256 << 10, told
    assert "model='virtio'" in keel.command("dumpxml debian")
    assert "can have" in keel.command("setmem debian 257M")
    keel.command("setmem debian 96M --live")
    wait(keel, balloon, "balloon.out", lambda n: n == 160 << 10)
    now = balloon(keel)
    assert now["balloon.current"] == 96 << 10 and now["balloon.rss"] < 97 << 10, now
    keel.command("dommemstat debian --period 1")
    wait(keel, lambda k: stats(k, "dommemstat debian"), "unused",
         lambda n: n < told["unused"] - (100 << 10))
    assert "came back the same" in keel.command("domstatecheck debian 10")
    # All of it can be had again, and holds what is written there.
    keel.command("setmem debian 256M")
    wait(keel, balloon, "balloon.out", lambda n: n == 0)
    with keel.console("debian"):
        ask(keel, "head -c 1048576 /dev/urandom >/1; for i in $(seq 60); do cat /1; done >/x")
    full = balloon(keel)["balloon.present"]
    assert full > 110 << 10, full
    with keel.console("debian"):
        out = ask(keel, "i=0; while [ $i -lt 15360 ]; do dd if=/x bs=4k skip=$i count=1 2>/dev/null | "
                        "cmp -n 4096 - /1 && echo same; i=$((i + 256)); done | uniq -c; rm /x /1")
        assert re.search(r"\n *60 same\n", out.replace("\r", "")), out
    # It is free, and reported as free.
    wait(keel, balloon, "balloon.present", lambda n: n < full - (25 << 10))
    assert balloon(keel)["balloon.out"] == 0
    keel.command("destroy debian")
    keel.poweroff()


@pytest.mark.cost(20)
def test_promised_again(start):
    """What a balloon gives back another guest is started with. Then the first one does not get it:
    by setmem it is refused, and a guest that takes it without asking (its driver is unloaded) waits
    until the other one, which goes on and is asked for what it does not use, has ended."""
    config = (vm("debian", memory="256M", device="virtio-balloon-pci") +
              vm("other", memory="96M", device="virtio-balloon-pci", cmdline="console=ttyS0 quiet hostname=other"))
    keel = start("svm", config=config, modules=LINUX, memory=448).boot()
    load(keel)
    left = int(re.search(r"needs \d+ MiB and (\d+) MiB are left",
                         keel.command("setmaxmem other 400M --config; start other"))[1])
    keel.command(f"setmaxmem other {left + 100}M --config")
    assert "are left" in keel.command("start other")
    keel.command("setmem debian 128M")
    wait(keel, balloon, "balloon.out", lambda n: n == 128 << 10)
    load(keel, "other")
    said = keel.command("setmem debian 256M")
    assert "has given 128 MiB back, of which" in said, said
    assert "is asked" in keel.command("setmem debian 140M")
    wait(keel, balloon, "balloon.out", lambda n: n == 116 << 10)
    # Its driver takes all of it, and the guest uses it.
    with keel.console("debian"):
        ask(keel, "mkdir /m; mount -t tmpfs -o size=200m none /m")
        keel.send("rmmod virtio_balloon; dd if=/dev/zero bs=1M count=150 of=/m/x; "
                  "echo wri$((1))tten\r")
    wait(keel, lambda k: {"waits": "(waiting for memory)" in k.command("dominfo debian")},
         "waits", bool)
    # Two changes of its configuration: its driver is asked for a round of hints, and has ended it.
    with keel.console("other"):
        ask(keel, "while ! grep -q '  2 .*virtio0-config' /proc/interrupts; do sleep 0.1; done")
    keel.command("destroy other")
    keel.wait_state("other", "shut off")
    with keel.console("debian"):
        keel.expect("wri1tten")
    keel.command("destroy debian")
    keel.poweroff()
