#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the compiler's warnings that are about files of this repository.

clippy_filter.py LOG REPO: exit code 1 when there are some.
"""

import re
import sys
from pathlib import Path

START = re.compile(r"^(warning|error)(\[\w+\])?: ")
PLACE = re.compile(r"^\s*--> (\S+?):\d+:\d+")


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


def main():
    log, repo = sys.argv[1], Path(sys.argv[2])
    ours = 0
    with open(log, encoding="utf-8", errors="replace") as f:
        for block in blocks(f):
            place = next((m.group(1) for line in block if (m := PLACE.match(line))), None)
            if place is None or not START.match(block[0]):
                continue
            # The tree's path, from wherever the compiler ran.
            parts = Path(place).parts
            if any((repo / Path(*parts[i:])).is_file() for i in range(len(parts))):
                ours += 1
                print("".join(block))
    return ours != 0


if __name__ == "__main__":
    sys.exit(main())
