#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""reaper.py COMMAND...: runs COMMAND, and waits for all whose parents are gone, as
init does: the processes of a tree that was killed keep their pids until then."""

import ctypes
import os
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(command):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return f"prctl: {os.strerror(ctypes.get_errno())}"
    child = os.spawnvp(os.P_NOWAIT, command[0], command)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


sys.exit(main(sys.argv[1:]))
