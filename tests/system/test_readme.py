# SPDX-License-Identifier: BSD-2-Clause
"""README and docs say what is true: their commands exist with the options shown, and what is typed
on Keel's console is typed here as printed, and answered alike. tests/unit/test_config.c parses the
samples of keel.conf."""
import glob
import os
import re
import subprocess
import time

import pytest
from keel import LINUX, PROMPT, ROOT, clean

pytestmark = pytest.mark.grub

PAGES = [f"{ROOT}/README.md", *sorted(glob.glob(f"{ROOT}/docs/*.md")), *sorted(glob.glob(f"{ROOT}/configs/*.conf"))]


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def tour():
    """The lines of the fenced blocks of README's tour."""
    part = text_of(PAGES[0]).split("## A short tour")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```\n(.*?)```", part, re.S)).splitlines()


def masked(line):
    """Without times, counts and versions, which differ from run to run; blanks count as one."""
    line = re.sub(r"\d[\w.+~:-]*", "#", line)
    return " ".join(re.sub(r"-{5,}", "-----", line).split())


def missing(expected, actual):
    """The first expected line that is not in the actual ones, in order."""
    rest = iter([masked(line) for line in actual.splitlines()])
    for line in expected:
        if line.strip() and "(shortened here)" not in line and masked(line) not in rest:
            return line
    return None


def steps():
    """[(where, what is typed, the lines that answer it)]; first the boot log, answering nothing."""
    found = [("boot", "", [])]
    for line in tour():
        m = re.match(r"(keel> |debian:/# )(.*)", line)
        if m:
            found.append((m[1], m[2], []))
        else:
            found[-1][2].append(line)
    return found


def answer_of_guest(keel, typed):
    keel.send(typed + "\r")
    keel.expect(re.escape(typed))
    return keel.expect("debian:/# ")


@pytest.mark.cost(90)
def test_tour(start):
    keel = start("svm", config=text_of(f"{ROOT}/configs/demo.conf"), modules=LINUX).boot()
    for where, typed, lines in steps():
        if where == "boot":
            actual = keel.boot_log
        elif typed == "^]":
            keel.send("\x1d")
            actual = keel.expect(PROMPT)
        elif where == "debian:/# ":
            actual = answer_of_guest(keel, typed)
        elif "--console" in typed:
            keel.send(typed + "\r")
            actual = keel.expect("debian:/# ")
        elif typed == "poweroff":
            # As a person would have: both guests are where the tour tells.
            keel.wait_state("debian", "shut off")
            with keel.console("debian2"):
                keel.expect("debian2:/# ")
            keel.send("poweroff\r")
            actual = clean(keel.ended())
            if "(destroyed)" in actual:  # the bed is slower than the grace that poweroff gives
                lines = [line for line in lines if "powered off" not in line and "(shutdown)" not in line]
        else:
            actual = keel.command(typed) + "\n" + keel.settle(1)
            end = time.monotonic() + keel.patience
            while missing(lines, actual) and time.monotonic() < end:
                actual += keel.settle(1)
        assert not missing(lines, actual), f"{where}{typed} is not answered by {missing(lines, actual)!r}:\n{actual}"


def test_every_step_is_found():
    typed = [step[1] for step in steps()]
    assert len(typed) > 8 and {"list", "^]", "poweroff", "start debian --console"} <= set(typed)


def mentioned():
    """Command lines of the build and its tools, in blocks and between backquotes: (page, command)."""
    for path in PAGES:
        for piece in re.findall(r"`([^`\n]+)`|^[ ;]*((?:make|tools/|\S+python3 -m pytest) ?.*)$", text_of(path), re.M):
            command = re.split(r"\s{2,}|\s\.\.\.|\|", piece[0] or piece[1])[0]
            if re.match(r"make [a-z]|make$|tools/\w+", command):
                yield os.path.basename(path), command


def test_commands_exist():
    with open(f"{ROOT}/Makefile", encoding="utf-8") as f:
        makefile = f.read()
    goals = set(re.findall(r"^([\w/%.-]+)(?: [\w/%.-]+)*:(?!=)", makefile, re.M))
    found = list(mentioned())
    assert len(found) > 15
    for page, command in found:
        words = command.split()
        if words[0] == "make":
            for word in words[1:]:
                if re.match(r"\w+=", word):
                    assert re.search(rf"\b{word.split('=')[0]}\b", makefile), f"{page}: {command}"
                else:
                    assert word in goals or f"{os.path.dirname(word)}/%" in goals, f"{page}: {command}"
            continue
        tool = f"{ROOT}/{words[0]}"
        assert os.path.exists(tool), f"{page}: {command}"
        options = [re.match(r"--?[\w-]+", word)[0] for word in words[1:] if re.match(r"--?\w", word)]
        if options:
            usage = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
            for option in options:
                assert re.search(rf"(?<![\w-]){option}\b", usage), f"{page}: {command}: no {option}"


def shell_commands():
    """What is typed at Keel's prompt, between backquotes: a name of a command first."""
    source = subprocess.check_output(f"cat {ROOT}/shell/*_commands.c", shell=True, text=True)
    rows = {name for name, rest in re.findall(r'^\t\{ "([\w?-]+)", (\S+)', source, re.M)}
    options = set(re.findall(r'OPTION_\w+\("([\w-]+)"|^\t\{ "([\w-]+)", "', source, re.M))
    return rows, {a or b for a, b in options}


def test_shell_commands_exist():
    """A backquoted word with options, in README: a command that has them."""
    rows, options = shell_commands()
    assert {"start", "poweroff", "?"} <= rows and {"console", "reboot"} <= options
    for piece in re.findall(r"`([a-z]+(?: [A-Za-z]+)?(?: --[a-z]+)+)`", text_of(PAGES[0])):
        words = piece.split()
        if words[0] in ("make", "tools", "ipmitool", "picocom"):
            continue
        assert words[0] in rows, piece
        assert {w[2:] for w in words if w.startswith("--")} <= options, piece
