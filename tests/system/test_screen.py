# SPDX-License-Identifier: BSD-2-Clause
"""What is on the screen: EGA text after a BIOS boot, a framebuffer after a UEFI boot, read back
from QEMU."""
import pytest
from screen import SCREENS, Monitor, ega_rows, wait_for

pytestmark = pytest.mark.grub


@pytest.mark.parametrize("firmware", SCREENS)
@pytest.mark.cost(10)
def test_log_on_the_screen(start, tmp_path, firmware):
    options, rows_of = SCREENS[firmware]
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, **options).boot()
    rows = wait_for(rows_of, monitor, tmp_path, "] keel: ready")
    assert "] keel: loaded by GRUB" in rows[0]
    assert not any("Booting" in row for row in rows)
    assert "screen: " in keel.boot_log
    keel.poweroff()


@pytest.mark.parametrize("firmware", SCREENS)
@pytest.mark.cost(10)
def test_panic_on_the_screen(start, tmp_path, firmware):
    """Also without a serial port: the beginning is what stays."""
    options, rows_of = SCREENS[firmware]
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cmdline="provoke=null", **options)
    keel.expect("halted")
    rows = wait_for(rows_of, monitor, tmp_path, "PANIC: #PF page fault: write to unmapped")
    assert any(row.startswith("cpu 0 of 1") for row in rows)
    assert any(row.startswith("backtrace:") for row in rows)


@pytest.mark.cost(3)
def test_refusal_on_the_screen(start, tmp_path):
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cpu_model="max,-svm")
    keel.expect("keel: cannot start: ")
    wait_for(ega_rows, monitor, tmp_path, "keel: cannot start: ")


def test_screen_switched_off(start, tmp_path):
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cmdline="screen=no").boot()
    assert "screen: " not in keel.boot_log
    assert not any("keel: ready" in row for row in ega_rows(monitor, tmp_path))
    keel.poweroff()
