#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What selfckpt.c does, in Python: the system calls are reached through ctypes.

    selfckpt.py save NAME FILE      FILE may be - for standard output
    selfckpt.py restart FILE        and for standard input

The restored program goes on in step 3: checkpoint(2) returns 0 there.
"""

import ctypes
import os
import sys

NR_CHECKPOINT = 500
NR_RESTART = 501
CHECKPOINT_LOG = 0x1
RESTART_RELAXED_FILES = 0x100

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def syscall(number, what, fd, flags, log):
    """checkpoint(2) or restart(2). Why it fails, if it does, goes to log."""
    result = libc.syscall(
        ctypes.c_long(number),
        ctypes.c_long(what),
        ctypes.c_long(fd),
        ctypes.c_ulong(flags),
        ctypes.c_long(log),
    )
    return result, ctypes.get_errno() if result < 0 else 0


def comm():
    with open("/proc/self/comm", encoding="utf-8") as f:
        return f.read().rstrip("\n")


def set_comm(name):
    with open("/proc/self/comm", "w", encoding="utf-8") as f:
        f.write(name)


def save(name, path):
    fd = 1
    if path != "-":
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    set_comm(name)
    for step in range(1, 6):
        print(f"  Python, pid {os.getpid()}, called '{comm()}': step {step} of 5",
              file=sys.stderr, flush=True)
        if step == 3:
            ident, error = syscall(NR_CHECKPOINT, 0, fd, CHECKPOINT_LOG, 2)
            if error:
                print(f"  checkpoint: {os.strerror(error)}", file=sys.stderr)
                return 1
            which = "" if ident else ": this one was restored"
            print(f"  checkpoint(0, {fd}, CHECKPOINT_LOG, 2) = {ident}{which}",
                  file=sys.stderr, flush=True)
    return 0


def restart(path):
    fd = 0 if path == "-" else os.open(path, os.O_RDONLY)
    print(f"  Python, pid {os.getpid()}, is called '{comm()}'", flush=True)
    # The file that an image was written to has another size than it had when its
    # writer was saved with it open. If this works, this program is no more.
    flags = CHECKPOINT_LOG | RESTART_RELAXED_FILES
    result, error = syscall(NR_RESTART, 0, fd, flags, 1)
    print(f"  restart(0, {fd}, ..., 1) = {result} {os.strerror(error)}")
    print(f"  Python, pid {os.getpid()}, is called '{comm()}' still")
    # So that a script can tell which error it was.
    return 100 + error


def main(args):
    if len(args) == 3 and args[0] == "save":
        return save(args[1], args[2])
    if len(args) == 2 and args[0] == "restart":
        return restart(args[1])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
