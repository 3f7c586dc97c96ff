# SPDX-License-Identifier: BSD-2-Clause
"""Definitions at run time, and jobs: what takes long can be watched and given up, and nothing else
waits for it."""
import re
from xml.etree import ElementTree

import pytest
from keel import PROMPT, fields, rows, vm
from test_guests import module, tiny
from test_life import free_pages

# Guests, and MiB that each is loaded with: seconds, where instructions are counted.
COUNT, SIZE = 5, 160


@pytest.mark.cost(25)
def test_list_answers_while_guests_are_loaded(start, tmp_path):
    """All start at boot, on one CPU, each with a large initrd. Before the last is loaded the first
    questions are answered, and the last one's start is given up."""
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(range(256)) * (SIZE << 12))
    names = [f"big{i}" for i in range(COUNT)]
    config = "".join(vm(name, memory=f"{SIZE + 32}M", kernel="die.elf", initrd="initrd",
                        cmdline="cli_hlt", autostart="yes") for name in names)
    keel = start("svm", config=config, memory=(SIZE + 32) * COUNT + 256, icount=True,
                 modules={**module("die"), "initrd": initrd}).boot()
    last = names[-1]
    info = keel.command(f"list; dominfo {last}; jobs; domjobinfo {last}; domjobabort {last}")
    states = {row[1]: row[2] for row in rows(info.split("Id: ")[0])}
    assert states[last] == "paused" and set(states) == set(names), info
    assert re.search(rf"(?m)^ {last} +start +\d+ ms", info), info
    assert re.search(r"Operation: +start\nAbort: +possible\n", info), info
    assert f"Domain '{last}' was asked to give up its job" in info, info
    keel.wait_state(last, "shut off")
    assert "destroyed" in keel.command(f"domstate {last} --reason")
    assert f"the start of domain '{last}' was aborted" in keel.command("dmesg")
    for name in names[:-1]:
        keel.wait_state(name, "running")
    # Ctrl-C ends the waiting for a start; destroy ends the start.
    keel.send(f"start {last}\r")
    keel.expect(f"start {last}\r\n")
    keel.send("\x03")
    keel.expect(PROMPT)
    assert f"Domain '{last}' destroyed" in keel.command(f"destroy {last}")
    assert keel.state(last) == "shut off"
    keel.poweroff()


@pytest.mark.cost(10)
def test_define(start, bed):
    """A guest that keel.conf does not know: defined, run, changed, forgotten; nothing is left."""
    keel = start(bed, config=tiny("spin", cmdline="quiet"), modules=module("spin", "die")).boot()
    assert "Domain 'web' defined" in keel.command(
        "define web memory=4M kernel=die.elf 'cmdline=cli_hlt' vcpus=2")
    assert "Domain 'web' started" in keel.command("start web")
    assert "from its next start" in keel.command("setvcpus web 3 --config")
    assert fields(keel.command("dominfo web"))["CPU(s)"] == "2"
    assert "vcpus = 3" in keel.command("dumpconf web --inactive")
    keel.command("destroy web; start web")
    assert fields(keel.command("dominfo web"))["CPU(s)"] == "3"
    keel.command("undefine web")
    assert fields(keel.command("dominfo web"))["Persistent"] == "no"
    keel.command("destroy web")
    assert "no domain" in keel.command("start web")
    # What is shown is what can be typed, and a wrong line changes nothing.
    text = keel.command("dumpconf spin").split("\n")
    keel.command("undefine spin")
    keel.send("".join(line + "\r" for line in ["define", *text, "."]))
    keel.expect("Domain 'spin' defined")
    keel.expect(PROMPT)
    assert keel.command("dumpconf spin").split("\n") == text
    assert "line 2: " in keel.command("define spin memory=lots kernel=spin.elf")
    assert keel.command("dumpconf spin").split("\n") == text
    keel.poweroff()


