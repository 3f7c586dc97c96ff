# SPDX-License-Identifier: BSD-2-Clause
"""The kernels of tests/guest/: each checks exits from inside, on both beds; those that
misbehave are contained."""
import glob
import lzma
import os
import re
import struct
import subprocess

import pytest
from keel import (BUILD, EXACT, LINUX, ROOT, fields, free_pages, guest_elf, is_qemu10, rows,
                  vm)

NAMES = sorted(os.path.splitext(os.path.basename(p))[0]
               for p in glob.glob(f"{ROOT}/tests/guest/*.c"))
# These do not end by themselves with a result, or take what to do from their command line.
SPECIAL = ("armed", "bars", "bench", "die", "disk", "flip", "model", "modules", "multiboot2", "nvme",
           "panic", "power", "spin", "ticker", "ticks")
# Told to their owners; out of here as they are mended.
PENDING = ()
CHECKS = [n for n in NAMES if n not in SPECIAL + PENDING]


# What some of them find beside a PC's own devices.
DEVICES = {"pci": ("edu, slot=0:4.0", "pci-testdev, slot=0:5.0", "pcie-root-port, slot=0:1d.0",
                   "edu, slot=1:0.0"),
           "bars": ("edu, slot=0:5.0", "edu, slot=0:4.0", "pcie-root-port, slot=0:1d.0",
                    "edu, slot=1:0.0")}


def tiny(name, kernel=None, cmdline="", **more):
    return vm(name, memory="64M", kernel=f"{kernel or name}.elf", initrd=None,
              cmdline=cmdline or name, debug_exit="yes", **more) + "".join(
                  f"device = {d}\n" for d in DEVICES.get(kernel or name, ()))


def module(*names):
    return {f"{name}.elf": guest_elf(name) for name in names}


def exit_code(keel, name):
    """That of its debug exit; None if it did not end by one."""
    code = fields(keel.command(f"dominfo {name}")).get("Exit code")
    return code and int(code)


def last_words(keel, name):
    """All that is left in the console of a guest that is shut off."""
    said = keel.command(f"console {name}")
    assert "its console is closed" in said, said
    return said


# Bare too QEMU 10 takes forms of 0F C7 that do not exist for nothing at all, and sets RF in the
# frames of interrupts.
ON_QEMU10 = {"insns": "insns no-group9", "control": "control rf-stays"}


def check_guest(start, bed, name, **options):
    """Success is 0 written to port 0xf4: exit code 1. Returns what it said."""
    cmdline = ON_QEMU10.get(name) if is_qemu10(bed) else None
    keel = start(bed, config=tiny(name, cmdline=cmdline), modules=module(name), **options).boot()
    keel.command(f"start {name}")
    keel.wait_state(name, "shut off")
    said = last_words(keel, name)
    assert exit_code(keel, name) == 1, said
    assert "FAIL" not in said, said
    keel.poweroff()
    return said


@pytest.mark.grub
@pytest.mark.cost(5)
@pytest.mark.parametrize("kernel", ["modules", "multiboot2"])
def test_modules(start, bed, tmp_path, kernel):
    """A multiboot kernel with an initrd and any number of modules, some with arguments; version 1
    tells the names too."""
    sizes = {"rd": 5000, **{f"m{i}": 4096 * i + i % 3 for i in range(40)}}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(i * 7 & 255 for i in range(size)))
    arguments = {f"m{i}": f"root=/dev/{i} quiet" * (i % 2) for i in range(40)}
    config = tiny(kernel, cmdline="one  two") + "initrd = rd\n" + "".join(
        f"module = {n}  {a}\n" for n, a in arguments.items())
    keel = start(bed, config=config,
                 modules={**module(kernel), **{n: tmp_path / n for n in sizes}}).boot()
    keel.command(f"start {kernel}")
    keel.wait_state(kernel, "shut off")
    said = last_words(keel, kernel)
    assert exit_code(keel, kernel) == 1, said

    def text(name, words):
        return f"{name} {words}".rstrip() if kernel == "modules" else words

    assert f"cmdline '{text('modules.elf', 'one  two')}'" in said
    told = re.findall(r"module '(.*)' size (\d+) sum (\d+)", said)
    assert told == [(text(name, arguments.get(name, "")), str(size),
                     str(sum((tmp_path / name).read_bytes()))) for name, size in sizes.items()]
    keel.poweroff()


