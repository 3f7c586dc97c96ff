# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's gdb stub, as far as tests and tools/bench need it: the machine stops at addresses, tells
what time it is, and holds in its registers what no bed's chip or firmware puts there.

    port = free_port()
    with Keel("svm", emulator=arguments(port), ...) as keel:
        debugger = Debugger(port)
"""
import contextlib
import re
import socket
import subprocess
import time

from keel import BUILD

ELF = f"{BUILD}/keel.elf"
PM_TIMER_PORT = 0x608
PM_TIMER_HZ = 3579545
RAX, RDX = 0, 3


def free_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as s:
        return s.getsockname()[1]


def arguments(port):
    """QEMU's: it waits for the debugger."""
    return ["-S", "-gdb", f"tcp:127.0.0.1:{port}"]


def symbols():
    lines = subprocess.run(["nm", ELF], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return {row[2]: int(row[0], 16) for row in map(str.split, lines) if len(row) == 3}


def behind_rdmsr(msr):
    """Addresses of the instructions behind Keel's RDMSRs of this register."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", ELF], check=True,
                          capture_output=True, text=True).stdout
    reads = re.findall(rf"\$0x{msr:x},%ecx\n(?:.*\n){{0,6}}?.*\trdmsr.*\n\s*([0-9a-f]+):", text)
    assert reads, f"Keel does not read {msr:#x}"
    return [int(address, 16) for address in reads]


def between(start, end):
    """Instructions between two of Debugger.time()."""
    return ((end - start) & 0xFFFFFF) * 1_000_000_000 // PM_TIMER_HZ


class Debugger:
    def __init__(self, port, patience=120):
        end = time.monotonic() + patience
        while True:
            try:
                self.line = socket.create_connection(("127.0.0.1", port), timeout=patience)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end, "QEMU's gdb stub does not answer"
                time.sleep(0.1)
        self.data = b""
        # Only who has asked what registers there are may set one of them.
        self.ask("qXfer:features:read:target.xml:0,ff")

    def packet(self, text):
        body = text.encode()
        self.line.sendall(b"$" + body + b"#%02x" % (sum(body) & 0xFF))

    def reply(self):
        while True:
            match = re.search(rb"\$([^#]*)#..", self.data)
            if match:
                self.data = self.data[match.end():]
                self.line.sendall(b"+")
                return match.group(1).decode("latin-1")
            more = self.line.recv(4096)
            if not more:
                raise EOFError("the emulator has ended")
            self.data += more

    def ask(self, text):
        self.packet(text)
        return self.reply()

    def monitor(self, command):
        """What the monitor prints: O packets, then OK."""
        self.packet("qRcmd," + command.encode().hex())
        text = ""
        while (answer := self.reply()) not in ("OK", ""):
            text += bytes.fromhex(answer[1:]).decode()
        return text

    def time(self):
        """Instructions executed, to a tick of the PM timer, modulo 24 bits of it."""
        match = re.search(r"= 0x([0-9a-f]+)", self.monitor(f"i /w {PM_TIMER_PORT:#x}"))
        return int(match.group(1), 16) & 0xFFFFFF

    def run_to(self, *addresses):
        """Lets the machine run until it is at one of them."""
        for address in addresses:
            assert self.ask(f"Z0,{address:x},1") == "OK"
        self.packet("c")
        assert self.reply().startswith("T05")
        for address in addresses:
            self.ask(f"z0,{address:x},1")

    def count_to(self, address, log):
        """As run_to; returns how many instructions were executed, by QEMU's log of each one. Slow,
        and exact: a stop moves QEMU's clock on to its next timer, which time() cannot leave out."""
        for command in (f"logfile {log}", "singlestep on", "log exec,nochain"):
            self.monitor(command)
        self.run_to(address)
        for command in ("log none", "singlestep off"):
            self.monitor(command)
        with open(log, "rb") as f:
            return sum(line.startswith(b"Trace ") for line in f)

    def register_set(self, register, value):
        assert self.ask(f"P{register:x}={value.to_bytes(8, 'little').hex()}") == "OK"

    def go(self):
        self.packet("c")

    def stop(self):
        self.line.sendall(b"\x03")
        self.reply()