@pytest.mark.cost(15)
def test_definitions_leave_nothing(start):
    keel = start("svm", modules=module("spin")).boot()

    def rounds(count):
        for _ in range(count):
            keel.send("create x memory=4M kernel=spin.elf cmdline=quiet; destroy x\r")
            keel.child.expect("'x' destroyed")

    rounds(3)
    before = free_pages(keel)
    rounds(60)
    assert free_pages(keel) == before
    assert not rows(keel.command("list --all"))
    keel.poweroff()


@pytest.mark.cost(10)
def test_xml(start, bed):
    """A domain and the host as libvirt describes them, read by a parser that forgives nothing."""
    keel = start(bed, config=tiny("spin", cmdline="quiet <&> '\"é", vcpus="2", cpu="host, -x2apic"),
                 modules=module("spin")).boot()

    def parse(command):
        return ElementTree.fromstring(keel.command(command).encode("latin-1"))

    xml = parse("dumpxml spin")
    assert xml.get("id") is None and xml.findtext("name") == "spin"
    assert xml.findtext("uuid") == keel.command("domuuid spin").strip()
    assert xml.findtext("os/cmdline") == "quiet <&> '\"é"
    assert xml.findtext("vcpu") == "2" and xml.find("cpu/topology").get("cores") == "2"
    assert [f.get("name") for f in xml.findall("cpu/feature")] == ["x2apic"]
    keel.command("start spin; setvcpus spin 1 --config")
    xml = parse("dumpxml spin")
    assert xml.get("id") == keel.command("domid spin").strip() and xml.findtext("vcpu") == "2"
    assert parse("dumpxml spin --inactive").findtext("vcpu") == "1"
    device = keel.command("nodedev-list").split()[0]
    assert parse(f"nodedev-dumpxml {device}").findtext("name") == device
    host = parse("capabilities")
    assert host.find("guest/arch/domain").get("type") == xml.get("type")
    keel.poweroff()


@pytest.mark.cost(15)
def test_events_and_aborts(start, bed):
    """What happened is read from a number on; a check is given up by Ctrl-C and goes no further;
    what cannot be given up says so."""
    keel = start(bed, config=tiny("spin", cmdline="quiet") + tiny("ticks"),
                 modules=module("spin", "ticks")).boot()
    keel.command("start spin; suspend spin; resume spin; setvcpus spin 2 --config")
    told = keel.command("event --loop --since 1 --timeout 0")
    assert [m.group(1) for m in re.finditer(r"(?m)^event 'lifecycle' for domain 'spin': (.+)$", told)] \
        == ["Defined added", "Started booted", "Suspended paused", "Resumed unpaused",
            "Defined updated"], told
    assert "event 'job' for domain 'spin': Done start" in told
    assert "events lost" not in told
    keel.send("dommemcheck spin 100000\r")
    keel.expect("100000\r\n")
    keel.send("\x03")
    keel.expect(r"was aborted after \d+ of 100000 rounds")
    keel.expect(PROMPT)
    info = keel.command("domjobinfo spin; domjobinfo spin --completed; domjobabort spin")
    assert re.search(r"Job type: +None\nJob type: +Completed\nOperation: +dommemcheck\n"
                     r"Outcome: +aborted\n", info), info
    assert "domain 'spin' has no job" in info
    assert keel.state("spin") == "running"
    # It ends by Ctrl-], as a console does, and the guest goes on.
    keel.send("event spin --loop\r")
    keel.expect("--loop\r\n")
    keel.send("\x1d")
    keel.expect("events received: 0")
    keel.expect(PROMPT)
    # A guest that ends in the middle of its check takes the check along.
    said = keel.command("start ticks; dommemcheck ticks 100000")
    assert re.search(r"domain 'ticks' has ended itself after \d+ of 100000 rounds", said), said
    keel.wait_state("ticks", "shut off")
    assert "Operation:      dommemcheck\nOutcome:        failed" in keel.command(
        "domjobinfo ticks --completed")
    keel.command("destroy spin")
    told = keel.command("event --loop --since 1 --timeout 0 spin")
    assert "Stopped destroyed" in told and "Done end" in told and "Aborted dommemcheck" in told
    keel.poweroff()
