# SPDX-License-Identifier: BSD-2-Clause
"""Lifetimes: guests come and go a thousand times and leave no page behind."""
import re

import pytest
from keel import LINUX, fields, free_pages, rows, vm
from test_guests import module, tiny

VM_MAX = 2048    # CONFIG_VM_MAX


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


def many(keel, verb, names, at_once=25):
    """A command for each of them, some on a line."""
    for i in range(0, len(names), at_once):
        said = keel.command("; ".join(f"{verb} {name}" for name in names[i:i + at_once]))
        assert "error:" not in said, said


@pytest.mark.cost(55)
def test_many(start, bed):
    """1,000 tiny guests at once on one CPU: all start and run, are listed, and end; what they held
    comes back, but for what pools and unread consoles keep."""
    names = [f"tiny{i}" for i in range(1000)]
    config = "".join(vm(name, memory="2M", kernel="die.elf", initrd=None, cmdline="cli_hlt")
                     for name in names)
    keel = start(bed, config=config, modules=module("die"), memory="3G").boot()
    before = free_pages(keel)
    many(keel, "start", names)
    assert [row[1:] for row in rows(keel.command("list"))] == [[n, "running"] for n in names]
    lost = re.search(r"events lost: (\d+)", keel.command("event --loop --event memory --since 1 "
                                                         "--timeout 0"))
    assert lost and int(lost.group(1)) >= 4 * len(names) - 512     # defined, begun, started, done
    halts = re.findall(r"(?m)^\s*exits\.hlt\.count=1$", keel.command("domstats --exits"))
    assert len(halts) == len(names)
    with keel.console(names[-1]):
        keel.expect("GOING cli_hlt")
    many(keel, "destroy", names)
    keel.wait_for("list", r"---\s*\Z")
    assert len(rows(keel.command("list --all"))) == len(names)
    assert before - free_pages(keel) < 64 * len(names)
    keel.poweroff()


def tickers(names, memory, **more):
    return "".join(vm(name, memory=memory, kernel="ticker.elf", initrd=None, cmdline="ticker",
                      **more) for name in names)


def start_until_refused(keel, names):
    """Starts them one after another; the names of those that did, and what the next one was told."""
    for i, name in enumerate(names):
        said = keel.command(f"start {name}")
        if "error:" in said:
            return names[:i], said
    raise AssertionError("none was refused")


def assert_alive(keel, names):
    """Each says something new on its console."""
    for name in names:
        with keel.console(name):
            first = int(re.search(r"tick (\d+)", keel.expect(r"tick \d+\r\n")).group(1))
            keel.expect(rf"tick (?!{first}\r)\d+\r\n")


NO_ROOM = r"error: domain '\w+' needs 8 MiB and [0-7] MiB are left: end another one"


@pytest.mark.cost(30)
def test_memory_is_full(start):
    """Guests are started until the memory is promised: the one too many is refused, the others stay
    and answer, and for each that ends one can start."""
    names = [f"t{i}" for i in range(20)]
    config = tickers(["huge"], "1G") + tickers(names, "8M")
    keel = start("svm", config=config, modules=module("ticker"), memory=96).boot()
    assert "memory = 1G is not possible: 2M to " in keel.command("dmesg")
    assert "no domain" in keel.command("start huge")
    before = free_pages(keel)
    running, said = start_until_refused(keel, names)
    assert len(running) > 3 and re.search(NO_ROOM, said), said
    late, later = names[len(running):][:2]
    assert_alive(keel, running)
    keel.command(f"destroy {running[0]}")
    keel.wait_state(running[0], "shut off")
    keel.command(f"start {late}")
    running = running[1:] + [late]
    assert re.search(NO_ROOM, keel.command(f"start {later}"))
    assert_alive(keel, running)
    assert [row[1:] for row in rows(keel.command("list"))] == [[n, "running"] for n in running]
    for name in running:
        keel.command(f"destroy {name}")
    keel.wait_for("list", r"---\s*\Z")
    assert before - free_pages(keel) < 96 * len(names)
    keel.poweroff()


