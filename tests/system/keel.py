# SPDX-License-Identifier: BSD-2-Clause
"""Drives one Keel over its serial console, on either bed, through tools/run.

    with Keel("svm", config=DEBIAN, modules=GUEST) as keel:
        keel.boot()
        assert "running" in keel.command("list")

Timeouts only bound a hang: they are generous, and no test asserts a duration of the host's clock.
"""
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time

import pexpect
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = f"{ROOT}/build"
LOGS = f"{BUILD}/test-logs"
PROMPT = "keel> "
ESCAPE = re.compile(r"\x1b\[[0-9;?>!]*[A-Za-z]|\x1b[=>78\\]|\x1b[()]B|[\x07\x0f\x18]")
KERNEL, INITRD = f"{BUILD}/guest/vmlinuz", f"{BUILD}/guest/initrd.img"
LINUX = {"vmlinuz": KERNEL, "initrd.img": INITRD}

# What a Linux guest is told. Its kernel tests its own cryptography at each boot, which on Bochs
# takes longer than all else that it does.
LINUX_CMDLINE = "console=ttyS0 quiet cryptomgr.notests"

# A back end that is not there is not tested.
BEDS = [bed for bed in ("svm", "vmx") if os.path.isdir(f"{ROOT}/{bed}")]

# What is the same on either bed is done on the fast one.
vmx_in_soak = pytest.mark.parametrize("bed", [
    pytest.param(bed, marks=[pytest.mark.soak] * (bed == "vmx")) for bed in BEDS])

# Wall-clock seconds that something may take before it counts as hung.
PATIENCE = {"svm": 240, "vmx": 480, "svm10": 240}


def is_qemu10(bed):
    """Is it QEMU 10 or later? On Debian 13 the system's own is."""
    if bed != "svm":
        return bed == "svm10"
    said = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True)
    return int(re.search(rb"version (\d+)", said.stdout).group(1)) >= 10


def vm(name, memory="192M", kernel="vmlinuz", initrd="initrd.img", cmdline=None, **more):
    """A [vm] section; `cmdline` defaults to what a quiet Linux wants."""
    if cmdline is None:
        cmdline = f"{LINUX_CMDLINE} hostname={name}"
    keys = {"memory": memory, "kernel": kernel, "initrd": initrd, "cmdline": cmdline, **more}
    return f"[vm {name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v) + "\n"


def guest_elf(name):
    """A kernel of tests/guest/."""
    return f"{BUILD}/tests/guest/{name}.elf"


# Where clocks count instructions, each that Keel spends on clearing free memory delays what waits,
# and QEMU's BIOS takes longer than Keel: little memory, little firmware.
EXACT = {"svm": {"icount": True, "memory": 128, "emulator": ["-bios", "qboot.rom"]}, "vmx": {}}


