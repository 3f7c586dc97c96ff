# SPDX-License-Identifier: BSD-2-Clause
"""The serial line under load: nothing that is typed is lost or mixed up while two guests print."""
import re
import time

import pytest
from keel import LINUX, vm

NOISE = "while :; do echo noise-noise; done &"


def typed_and_heard(keel, lines):
    """Types all lines at once, without waiting for an answer; what Keel printed until
    the last of them."""
    for i in range(0, len(lines), 20):
        keel.send("".join(f"echo {line}\r" for line in lines[i:i + 20]))
    return keel.expect(rf"\n{lines[-1]}\r\n")


@pytest.mark.cost(40)
def test_input_while_guests_print(start):
    keel = start("svm", config=vm("debian") + vm("debian2"), modules=LINUX).boot()
    for name in ("debian", "debian2"):
        with keel.console(name, f"start {name} --console"):
            keel.expect("READY")
            keel.expect(rf"{name}:/# ")
            keel.send(NOISE + "\r")
            keel.expect("noise-noise")
    lines = [f"line{i:04}" + "x" * (i % 50) for i in range(300)]
    heard = typed_and_heard(keel, lines)
    assert re.findall(r"(?m)^(line\d+x*)$", heard) == lines
    assert "noise" not in heard
    with keel.console("debian2"):
        keel.expect("noise-noise")
        keel.send("kill %1\r")
        keel.settle(1)
        keel.send("head -n 100 | wc -c\r")
        time.sleep(1)
        for i in range(100):
            keel.send(f"{i:03}" + "y" * 46 + "\r")
        keel.expect(r"\n5000\r\n")
    keel.poweroff()