LESS = "-x2apic -tsc-deadline -pcid -xsave -tsc_adjust -smep -smap -umip -fsgsbase -nx -rdtscp"


@pytest.mark.cost(10)
def test_cpu_model(start, bed):
    """Features taken away are gone, with what they allow; dominfo tells; one that is asked for and
    not there is named with its line."""
    config = tiny("model", cmdline=f"model {LESS}", cpu="host, " + ", ".join(LESS.split()))
    config += tiny("greedy", kernel="model", cpu="host, -pcid, +vmx, +svm")
    config += tiny("typo", kernel="model", cpu="host, -x3apic")
    keel = start(bed, config=config, modules=module("model")).boot()
    assert "keel.conf:13: cpu: not to be had on this host: vmx, svm" in keel.boot_log
    assert "keel.conf:20: cpu: there is no CPU feature 'x3apic'" in keel.boot_log
    assert "host, -" in fields(keel.command("dominfo model"))["CPU model"]
    keel.command("start model")
    keel.wait_state("model", "shut off")
    said = last_words(keel, "model")
    assert exit_code(keel, "model") == 1, said
    assert "PASS xsetbv" in said and "PASS x2apic_mode" in said, said
    keel.poweroff()


@pytest.mark.cost(10)
def test_keel_in_keel(start, bed):
    """A multiboot2 kernel of some size: Keel itself, which finds all it is told and no SVM or
    VMX."""
    config = vm("inner", memory="256M", kernel="inner.elf", initrd=None,
                cmdline="cpus=1", module="some.conf")
    keel = start(bed, config=config, modules={
        "inner.elf": f"{BUILD}/keel.elf", "some.conf": f"{ROOT}/configs/demo.conf"}).boot()
    with keel.console("inner", "start inner --console"):
        said = keel.expect("halted")
    assert re.search(r"loaded by Keel \(as GRUB 2\) at 0x200000, \d+ KiB, 1 modules", said), said
    assert re.search(r"acpi: .* KEEL .*1 CPUs, 1 I/O APICs", said), said
    assert "cannot start: this CPU shows neither VMX nor SVM" in said
    keel.poweroff()


@pytest.mark.cost(20)
def test_ipxe(start):
    """A kernel that starts in real mode and asks the BIOS for everything."""
    keel = start("svm", config=vm("ipxe", memory="64M", kernel="ipxe.lkrn", initrd=None,
                                  cmdline=""),
                 modules={"ipxe.lkrn": f"{BUILD}/guest/ipxe.lkrn"}).boot()
    with keel.console("ipxe", "start ipxe --console"):
        keel.expect("iPXE initialising devices...ok")
        keel.expect("Open Source Network Boot Firmware")
    keel.poweroff()


@pytest.mark.cost(15)
def test_memtest(start, bed):
    """A kernel with Linux's 32-bit entry alone, which tests all memory it is told of."""
    keel = start(bed, config=vm("memtest", memory="32M", kernel="memtest.bin", initrd=None,
                                cmdline="console=ttyS0,115200"),
                 modules={"memtest.bin": f"{BUILD}/guest/memtest.bin"}).boot()
    with keel.console("memtest", "start memtest --console"):
        keel.expect(r"Memtest86\+ v")
        keel.expect(r"Memory *: *32MB")
        # The serial line shows every other second: which test comes first there is left open.
        said = keel.expect(r"#\d+ +\[.*?Errors: *\d+ ")
    assert re.search(r"Errors: *0 ", said), said
    keel.poweroff()


def xen(memory, cmdline, dom0, **more):
    """A VM with Xen and its dom0's kernel."""
    return vm("xen", memory=memory, kernel="xen", initrd=None,
              cmdline=f"console=com1 com1=115200,8n1 {cmdline}",
              module=f"vmlinuz console=hvc0 earlyprintk=xen {dom0}", **more) + "module = initrd.img\n"


# On QEMU a PV guest dies with SMAP, bare or in Keel.
XEN_CPU = {"svm": {"cpu": "host, -smap"}, "vmx": {}}