class Keel:
    """Loaded by GRUB, or without `grub` by nothing: that takes less than half of the time. The mark
    grub tells which it is in a test."""
    def __init__(self, bed, config="[host]\nhostname = keel0\n", modules=None, cmdline="",
                 name="keel", cpus=1, memory=None, patience=None, grub=True, **options):
        if not grub:
            options["pvh"] = True
        self.bed, self.name, self.cpus, self.count = bed, name, cpus, 0
        self.patience = patience or PATIENCE[bed]
        self.work = tempfile.TemporaryDirectory(prefix="keel-test-")
        self.transcript = f"{LOGS}/{name}.log"
        os.makedirs(LOGS, exist_ok=True)
        self.log = open(self.transcript, "a", encoding="latin-1", newline="")
        arguments = ["--bed", bed, "--cpus", str(cpus)]
        if memory:
            arguments += ["--memory", str(memory)]
        for key, value in options.items():
            flag = "--" + key.replace("_", "-")
            values = value if isinstance(value, list) else [value]
            for v in values:
                arguments += [flag] if v is True else [f"{flag}={v}"]
        if config is not None:
            path = f"{self.work.name}/keel.conf"
            with open(path, "wb") as f:
                f.write(config if isinstance(config, bytes) else config.encode())
            arguments += ["-c", path]
        if cmdline:
            arguments += [f"--cmdline={cmdline}"]
        arguments += [f"{n}={p}" for n, p in (modules or {}).items()]
        self.child = pexpect.spawn(f"{ROOT}/tools/run", arguments, timeout=self.patience,
                                   encoding="latin-1", echo=False, dimensions=(24, 80), cwd=ROOT)
        self.child.delaybeforesend = None
        self.child.logfile_read = self.log

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the emulator, whatever state it is in."""
        if self.child.isalive():
            self.child.kill(signal.SIGTERM)
        with contextlib.suppress(pexpect.ExceptionPexpect):
            self.child.close(force=True)
        self.log.close()
        self.work.cleanup()

    def expect(self, pattern, timeout=None):
        """Waits for a regular expression; returns all that came up to and with it."""
        self.child.expect(pattern, timeout=timeout or self.patience)
        return clean(self.child.before + self.child.after)

    def ended(self):
        """Waits until the emulator has ended by itself; returns what was still printed."""
        self.child.expect(pexpect.EOF, timeout=self.patience)
        return clean(self.child.before)

    def boot(self):
        """Up to the first prompt; the boot log is kept in boot_log."""
        self.boot_log = self.expect(f"\n{PROMPT}")
        self.settle(0.1)
        return self

    def settle(self, quiet=0.3):
        """Drains what still comes, until the line has been quiet for that long."""
        text = ""
        while True:
            try:
                text += self.child.read_nonblocking(4096, timeout=quiet)
            except pexpect.TIMEOUT:
                return clean(text)
            except pexpect.EOF:
                return clean(text)

    def send(self, text):
        self.child.send(text)

    def command(self, line, timeout=None):
        """Types a line at the prompt; returns what it printed, without echo and prompt."""
        # A second command tells the first one's end: log lines and redrawn prompts may come at any
        # time.
        self.count += 1
        mark = f"mark{self.count}end"
        self.send(f"{line}\recho {mark}\r")
        self.child.expect(rf"\n{mark}\r\n", timeout=timeout or self.patience)
        text = clean(self.child.before)
        text = text[:text.rindex("echo mark")]
        return text[text.find("\n") + 1:text.rindex(PROMPT)].strip("\n")

    def wait_for(self, line, pattern, timeout=None):
        """Repeats a command until its output matches; returns the match."""
        end = time.monotonic() + (timeout or self.patience)
        while True:
            out = self.command(line)
            match = re.search(pattern, out)
            if match:
                return match
            assert time.monotonic() < end, f"{line}: no {pattern!r} in:\n{out}"
            time.sleep(0.2)

    def screenshot(self, name):
        """The PNG that the command prints, as people get it; of a guest that has set a mode."""
        picture = f"{self.work.name}/screenshot.png"
        printed = self.wait_for(f"screenshot {name}", "(?s).*END PNG.*").group()
        subprocess.run([f"{ROOT}/tools/screenshot", "-o", picture], check=True,
                       input=printed.encode("latin-1"), stdout=subprocess.DEVNULL)
        with open(picture, "rb") as f:
            return f.read()

    def state(self, name):
        return self.wait_for(f"domstate {name}", r"(\S[^\r\n]*)").group(1)

    def wait_state(self, name, state, timeout=None):
        return self.wait_for(f"domstate {name}", rf"(?m)^{state}\b", timeout)

    @contextlib.contextmanager
    def console(self, name, command=None):
        """Inside, what is sent goes to the guest; at the end Ctrl-] leaves."""
        self.settle(0.05)
        self.send((command or f"console {name}") + "\r")
        yield self
        self.send("\x1d")
        self.expect(PROMPT)

    def poweroff(self, option="--force"):
        """By the command; the emulator must end by itself."""
        self.settle(0.05)
        self.send(f"poweroff {option}\r")
        return self.ended()


def clean(text):
    return ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def fields(text):
    """`Name:   value` lines as a dict."""
    rows = (row.partition(":") for row in text.splitlines())
    return {k.strip(): v.strip() for k, _, v in rows if v}


def free_pages(keel):
    """`nodememstats`: the free memory in KiB, once the scrubber has nothing left to do."""
    previous = None
    while True:
        out = keel.command("nodememstats")
        free = int(re.search(r"(?im)^\s*free\s*:\s*(\d+)", out).group(1))
        if free == previous:
            return free
        previous = free
        keel.settle(0.5)


def rows(text):
    """The rows of a table as printed by `list`, without its head."""
    lines = [row.split() for row in text.splitlines() if row.strip()]
    head = next((i for i, row in enumerate(lines) if set("".join(row)) == {"-"}), -1)
    return lines[head + 1:]
