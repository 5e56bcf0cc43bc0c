#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the compiler's warnings that are about files of this repository.

clippy_filter.py LOG REPO: exit code 1 when there are some.
"""

import re
import sys
from pathlib import Path

from rust_source import code, without_tests

# Ours alone, for what runs in the kernel; a test may do as it likes.
PANICS = re.compile(r"#(indexing_slicing|unwrap_used|expect_used|panic|unreachable|todo)\b")

START = re.compile(r"^(warning|error)(\[\w+\])?: ")
PLACE = re.compile(r"^\s*--> (\S+?):(\d+):\d+")


def blocks(lines):
    block = []
    for line in lines:
        if START.match(line) or not line.strip():
            if block:
                yield block
            block = [line] if line.strip() else []
        elif block:
            block.append(line)
    if block:
        yield block


def in_test(path, line):
    text = code(path.read_text(encoding="utf-8"))
    before, after = text.split("\n"), without_tests(text).split("\n")
    return before[line - 1].strip() != "" and after[line - 1].strip() == ""


def ours(block, repo):
    """The file of ours that a warning is about, if it counts."""
    place = next((m for line in block if (m := PLACE.match(line))), None)
    if place is None or not START.match(block[0]):
        return None
    # The tree's path, from wherever the compiler ran.
    parts = Path(place.group(1).lstrip("/")).parts
    path = next((p for i in range(len(parts)) if (p := repo / Path(*parts[i:])).is_file()), None)
    if path and PANICS.search("".join(block)) and in_test(path, int(place.group(2))):
        return None
    return path


def main():
    log, repo = sys.argv[1], Path(sys.argv[2])
    found = 0
    with open(log, encoding="utf-8", errors="replace") as f:
        for block in blocks(f):
            if ours(block, repo):
                found += 1
                print("".join(block))
    return found != 0


if __name__ == "__main__":
    sys.exit(main())