@pytest.mark.cost(30)
def test_xen(start):
    """A hypervisor that looks at all of the PC, to where its dom0's kernel is at home there."""
    keel = start("svm", config=xen("384M", "", "", **XEN_CPU["svm"]),
                 modules={**LINUX, "xen": f"{BUILD}/guest/xen"}).boot()
    with keel.console("xen", "start xen --console"):
        said = keel.expect("Hypervisor detected: Xen PV")
    assert re.search(r"ACPI: RSDP .*KEEL", said), said
    assert re.search(r"IOAPIC\[0\]: apic_id 0, version 32, address 0xfec00000, GSI 0-23", said)
    assert re.search(r"Dom0 kernel: 64-bit", said) and "Linux version" in said, said
    keel.poweroff()


def unpacked(bzimage, to):
    """The ELF file in it: on Bochs Xen takes longer to unpack that than dom0 to start."""
    with open(bzimage, "rb") as f:
        image = f.read()
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start_of = (sectors + 1) * 512 + offset
    to.write_bytes(lzma.LZMADecompressor().decompress(image[start_of:start_of + length]))
    return str(to)


@pytest.mark.soak
@pytest.mark.cost(300)
def test_xen_dom0(start, bed, tmp_path):
    """With Debian's full kernel to the shell, and off by its own power-off."""
    config = xen("512M", "dom0_mem=400M", "cryptomgr.notests", **XEN_CPU[bed])
    kernel = f"{BUILD}/guest/vmlinuz-full"
    if bed == "vmx":
        kernel = unpacked(kernel, tmp_path / "vmlinux")
    keel = start(bed, config=config, patience=1200,
                 modules={**LINUX, "vmlinuz": kernel, "xen": f"{BUILD}/guest/xen"}).boot()
    with keel.console("xen", "start xen --console"):
        keel.expect("READY")
        keel.expect("guest:/# ")
        keel.send("echo $((6 * 7)) under $(cat /sys/hypervisor/type)\r")
        keel.expect("42 under xen")
        keel.send("poweroff\r")
        keel.expect("Preparing system for ACPI S5 state|Entering ACPI S5 state|has powered off")
    keel.wait_state("xen", "shut off")
    keel.poweroff()


@pytest.mark.cost(8)
@pytest.mark.parametrize("name", CHECKS)
def test_guest(start, bed, name):
    """Clocks count instructions: timing is exact."""
    check_guest(start, bed, name, **EXACT[bed])


@pytest.mark.cost(20)
def test_irq_on_ryzen(start):
    """The other SVM bed, whose chip injects and masks in its own way."""
    config = tiny("irq", cmdline="irq no-preemption")
    keel = start("vmx", cpu_model="ryzen", config=config, modules=module("irq")).boot()
    keel.command("start irq")
    keel.wait_state("irq", "shut off")
    said = last_words(keel, "irq")
    assert exit_code(keel, "irq") == 1, said
    keel.poweroff()


@pytest.mark.cost(20)
def test_keys_on_icelake(start):
    """A chip that has keys and does not tell where it saves them: guests are not shown them."""
    said = check_guest(start, "vmx", "keys", cpu_model="corei7_icelake_u")
    assert "SKIP keys" in said, said


@pytest.mark.cost(5)
@pytest.mark.parametrize("how", ("off", "cf9", "keyboard", "triple", "fast"))
def test_ways_to_end(start, bed, how):
    """Power-off ends a guest, each kind of reset is one to on_reboot; a triple fault too, as
    on a PC, and it leaves its registers in the log."""
    keel = start(bed, config=tiny("power", cmdline=how, on_poweroff="destroy",
                                  on_reboot="preserve", on_crash="destroy"),
                 modules=module("power")).boot()
    keel.command("start power")
    keel.wait_state("power", "shut off" if how == "off" else "paused")
    assert exit_code(keel, "power") is None, keel.command("console power")
    said = keel.command("dmesg")
    assert ("triple fault at rip" in said) == (how == "triple"), said
    assert ("vcpu 0: cr0 " in said) == (how == "triple"), said
    keel.poweroff()


@pytest.mark.cost(30)
def test_processors(start, bed):
    """INIT, SIPI and NMI storms between three vCPUs on two cores, with timers that nobody hears."""
    keel = start(bed, config=tiny("processors", vcpus=3), modules=module("processors"),
                 cpus=2).boot()
    keel.command("start processors")
    keel.wait_state("processors", "shut off")
    assert exit_code(keel, "processors") == 1
    keel.poweroff()


