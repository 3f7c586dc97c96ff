# SPDX-License-Identifier: BSD-2-Clause
"""Network cards: Debian's own virtio_net on a cable between two guests."""
import os
import re
import subprocess

import pytest
from keel import BUILD, INITRD, KERNEL, vm, vmx_in_soak

MODULES = f"{BUILD}/guest/modules/net"
ORDER = ("virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover "
         "net_failover virtio_net")
FILE = 'dd if=/dev/urandom of=/f bs=64k count=64 2>/dev/null; md5sum /f | cut -c1-32'


def initrd_with(path, *folders):
    """The demo's initrd with what is in the folders behind it."""
    with open(INITRD, "rb") as f:
        data = f.read()
    for folder in folders:
        names = "".join(f"{n}\n" for n in sorted(os.listdir(folder)))
        data += subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=folder,
                               input=names.encode(), stdout=subprocess.PIPE, check=True).stdout
    path.write_bytes(data)
    return str(path)


@pytest.fixture
def modules(tmp_path):
    return {"vmlinuz": KERNEL, "net.img": initrd_with(tmp_path / "net.img", MODULES)}


def net_vm(name, **more):
    return vm(name, initrd="net.img", **more)


def bring_up(keel, name, address):
    with keel.console(name, f"start {name} --console"):
        keel.expect(r"READY [\d.]+")
        keel.expect(rf"{name}:/# ")
        keel.send(f"for m in {ORDER}; do insmod /$m.ko; done; "
                  f"ip addr add {address}/24 dev eth0; ip link set eth0 up; echo up$((1 + 1))\r")
        keel.expect("up2")


def sent(keel, name):
    """Bytes and frames of its first card."""
    said = keel.command(f"domstats {name} --interface")
    return [int(re.search(rf"net\.0\.tx\.{what}=(\d+)", said)[1]) for what in ("bytes", "pkts")]


@pytest.mark.cost(75)
@vmx_in_soak
def test_cable(start, bed, modules):
    """Two guests ping each other and send a file, whole, by TCP; a card has the address that the
    configuration gives it, and sees when the other guest goes and comes back."""
    config = (net_vm("debian", nic="cable=a, mac=52:54:00:12:34:56") +
              net_vm("debian2", vcpus="2", nic="cable=a"))
    keel = start(bed, config=config, modules=modules).boot()
    bring_up(keel, "debian", "10.0.0.1")
    bring_up(keel, "debian2", "10.0.0.2")
    with keel.console("debian"):
        keel.send("\rcat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; "
                  "nc -l -p 7 >/g & sleep 0.1; echo listens$((1 + 1))\r")
        said = keel.expect("listens2")
        assert "52:54:00:12:34:56" in said and "1500" in said
    with keel.console("debian2"):
        keel.send("\rping -c 3 10.0.0.1; cat /sys/class/net/eth0/carrier; " + FILE +
                  "; nc 10.0.0.1 7 </f; echo sent$((1 + 1))\r")
        said = keel.expect("sent2")
        assert " 0% packet loss" in said, said
    with keel.console("debian"):
        keel.send("\rmd5sum /g | cut -c1-32; httpd -h /; echo done$((1 + 1))\r")
        got = keel.expect("done2")
    sums = [w for w in said.split() if len(w) == 32 and set(w) <= set("0123456789abcdef")]
    assert sums and sums[-1] in got, (said, got)
    before = sent(keel, "debian")
    # A server's sendfile makes large frames, which cross as they are.
    with keel.console("debian2"):
        keel.send("\rwget -q -O - http://10.0.0.1/g | md5sum; echo back$((1 + 1))\r")
        assert sums[-1] in keel.expect("back2")
    size, frames = (now - was for now, was in zip(sent(keel, "debian"), before))
    assert size > 4 << 20 and size / frames > 8000, (size, frames)
    keel.command("destroy debian2")
    keel.wait_state("debian2", "shut off")
    with keel.console("debian"):
        keel.send("\recho carrier=$(cat /sys/class/net/eth0/carrier)\r")
        keel.expect("carrier=0")
    bring_up(keel, "debian2", "10.0.0.2")
    with keel.console("debian2"):
        keel.send("\rping -c 3 10.0.0.1; echo ping$((1 + 1))\r")
        said = keel.expect("ping2")
        assert " 0% packet loss" in said, said
    keel.command("destroy debian")
    keel.command("destroy debian2")
    keel.poweroff()
