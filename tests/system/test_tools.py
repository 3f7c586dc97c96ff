# SPDX-License-Identifier: BSD-2-Clause
"""The build's own tools, and what the image promises about itself."""
import base64
import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_asm_offsets(tmp_path):
    source = tmp_path / "x.s"
    source.write_text("\tpushq\n->NAME $42\n->OTHER 7\n->NEGATIVE $-1\n\tret\n")
    out = subprocess.check_output([f"{ROOT}/tools/asm-offsets", source], text=True)
    assert out == "%define NAME 42\n%define OTHER 7\n%define NEGATIVE -1\n"


def test_bin2c(tmp_path):
    data = tmp_path / "d"
    data.write_bytes(bytes(range(20)))
    out = subprocess.check_output([f"{ROOT}/tools/bin2c", "thing", data], text=True)
    assert "const unsigned char thing[] = {" in out and "0x13," in out and "thing_size = 20;" in out


def test_links(tmp_path):
    test = tmp_path / "test_x.c"
    test.write_text("/* x */\n/* links: a/b.c\n * c.c */\nint main;\n")
    assert subprocess.check_output([f"{ROOT}/tools/links", test], text=True).split() == \
        "LINKS_test_x := a/b.c c.c".split()


def commit_of(tree):
    out = subprocess.check_output([f"{ROOT}/tools/version", tree], text=True)
    return out.split('"')[-2]


def test_version(tmp_path):
    """The commit, a sign of changes, and nothing from a repository around an unpacked archive."""
    def git(*words):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x", *words], cwd=tmp_path, check=True)
    inside = tmp_path / "inside"
    inside.mkdir()
    assert commit_of(tmp_path) == "no commit"
    git("init", "-q")
    assert commit_of(tmp_path) == "no commit"
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "x")
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True)
    assert commit_of(tmp_path) == head[:12]
    assert commit_of(inside) == "no commit"
    (tmp_path / "file").write_text("12")
    assert commit_of(tmp_path) == head[:12] + "+"


def test_screenshot(tmp_path):
    """Whole pictures alone, from a record with all else that a terminal shows."""
    first, second = b"\x89PNG\r\n\x1a\nfirst", b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    def printed(data, end=b"-----END PNG-----\r\n"):
        text = base64.b64encode(data)
        lines = [text[i:i + 76] for i in range(0, len(text), 76)]
        return b"-----BEGIN PNG-----\r\n" + b"\r\n".join(lines) + b"\r\n" + end
    record = tmp_path / "record"
    record.write_bytes(b"keel> screenshot a\r\n" + printed(first) + b"\x1b[K\xffkeel> \r\n" + printed(second)
                       + printed(first, b"error: interrupted\r\n") + printed(b"no picture"))
    out = tmp_path / "out.png"
    assert subprocess.run([f"{ROOT}/tools/screenshot", record, "-o", out], check=False).returncode == 0
    assert out.read_bytes() == second
    subprocess.run([f"{ROOT}/tools/screenshot", record, "-o", out, "--all"], check=True)
    assert [(tmp_path / f"out-{i}.png").read_bytes() for i in (1, 2)] == [first, second]
    record.write_bytes(b"-----BEGIN PNG-----\r\n-----END PNG-----\r\n")
    said = subprocess.run([f"{ROOT}/tools/screenshot", record, "-o", out], stderr=subprocess.PIPE, check=False)
    assert said.returncode == 1 and b"no whole picture" in said.stderr


def test_symtab_empty():
    out = subprocess.check_output([f"{ROOT}/tools/symtab"], text=True)
    assert "symbol_count: dd 0" in out


def test_every_option_is_known():
    """What boot_option() is asked for, what boot/cmdline.c lists, and what README explains."""
    source = subprocess.check_output(f"cat {ROOT}/{{boot,cpu,kernel,drivers,vmm,svm,vmx,mgmt}}/*.c", shell=True,
                                     executable="/bin/bash", text=True)
    asked = set(re.findall(r'boot_option(?:_number)?\(\s*"(\w+)"', source))
    with open(f"{ROOT}/boot/cmdline.c", encoding="ascii") as f:
        rows = re.search(r"options\[\] = \{(.*?)\n\};", f.read(), re.S)[1]
    assert asked == set(re.findall(r'\{ "(\w+)"', rows))
    with open(f"{ROOT}/README.md", encoding="utf-8") as f:
        text = f.read()
    for_tests = {"drop_irqs", "itlb_multihit", "provoke", "selftest"}  # in docs/CAVEATS.md and docs/TESTING.md
    assert not [name for name in asked - for_tests if f"`{name}=" not in text]


@pytest.mark.skipif(not os.path.exists(f"{ROOT}/build/keel.elf"), reason="keel.elf is not built")
def test_image_size():
    """text, rodata and data together: at most 700 KiB, as test_bench.py has it."""
    rows = subprocess.check_output(["size", "-A", f"{ROOT}/build/keel.elf"], text=True).splitlines()
    sizes = {r.split()[0]: int(r.split()[1]) for r in rows if r.startswith(".")}
    image = sum(n for name, n in sizes.items()
                if not name.startswith((".debug", ".bss", ".comment")))
    assert image <= 700 << 10, sizes