@pytest.mark.cost(30)
def test_flip(start, bed):
    """An instruction that another vCPU changes between its exit and its emulation."""
    keel = start(bed, config=tiny("flip", vcpus=2), modules=module("flip"), cpus=2,
                 **({"thread": "multi"} if bed == "svm" else {})).boot()
    keel.command("start flip")
    keel.wait_state("flip", "shut off")
    said = last_words(keel, "flip")
    assert exit_code(keel, "flip") == 1, said
    assert "SKIP" not in said, said
    keel.poweroff()


@pytest.mark.cost(40)
def test_bars(start, bed):
    """BARs moved over everything by two vCPUs while a third is there, and DMA; twice, the second
    time with its state saved, reset and loaded meanwhile. No page is left behind."""
    keel = start(bed, config=tiny("bars", vcpus=3), modules=module("bars"), cpus=2,
                 **({"thread": "multi"} if bed == "svm" else {})).boot()
    free = []
    for run in range(2):
        keel.command("start bars")
        assert [row[1:] for row in rows(keel.command("list"))] == [["bars", "running"]]
        if run:
            assert "came back the same" in keel.command("domstatecheck bars 10")
        keel.wait_state("bars", "shut off")
        said = last_words(keel, "bars")
        assert exit_code(keel, "bars") == 1, said
        assert "FAIL" not in said and "SKIP" not in said, said
        assert not rows(keel.command("list"))
        free.append(free_pages(keel))
    # What a guest's end leaves to threads of Keel's may take its time.
    for _ in range(20):
        if free[-1] >= free[0]:
            break
        free.append(free_pages(keel))
    assert free[-1] >= free[0], free
    keel.poweroff()


# QEMU aborts itself (an assertion on its own lock) when the delivery of an intercepted #DB
# hits a watchpoint.
ABORTS_THE_BED = {"svm": ("db_loop",), "vmx": ()}


@pytest.mark.cost(20)
def test_leftovers(start, bed):
    """What a guest loads into the CPU without an exit, hidden components of XCR0 too, is gone
    when the next one looks, while the first still runs and after its end."""
    config = tiny("leave", kernel="leftovers", cmdline="leave") + tiny("next", kernel="leftovers")
    keel = start(bed, config=config, modules=module("leftovers")).boot()
    with keel.console("leave", "start leave --console"):
        keel.expect("XCR0")
    for end in (False, True):
        if end:
            keel.command("destroy leave")
        keel.command("start next")
        keel.wait_state("next", "shut off")
        said = last_words(keel, "next")
        assert exit_code(keel, "next") == 1, said
    keel.poweroff()


