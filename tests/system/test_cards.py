# SPDX-License-Identifier: BSD-2-Clause
"""Network cards of Intel's, by Debian's own drivers, on cables to a guest with virtio's."""
import re

import pytest
from keel import BUILD, INITRD, KERNEL, vm, vmx_in_soak
from test_firmware import SEABIOS
import test_net
from test_guests import unpacked
from test_net import MODULES, initrd_with, net_vm

DRIVERS = f"{BUILD}/guest/vmlinuz-disks"
BLOCKS = {"svm": 64, "vmx": 4}  # of a file, of 64 KiB each


def cards_initrd(path):
    with open(INITRD, "rb") as initrd, open(f"{DRIVERS}.cards.cpio", "rb") as drivers:
        path.write_bytes(initrd.read() + drivers.read())
    return str(path)


def bring_up(keel, name, host):
    """Its cards 0 and 1 are 10.0.0.HOST and 10.0.1.HOST."""
    with keel.console(name, f"start {name} --console"):
        keel.expect(rf"{name}:/# ")
        keel.send("sh /lib/cards/load; for i in 0 1; do ip addr add 10.0.$i."
                  f"{host}/24 dev eth$i; ip link set eth$i up; done; echo up$((1 + 1))\r")
        keel.expect("up2")


def copy_file(keel, sender, receiver, address, port):
    """A file goes over by TCP, and is the same there."""
    with keel.console(receiver):
        keel.send(f"\rnc -l -p {port} >/g & sleep 1; echo listens$((1 + 1))\r")
        keel.expect("listens2")
    with keel.console(sender):
        keel.send(f"\rdd if=/dev/urandom of=/f bs=64k count={BLOCKS[keel.bed]} 2>/dev/null; "
                  f"nc {address} {port} </f; echo sum$(md5sum </f | cut -c1-32)\r")
        said = keel.expect(r"sum[0-9a-f]{32}")
    with keel.console(receiver):
        keel.send("\rwait; echo sum$(md5sum </g | cut -c1-32)\r")
        got = keel.expect(r"sum[0-9a-f]{32}")
    assert re.findall(r"sum[0-9a-f]{32}", said) == re.findall(r"sum[0-9a-f]{32}", got)


@pytest.mark.soak
@pytest.mark.cost(90)
@vmx_in_soak
def test_linux(start, bed, tmp_path):
    """e1000 and e1000e ping, and carry files in both directions, and see their link."""
    config = (vm("debian", initrd="cards.img", memory="256M",
                 nic="cable=a\nnic = cable=b, mac=52:54:00:12:34:57") +
              vm("debian2", initrd="cards.img", memory="256M",
                 nic="cable=a, model=e1000, mac=52:54:00:12:34:56\nnic = cable=b, model=e1000e"))
    kernel = DRIVERS if bed == "svm" else unpacked(DRIVERS, tmp_path / "vmlinux")
    keel = start(bed, config=config, memory=1024, patience=1200, modules={
        "vmlinuz": kernel, "cards.img": cards_initrd(tmp_path / "cards.img")}).boot()
    bring_up(keel, "debian", 1)
    bring_up(keel, "debian2", 2)
    with keel.console("debian2"):
        keel.send("\rcat /sys/class/net/eth0/address; cd /sys/class/net; until cat eth0/carrier "
                  "eth1/carrier | tr -d '\\n' | grep 11; do sleep 1; done; cat eth*/speed; cd /\r")
        assert "52:54:00:12:34:56" in keel.expect(r"1000\r\n1000\r\n")
        keel.send("for i in 0 1; do ping -c 3 10.0.$i.1; done; echo ping$((1 + 1))\r")
        said = keel.expect("ping2")
        assert said.count(" 0% packet loss") == 2, said
    for i in range(2):
        copy_file(keel, "debian", "debian2", f"10.0.{i}.2", 7)
        copy_file(keel, "debian2", "debian", f"10.0.{i}.1", 8)
    for name in "debian", "debian2":
        assert "came back the same" in keel.command(f"domstatecheck {name} 3")
    with keel.console("debian2"):
        keel.send("\rfor i in 0 1; do ping -c 2 10.0.$i.1; done; echo ping$((2 + 1)); "
                  "dmesg | grep -ciE 'e1000.*(hang|error|fail)'; echo counted$((1 + 1))\r")
        said = keel.expect("counted2")
        assert said.count(" 0% packet loss") == 2, said
        assert re.search(r"ping3\s+0\s+counted2", said), said
    keel.command("destroy debian")
    keel.wait_state("debian", "shut off")
    with keel.console("debian2"):
        keel.send("\runtil cat /sys/class/net/eth*/carrier | tr -d '\\n' | grep 00; do sleep 1; "
                  "done; echo down$((1 + 1))\r")
        keel.expect("down2")
    keel.command("destroy debian2")
    keel.poweroff()


SCRIPT = ("#!ipxe\necho driver ${net0/chip} at ${net0/mac}\n" + f"# {'x' * 70}\n" * 1000 +
          "echo all of it\nsleep 1000\n")
DHCP = """\
start 10.0.0.50
end 10.0.0.60
interface eth0
lease_file /leases
boot_file http://10.0.0.1/script
option subnet 255.255.255.0
option router 10.0.0.1
"""


@pytest.mark.cost(40)
@pytest.mark.parametrize("model,chip", [("e1000", "82540em"), ("e1000e", "82574l")])
def test_ipxe(start, tmp_path, model, chip):
    """The card's own ROM finds it under SeaBIOS, and loads a script by DHCP and HTTP."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "script").write_text(SCRIPT)
    (served / "udhcpd.conf").write_text(DHCP)
    config = (net_vm("debian", nic="cable=a") +
              f"[vm pc]\nmemory = 64M\nfirmware = bios\noption_rom = pxe.rom\n"
              f"nic = cable=a, model={model}, mac=52:54:00:12:34:56\n")
    keel = start("svm", config=config, modules={
        "vmlinuz": KERNEL, "net.img": initrd_with(tmp_path / "net.img", MODULES, served),
        "bios": SEABIOS, "pxe.rom": f"/usr/lib/ipxe/qemu/pxe-{model}.rom"}).boot()
    test_net.bring_up(keel, "debian", "10.0.0.1")
    with keel.console("debian"):
        keel.send("\rtouch /leases; udhcpd /udhcpd.conf; httpd -h /; echo serves$((1 + 1))\r")
        keel.expect("serves2")
    with keel.console("pc", "start pc --console"):
        keel.expect("iPXE")
        said = keel.expect("all of it")
        assert f"driver {chip} at 52:54:00:12:34:56" in said, said
    assert "came back the same" in keel.command("domstatecheck pc 3")
    keel.command("destroy pc")
    keel.command("destroy debian")
    keel.poweroff()
