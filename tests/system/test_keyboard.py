# SPDX-License-Identifier: BSD-2-Clause
"""The console at the machine itself: its screen and its keyboard, alone and beside the serial line."""
import pytest
from keel import LINUX, fields, vm
from screen import SCREENS, Monitor, ega_rows, wait_for

pytestmark = pytest.mark.grub


@pytest.mark.parametrize("firmware", SCREENS)
@pytest.mark.cost(60)
def test_no_serial_port(start, tmp_path, firmware):
    """Keel and a guest are worked with, and the host is switched off, by screen and keyboard."""
    options, rows_of = SCREENS[firmware]
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, serial="none", config=vm("debian"),
                 modules=LINUX, **options)

    def see(text):
        return wait_for(rows_of, monitor, tmp_path, text.rstrip(), 360)  # as rows are
    see("] keel: ready, console on the screen")
    see("keel>")
    monitor.type("HOSTNAM\x7f\x03")
    see("keel> HOSTNA^C")
    monitor.type("list --al\t\r")
    see(" -    debian   shut off")
    monitor.type("start debian --console\r")
    see("debian:/# ")
    monitor.type("echo $((6 + 1)) 'DonE'\r")
    see("7 DonE")
    monitor.key("up")
    see("debian:/# echo $((6 + 1)) 'DonE'")
    monitor.type("\x1d")
    see("Left the console of domain 'debian'")
    monitor.type("dominfo debian\r")
    see("State:          running")
    monitor.key("shift-pgup")
    monitor.key("shift-pgup")
    see("Connected to domain 'debian'")
    monitor.type("poweroff --force\r")
    keel.ended()


@pytest.mark.cost(10)
def test_both(start, tmp_path):
    """What is typed at one is seen at both, answers too; the log is above the prompt on both."""
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments).boot()
    assert "keel: ready, console on COM1 and the screen" in keel.boot_log
    console = fields(keel.command("nodeinfo"))["Console"]
    assert console.startswith("COM1 (0x3f8), IRQ 4") and console.endswith("; screen, keyboard by IRQ 1")
    keel.command("echo from the line")
    wait_for(ega_rows, monitor, tmp_path, "from the line")
    monitor.type("echo from the keys\r")
    keel.expect(r"\nfrom the keys\r\n")
    rows = wait_for(ega_rows, monitor, tmp_path, "from the keys")
    assert "keel> echo from the keys" in rows
    keel.poweroff()


@pytest.mark.parametrize("option", ("console=serial", "screen=no"))
def test_serial_alone(start, tmp_path, option):
    monitor = Monitor(tmp_path / "monitor")
    keel = start("svm", vga="std", emulator=monitor.arguments, cmdline=option).boot()
    assert "keel: ready, console on COM1\n" in keel.boot_log
    monitor.type("echo keys\r")
    keel.command("echo line")
    assert "keys" not in keel.settle(1)
    assert not any("keel> " in row for row in ega_rows(monitor, tmp_path))
    keel.poweroff()


@pytest.mark.cost(5)
def test_screen_asked_for_in_vain(start, bed):
    """Nobody is locked out: the serial line takes over, and the reason is in the log."""
    keel = start(bed, cmdline="console=screen screen=no").boot()
    assert "terminal: there is no screen with a keyboard to be a console" in keel.boot_log
    assert "keel: ready, console on COM1\n" in keel.boot_log
    keel.poweroff()


@pytest.mark.cost(5)
def test_bochs(start):
    """Its controller is set up, too; nobody types there."""
    keel = start("vmx").boot()
    assert "keel: ready, console on COM1 and the screen" in keel.boot_log
    assert len(keel.command("help").splitlines()) > 20
    keel.poweroff()