def keel_symbols():
    """Addresses of build/keel.elf by name, and where the next symbol begins."""
    lines = subprocess.run(["nm", "-n", f"{ROOT}/build/keel.elf"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    rows = [(int(line.split()[0], 16), line.split()[2]) for line in lines]
    return {name: (at, rows[i + 1][0]) for i, (at, name) in enumerate(rows[:-1])}


@pytest.mark.cost(20)
def test_breakpoints_at_keel(start, bed):
    """Armed all over Keel's way out of a guest, its handlers and stacks, a guest's
    breakpoints are its own: none is met, and its neighbour goes on."""
    symbols, stacks = keel_symbols(), 0xffffc20000000000
    code = (f"{bed}_enter", f"{bed}_run", f"{bed}_inject", "vcpu_main", "exit_cpuid",
            "trap_debug", "trap_common", "trap_interrupt", "trap_dispatch", "irq_dispatch",
            *(("svm_enter_armed", "svm_armed_from", "svm_armed_to") if bed == "svm"
              else ("vmx_exited",)))
    ranges = [f"exec={symbols[name][0]:x}-{symbols[name][1]:x}" for name in code]
    ranges += [f"data={stacks + slot * 0x10000 + 0x4e00:x}-{stacks + slot * 0x10000 + 0x5000:x}"
               for slot in range(2, 14)]
    config = tiny("armed", cmdline=" ".join(ranges)) + tiny("ticker")
    keel = start(bed, config=config, modules=module("armed", "ticker")).boot()
    keel.command("start ticker")
    keel.command("start armed")
    keel.wait_state("armed", "shut off")
    said = last_words(keel, "armed")
    assert exit_code(keel, "armed") == 1, said
    with keel.console("ticker"):
        keel.expect("tick")
    keel.poweroff()


def die_ways():
    with open(f"{ROOT}/tests/guest/die.c", encoding="utf-8") as f:
        return re.findall(r'\{ "(\w+)", \w+ \}', f.read())


@pytest.mark.cost(45)
@pytest.mark.parametrize("part", range(2))
def test_containment(start, bed, part):
    """Beside a Linux at work, guests misbehave for good, three at a time: they die or spin alone,
    and Keel's console answers."""
    ways = [way for way in die_ways()[part::2] if way not in ABORTS_THE_BED[bed]]
    config = vm("debian") + "".join(
        tiny(way, kernel="die", on_reboot="destroy", on_crash="destroy") for way in ways)
    keel = start(bed, config=config, modules={**LINUX, **module("die")}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
    for count in range(0, len(ways), 3):
        together = ways[count:count + 3]
        keel.command("; ".join(f"start {way}" for way in together))
        keel.settle(2)
        with keel.console("debian"):
            keel.send(f"echo alive{count}$((1 + 1))\r")
            keel.expect(f"alive{count}2")
        for way in together:
            state = keel.state(way)
            assert state in ("running", "shut off"), way
            if state == "running":
                keel.command(f"destroy {way}")
            keel.wait_state(way, "shut off")
            assert "GOING" in last_words(keel, way), way
    keel.poweroff()


@pytest.mark.cost(40)
@pytest.mark.parametrize("way", ("db_loop", "ac_loop"))
def test_delivery_loops_on_ryzen(start, way):
    """SVM too leaves a loop of #DB or #AC deliveries: on Bochs, where the emulator lives through it."""
    config = vm("debian") + tiny(way, kernel="die", on_reboot="destroy", on_crash="destroy")
    keel = start("vmx", cpu_model="ryzen", config=config, modules={**LINUX, **module("die")}).boot()
    with keel.console("debian", "start debian --console"):
        keel.expect("READY")
        keel.expect("debian:/# ")
    keel.command(f"start {way}")
    keel.settle(3)
    exits = int(keel.wait_for(f"domstats {way}", rf"exits\.exception_{way[:2]}\.count=(\d+)").group(1))
    with keel.console("debian"):
        keel.send("echo alive$((1 + 1))\r")
        keel.expect("alive2")
    assert keel.state(way) == "running"
    assert int(keel.wait_for(f"domstats {way}", rf"exits\.exception_{way[:2]}\.count=(\d+)").group(1)) > exits
    keel.command(f"destroy {way}")
    keel.wait_state(way, "shut off")
    keel.poweroff()


@pytest.mark.cost(10)
def test_batch(start, bed):
    """One line for each: `start NAME --wait` tells how each ended, without looking again."""
    names = ("cpuid", "power", "spin")
    config = "".join((tiny("cpuid"), tiny("power", cmdline="off"), tiny("spin")))
    keel = start(bed, config=config, modules=module(*names)).boot()
    keel.send("".join(f"start {name} --wait --timeout {3 if name == 'spin' else 300}\r"
                      for name in names))
    keel.expect("Domain 'cpuid' has exited with code 1\r\n")
    keel.expect("Domain 'power' has powered off\r\n")
    keel.expect("error: domain 'spin' has not ended within 3 s and goes on")
    keel.settle()
    keel.wait_state("spin", "running")
    keel.command("destroy spin")
    keel.send("start spin --wait; echo next$((1))\r")
    keel.expect("Domain 'spin' started")
    keel.send("\x03")
    keel.expect("Not waiting any longer; domain 'spin' goes on")
    keel.settle()
    keel.wait_state("spin", "running")
    keel.poweroff()


@pytest.mark.cost(10)
def test_panicked(start, bed):
    """A guest that says by pvpanic that it has panicked is crashed; on_crash says what follows."""
    config = tiny("panic", on_crash="preserve") + tiny("again", kernel="panic", on_crash="destroy")
    keel = start(bed, config=config, modules=module("panic")).boot()
    keel.send("start panic --wait\r")
    keel.expect("error: domain 'panic' has crashed: its kernel has panicked\r\n")
    keel.settle()
    assert "panic: its kernel has panicked and starts its crash kernel" in keel.command("dmesg")
    keel.wait_for("domstate panic --reason", r"(?m)^crashed \(panicked\)")
    assert fields(keel.command("dominfo panic"))["Crash reason"] == "its kernel has panicked"
    with keel.console("panic"):
        keel.expect("STILL HERE")
    keel.command("destroy panic")
    keel.wait_state("panic", "shut off")
    keel.command("start again --wait")
    keel.wait_for("domstate again --reason", r"(?m)^shut off \(crashed\)")
    keel.poweroff()