@pytest.mark.cost(20)
def test_fill_without_memory(start):
    """A guest that is promised all that is left, and whose 64 vCPUs take some of it: at the first
    page that is not there it waits for its neighbour's, and can be paused meanwhile. When nobody is
    left who could give any back it ends, by name, and all comes back."""
    def boot(memory):
        hog = vm("hog", memory=f"{memory}K", kernel="die.elf", initrd=None, cmdline="memory_hog",
                 vcpus=64, on_crash="preserve")
        keel = start("svm", config=tickers(["t0"], "2M") + hog, modules=module("ticker", "die"),
                     memory=96).boot()
        keel.command("start t0")
        return keel

    keel = boot(20000)
    memory = {k: int(v.split()[0]) for k, v in fields(keel.command("nodememstats")).items()}
    keel.poweroff()
    reserve, for_the_console = 4096, 128
    left = memory["total"] - memory["keel"] - reserve - 2048 - for_the_console
    keel = boot(left)
    before = free_pages(keel)
    assert "Domain 'hog' started" in keel.command("start hog")
    keel.wait_for("dominfo hog", r"State: +running \(waiting for memory\)")
    assert re.search(r"State: +waiting for memory", keel.command("vcpuinfo hog"))
    told = keel.wait_for("event hog --event memory --loop --since 1 --timeout 0", "Waiting").string
    assert told.count("event 'memory' for domain 'hog': Waiting") == 1, told
    assert_alive(keel, ["t0"])
    keel.command("suspend hog")
    keel.wait_state("hog", "paused")
    assert "waiting for memory" not in keel.command("vcpuinfo hog")
    keel.command("resume hog")
    keel.wait_for("dominfo hog", "waiting for memory")
    keel.command("destroy t0")
    keel.wait_state("hog", "crashed")
    assert re.search(r"hog.*no memory is left for what it touches at rip", keel.command("dmesg"))
    keel.command("destroy hog")
    keel.wait_state("hog", "shut off")
    assert before - free_pages(keel) < 3072     # pools keep what the vCPUs had
    keel.poweroff()
    keel = boot(left)
    keel.command("start hog")
    keel.wait_for("dominfo hog", "waiting for memory")
    keel.command("destroy hog")
    keel.wait_state("hog", "shut off")
    assert_alive(keel, ["t0"])
    keel.poweroff()


@pytest.mark.cost(20)
def test_definitions_end(start):
    """As many as there may be, and one more, which is named."""
    names = [f"d{i}" for i in range(VM_MAX + 1)]
    config = "".join(f"[vm {n}]\nmemory=2M\nkernel=die.elf\ncmdline=cli_hlt\n" for n in names)
    keel = start("svm", config=config, modules=module("die"), memory=256).boot()
    assert f"keel.conf:{4 * VM_MAX + 1}: more than {VM_MAX} VMs" in keel.command("dmesg")
    assert [row[1] for row in rows(keel.command("list --all"))] == names[:VM_MAX]
    assert "no domain" in keel.command(f"start {names[VM_MAX]}")
    keel.command(f"start {names[VM_MAX - 1]}")
    keel.wait_state(names[VM_MAX - 1], "running")
    keel.poweroff()


@pytest.mark.cost(30)
def test_linux_rounds_leave_nothing(start, bed):
    """A pool of objects may take one slab more in some round, and keeps it: what each round leaves
    is never the same three times."""
    keel = start(bed, config=vm("debian"), modules=LINUX).boot()
    free = []
    while len(free) < 8 and (len(free) < 4 or len(set(free[-3:])) > 1):
        keel.command("start debian")
        keel.settle(3)
        keel.command("destroy debian")
        free.append(free_pages(keel))
    assert len(set(free[-3:])) == 1 and free[0] - free[-1] <= 64, free
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
