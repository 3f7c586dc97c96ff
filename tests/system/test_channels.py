# SPDX-License-Identifier: BSD-2-Clause
"""A virtio console: Debian's own driver has its system console and shell there, and a named port."""
import re

import pytest
from keel import LINUX, fields, vm, vmx_in_soak

# On a kernel's command line: a blank is _, and ? a character of a module's name.
INSERT = ("run=for_m_in_virtio?ring_virtio_virtio?pci?legacy?dev_virtio?pci?modern?dev_virtio?pci_"
          "virtio?console;do_insmod_/lib/$m.ko;done")


def ask(keel, line):
    keel.send(line + "; echo do$((1))ne\r")
    return keel.expect(r"do1ne[\s\S]*?debian:/# ")


@pytest.mark.cost(20)
@vmx_in_soak
def test_console(start, bed):
    """console=hvc0 is the kernel's console: its messages and a shell. A channel is a port by its
    name, read and written, and is found by it; what nobody reads is kept, not more than
    is promised. The state is saved and loaded while it prints."""
    config = vm("debian", memory="128M", vcpus=2, console="virtio", channel="org.keel.test.0",
                cmdline=f"console=hvc0 hostname=debian {INSERT}")
    keel = start(bed, config=config, modules=LINUX).boot()
    said = keel.command("dumpconf debian")
    assert "console = virtio, slot=0:3.0" in said, said
    assert "channel = org.keel.test.0, port=1, slot=0:3.0" in said, said
    assert "has no console 'x': it has serial0, " in keel.command("console debian x")
    assert "is shut off" in keel.command("console debian hvc0")
    keel.command("start debian")
    with keel.console("debian", "console debian hvc0"):
        keel.expect(r"debian:/# ")
        ask(keel, "true")
        assert "] a word of the kernel" in ask(keel, "echo '<1>a word of the kernel' >/dev/kmsg")
        out = ask(keel, "tty; cat /sys/class/tty/console/active; cat /sys/class/virtio-ports/*/name; "
                        "cat /proc/cmdline")
        assert "/dev/hvc0" in out and "org.keel.test.0" in out, out
        # A line to the port, which nobody reads yet, and one from it.
        ask(keel, "exec 3<>/dev/vport0p1; echo to the host >&3")
        ask(keel, "(read -r line; echo got $line; cat >/all) <&3 & true")
    with keel.console("debian", "console debian --devname org.keel.test.0"):
        keel.expect("to the host")
        keel.send("a line from the host\n")
        for i in range(50):
            keel.send(f"{i:03} " + "x" * 75 + "\n")
    with keel.console("debian", "console debian hvc0"):
        keel.expect("got a line from the host")
        keel.send("\r")
        keel.expect("debian:/# ")
        keel.send("while [ $(wc -l </all) -lt 50 ]; do sleep 0.1; done; tail -n 1 /all; "
                  "wc -c /all\r")
        keel.expect(r"049 x{75}\r\n4000 /all")
        # 200 KB that nobody reads: 64 KiB of them stay, the newest.
        ask(keel, "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); "
                  "printf '%099d\\n' $i; done >&3")
        ask(keel, "while :; do dmesg; done >&3 & sleep 0.1")
    assert "came back the same" in keel.command("domstatecheck debian 20")
    with keel.console("debian", "console debian hvc0"):
        keel.send("\r")
        keel.expect("debian:/# ")
        ask(keel, "kill $!; sleep 0.5; printf '%099d\\n' 7777777 >&3")
    with keel.console("debian", "console debian --devname org.keel.test.0"):
        said = keel.expect(r"7777777\r?\n")
        dropped = int(re.search(r"\[(\d+) bytes of older output were dropped\]", said)[1])
        assert dropped > 130000, said
    with keel.console("debian", "console debian hvc0"):
        keel.send("poweroff -f\r")
        keel.expect("shut off")
    assert fields(keel.command("dominfo debian"))["State"] == "shut off"
    keel.poweroff()
