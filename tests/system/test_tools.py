# SPDX-License-Identifier: BSD-2-Clause
"""The build's own tools, and what the image promises about itself."""
import os
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


def test_symtab_empty():
    out = subprocess.check_output([f"{ROOT}/tools/symtab"], text=True)
    assert "symbol_count: dd 0" in out


@pytest.mark.skipif(not os.path.exists(f"{ROOT}/build/keel.elf"), reason="keel.elf is not built")
def test_image_size():
    """text, rodata and data together: at most 512 KiB."""
    rows = subprocess.check_output(["size", "-A", f"{ROOT}/build/keel.elf"], text=True).splitlines()
    sizes = {r.split()[0]: int(r.split()[1]) for r in rows if r.startswith(".")}
    image = sum(n for name, n in sizes.items()
                if not name.startswith((".debug", ".bss", ".comment")))
    assert image <= 512 << 10, sizes
