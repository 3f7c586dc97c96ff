# SPDX-License-Identifier: BSD-2-Clause
"""The end, provoked by `provoke=` on the command line: what happened, registers, names, and then
silence or a reboot."""
import pexpect
import pytest

CASES = {
    "panic": "PANIC: provoked",
    "ud": "PANIC: #UD",
    "null": "PANIC: #PF page fault: write to unmapped 0000000000000000",
    "stack": "PANIC: #DF double fault",
}


@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("cpus", (1, 2))
def test_panic(start, bed, what, cpus):
    keel = start(bed, cmdline=f"provoke={what}", cpus=cpus, patience=60)
    keel.expect(CASES[what])
    text = keel.expect("halted")
    for word in ("cpu 0 of", "cr3 ", "backtrace:", "+0x", "trace, newest last:"):
        assert word in text, word
    with pytest.raises(pexpect.TIMEOUT):
        keel.child.expect("keel> ", timeout=1)


def test_panic_reboots(start):
    """-no-reboot turns the reboot into QEMU's end."""
    keel = start("svm", cmdline="provoke=panic panic=reboot")
    keel.expect("PANIC: provoked")
    keel.expect("rebooting")
    keel.ended()
