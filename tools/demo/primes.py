#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""primes.py LOG LIMIT: adds up the primes below LIMIT, and writes a line to LOG
for each thousand numbers, as a long computation does."""

import sys
import time


def main(path, limit):
    total = 0
    with open(path, "w", encoding="utf-8") as log:
        for n in range(2, limit):
            if all(n % d for d in range(2, int(n**0.5) + 1)):
                total += n
            if n % 1000 == 0:
                print(f"{n} {total}", file=log, flush=True)
                # So that there is time to come in between, on any machine.
                time.sleep(0.1)
        print(f"the sum is {total}", file=log)


main(sys.argv[1], int(sys.argv[2]))
