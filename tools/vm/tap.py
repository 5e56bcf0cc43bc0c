#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""tap.py REPORT: counts the results of a kselftest run: passed, failed, skipped.
tap.py REPORT --failures: shows what failed, and why.

Every program is one result at the outermost level, and what it prints itself,
behind "# ", is a TAP report of its own. The inner results count where there are
any; a program that failed although all its results passed (a crash, a time-out,
a plan not kept) counts as one failure more.
"""

import re
import sys

RESULT = re.compile(r"^(not )?ok (\d+)\b(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")


def count(lines):
    """Returns [passed, failed, skipped] of a report."""
    total = [0, 0, 0]
    inner = [0, 0, 0]
    plan = None
    for line in lines:
        line = line.rstrip("\n")
        nested = line.startswith("# ")
        text = line[2:] if nested else line
        if nested and (m := PLAN.match(text)):
            plan = int(m.group(1))
        m = RESULT.match(text)
        if not m:
            continue
        if m.group(1):
            kind = 1
        elif re.search(r"#\s*SKIP\b", m.group(3), re.I):
            kind = 2
        else:
            kind = 0
        if nested:
            inner[kind] += 1
            continue
        if sum(inner) == 0:
            inner[kind] += 1
        elif kind == 1 and inner[1] == 0:
            inner[1] += 1
        elif plan is not None and sum(inner) != plan:
            inner[1] += 1
        total = [a + b for a, b in zip(total, inner)]
        inner, plan = [0, 0, 0], None
    # A report that breaks off: what ran counts, and the end that is missing.
    if sum(inner):
        inner[1] += 1
        total = [a + b for a, b in zip(total, inner)]
    return total


def failures(lines):
    """The failed results, each behind what its test said last."""
    said = []
    for line in lines:
        if line.startswith("# # "):
            said = said[-9:] + [line[4:]]
        elif re.match(r"^(# )?not ok ", line):
            yield from ("      " + s for s in said)
            yield "  " + line.removeprefix("# ")
            said = []
        elif re.match(r"^(# )?ok ", line):
            said = []


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
        report = f.readlines()
    if sys.argv[2:] == ["--failures"]:
        print("".join(failures(report)), end="")
    else:
        print(*count(report))
