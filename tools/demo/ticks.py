#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ticks.py OUTPUT TICKS: counts the ticks of a timer in a file that has no name.

The file is deleted from the start, as temporary files are; the output is locked,
so that there is one program of this kind; and what was counted goes there when
all of it is there.
"""

import fcntl
import signal
import sys
import tempfile

output, ticks = open(sys.argv[1], "w"), int(sys.argv[2])
fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
counted = 0

with tempfile.TemporaryFile("w+", dir=".") as scratch:
    def tick(_signal, _frame):
        global counted
        counted += 1
        print("tick", counted, file=scratch)

    signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    while counted < ticks:
        signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    scratch.seek(0)
    lines = scratch.read().splitlines()[:ticks]
    print(*lines, f"the last of {ticks}", sep="\n", file=output)
