# SPDX-License-Identifier: BSD-2-Clause
"""A hand in the emulated processor: QEMU's gdb stub, as far as tests need it, to play what no bed's chip or firmware does."""
import re
import socket
import subprocess
import time

from keel import BUILD


def behind_rdmsr(msr):
    """Addresses of the instructions behind Keel's RDMSRs of this register."""
    text = subprocess.check_output(["objdump", "-d", "--no-show-raw-insn", f"{BUILD}/keel.elf"], text=True)
    reads = re.findall(rf"\$0x{msr:x},%ecx\n(?:.*\n){{0,6}}?.*\trdmsr.*\n\s*([0-9a-f]+):", text)
    assert reads, f"Keel does not read {msr:#x}"
    return [int(address, 16) for address in reads]


class Gdb:
    """The stub behind a socket; QEMU has been started with arguments(path), and waits."""
    RAX, RDX = 0, 3

    @staticmethod
    def arguments(path):
        return ["-S", "-gdb", f"unix:{path},server=on,wait=off"]

    def __init__(self, path, patience):
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + patience
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                assert time.monotonic() < end, "QEMU's gdb stub does not answer"
                time.sleep(0.1)
        self.socket.settimeout(patience)
        # Registers are set one by one for those who have asked what there is.
        self.ask("qXfer:features:read:target.xml:0,ff")

    def send(self, text):
        self.socket.sendall(f"${text}#{sum(text.encode()) & 0xff:02x}".encode())

    def answer(self):
        data = b""
        while not re.search(rb"\$[^#]*#..", data):
            data += self.socket.recv(4096)
        self.socket.sendall(b"+")
        return re.search(rb"\$([^#]*)#", data).group(1).decode()

    def ask(self, text):
        self.send(text)
        return self.answer()

    def breakpoint(self, address):
        assert self.ask(f"Z1,{address:x},1") == "OK"

    def run(self):
        """To the next breakpoint."""
        assert re.match("[TS]05", self.ask("c"))

    def set(self, register, value):
        assert self.ask(f"P{register:x}={value.to_bytes(8, 'little').hex()}") == "OK"

    def leave(self):
        """Breakpoints go, the machine goes on."""
        assert self.ask("D") == "OK"
        self.socket.close()
