#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""faults.py REPORT: adds up what the programs of a boot of check-faults did with calls
to which allocations were failed (selftests/checkpoint/every_nth.h). It fails if something
went wrong in one of them, or if a program has had no such call.
"""

import re
import sys

LINE = re.compile(r"^faults: (\S+)\[\d+\] [\d.]+ (checkpoint|restart): (.*)$")
DONE = re.compile(r"(\d+) allocations, (\d+) failed, (\d+) without, each (\d+)")


class Sum:
    """What became of the calls of a program."""

    def __init__(self):
        self.calls = self.failed = self.without = self.refused = self.sampled = 0
        self.skipped = {}
        self.bad = []

    def add(self, call, text):
        """A line of the report."""
        if m := DONE.match(text):
            self.calls += 1
            self.failed += int(m.group(2))
            self.without += int(m.group(3))
            self.sampled += int(m.group(4)) > 1
        elif text.startswith("refused: "):
            self.refused += 1
        elif text.startswith("skipped: "):
            self.skipped[text] = self.skipped.get(text, 0) + 1
        else:
            self.bad.append(f"{call}: {text}")

    def __str__(self):
        text = (
            f"{self.calls} calls failed {self.failed} times and did without "
            f"{self.without} times, {self.refused} refused"
        )
        if self.sampled:
            text += f", {self.sampled} by samples"
        for why, n in sorted(self.skipped.items()):
            text += f", {n} {why}"
        return text


def main():
    sums = {}
    with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
        for line in f:
            if m := re.match(r"^(?:not )?ok \d+ selftests: checkpoint: (\S+)$", line):
                sums.setdefault(m.group(1), Sum())
            elif m := LINE.match(line.rstrip("\n")):
                sums.setdefault(m.group(1), Sum()).add(m.group(2), m.group(3))
    wrong = not sums
    for name, one in sums.items():
        print(f"{name}: {one}")
        for text in one.bad:
            print(f"  {text}")
        if not one.calls:
            print("  no call that was to succeed")
        wrong |= bool(one.bad) or not one.calls
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