def tool(name, *arguments):
    """(status, all that it printed)"""
    p = subprocess.run([f"{ROOT}/tools/{name}", *map(str, arguments)], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return p.returncode, p.stdout


@pytest.fixture
def conf(tmp_path):
    def write(text, name="my.conf"):
        (tmp_path / name).write_text(text)
        return tmp_path / name
    return write


KERNEL = f"{ROOT}/build/guest/vmlinuz"
RIGHT = "[vm a]\nmemory = 192M\nkernel = vmlinuz\n"


def test_keelconf(conf):
    """Keel's parser and loaders: text alone, then with the modules there are."""
    path = conf(RIGHT + "colour = blue\n[vm b]\nmemory = 12Q\nkernel = vmlinuz\n")
    status, said = tool("keelconf", "check", path)
    assert status == 1
    assert [int(n) for n in re.findall(rf"(?m)^{re.escape(str(path))}:(\d+): ", said)] == [4, 6], said
    path = conf(RIGHT)
    assert tool("keelconf", "check", path) == (0, "")
    assert tool("keelconf", "check", path, "--modules", KERNEL) == (0, "")
    assert tool("keelconf", "check", path, "--modules", f"vmlinuz={KERNEL}") == (0, "")
    status, said = tool("keelconf", "check", path, "--modules", f"other={KERNEL}")
    assert status == 1 and "there is no module 'vmlinuz'" in said
    status, said = tool("keelconf", "check", path, "--modules", f"vmlinuz={path}")
    assert status == 1 and "not a kernel" in said
    assert tool("keelconf", "check", "/nothere")[0] == 2
    assert tool("keelconf")[0] == 2


@pytest.mark.parametrize("path", sorted(glob.glob(f"{ROOT}/configs/*.conf")), ids=os.path.basename)
def test_samples(path):
    assert tool("keelconf", "check", path) == (0, "")


def test_mkiso_refuses(conf, tmp_path):
    """What would be an image that does not boot, or whose guests do not start."""
    out = tmp_path / "x.iso"

    def refused(*arguments):
        status, said = tool("mkiso", "-o", out, *arguments)
        assert status == 1 and not out.exists(), said
        return said
    assert "there is no module 'vmlinuz'" in refused("-c", conf(RIGHT))
    assert ":2: memory" in refused("-c", conf(RIGHT.replace("192M", "much")), KERNEL)
    for name in ("keel.elf", "grub", "GRUB"):
        assert f"cannot be called {name}" in refused(f"{name}={KERNEL}")
    assert "two modules are called a" in refused(f"a={KERNEL}", f"a={KERNEL}")
    assert "there is no file" in refused("nothere")
    assert "not a 64-bit ELF" in refused("--elf", KERNEL)
    assert "--serial tty7" in refused("--serial", "tty7")


def test_mkiso_unchecked(conf, tmp_path):
    out = tmp_path / "x.iso"
    assert tool("mkiso", "-o", out, "--unchecked", "-c", conf(RIGHT)) == (0, "")
    assert out.stat().st_size > 1 << 20


def test_pvh_disk(tmp_path):
    """The disk has whole cylinders and begins as a BIOS wants it; tests/system/test_boot.py starts
    some. What cannot be started is refused."""
    elf, out = f"{ROOT}/build/keel.elf", tmp_path / "x.disk"
    assert tool("pvh-disk", out, elf, "cpus=1", KERNEL) == (0, "")
    disk = out.read_bytes()
    assert disk[510:512] == b"\x55\xaa" and len(disk) % (16 * 63 * 512) == 0
    with open(KERNEL, "rb") as f:
        assert f.read() in disk
    assert b"cpus=1\0" in disk
    status, said = tool("pvh-disk", out, f"{ROOT}/build/keelconf", "")
    assert status == 1 and "no PVH note" in said
    assert tool("pvh-disk", out)[0] == 1


@pytest.mark.parametrize("options, text", (
    ("--memory abc", "--memory abc"), ("--memory -5", "--memory -5"), ("--cpus 0", "--cpus 0"),
    ("--iso nothere", "no image nothere"), ("-c nothere.conf", "no file nothere.conf"),
    ("x=nothere", "no file nothere"), ("--iso a.iso -c b.conf m", "--config, modules"),
    ("--iso a.iso --pvh", "--pvh"), ("--bed vmx --uefi --vga std", "--uefi, --vga"),
    ("--log x", "--log"), ("--bed vmx --bios nothere", "no BIOS image nothere"),
    ("--elf Makefile", "not a 64-bit ELF"), ("--bed nowhere", "nowhere"),
    ("keel.elf=Makefile", "cannot be called"),
))
def test_run_refuses(options, text):
    """One clear line, no traceback, no emulator."""
    p = subprocess.run([f"{ROOT}/tools/run", *options.split()], stdin=subprocess.DEVNULL, cwd=ROOT,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert p.returncode and text in p.stdout and "Traceback" not in p.stdout, p.stdout


def test_deps_groups(tmp_path):
    """Nothing is installed here; what a bed does not need is not asked for."""
    (tmp_path / "dpkg-query").write_text("#!/bin/sh\n")
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    for name in ("dpkg-query", "id"):
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "sed", "grep", "head"):
        (tmp_path / name).symlink_to(f"/bin/{name}" if os.path.exists(f"/bin/{name}")
                                     else f"/usr/bin/{name}")

    def wanted(*groups):
        p = subprocess.run([f"{ROOT}/tools/deps", *groups], env={"PATH": str(tmp_path)}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert p.returncode == 1
        line = p.stdout.splitlines()[-1]
        assert line.startswith("apt-get update && apt-get install "), p.stdout
        return line.split()
    assert "bochs" not in wanted("image", "svm") and "qemu-system-x86" in wanted("image", "svm")
    assert "bochs" in wanted("vmx") and "qemu-system-x86" not in wanted("vmx")
    assert {"bochs", "qemu-system-x86", "clang", "grub-common"} < set(wanted("test", "fuzz"))
