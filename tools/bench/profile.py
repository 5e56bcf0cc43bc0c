# SPDX-License-Identifier: GPL-2.0
"""Where the kernel of the VM is: samples of its first CPU, as QEMU shows it.

profile.py SOCKET VMLINUX SECONDS, with QEMU's -qmp unix:SOCKET,server=on,wait=off.
Counted are samples in which checkpoint(2) or restart(2) is on the stack, or one of our
functions, as far as words on a stack that look like return addresses tell.
"""

import bisect
import collections
import json
import re
import socket
import subprocess
import sys
import time

WORDS = 256  # of the stack
SHOWN = 40
OURS = re.compile(r"checkpoint|restart\b|__x64_sys_restart")
# What every call goes through.
NOISE = re.compile(r"^(_stext|_text|entry_|do_syscall_64|x64_sys_call|ret_from_fork)")


class Monitor:
    """QEMU's monitor for programs, of which that for people is asked."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        """Returns the answer, and forgets what is told without having been asked."""
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer.get("return")

    def human(self, line):
        """Has a command for people."""
        return self.ask("human-monitor-command", **{"command-line": line}) or ""


def symbols(vmlinux):
    """Addresses of functions, ascending, and their names."""
    lines = subprocess.run(["nm", "-n", "-C", vmlinux], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    found = [line.split(" ", 2) for line in lines]
    found = [(int(a, 16), name) for a, kind, name in found if kind in "tT" and len(a) == 16]
    found = [(a, name) for a, name in found if a >= 0xffffffff80000000]
    return [a for a, _ in found], [name for _, name in found]


def sample(monitor):
    """The instruction pointer, and words of the stack; nothing in user mode."""
    monitor.ask("stop")
    try:
        registers = monitor.human("info registers")
        rip = int(re.search(r"RIP=([0-9a-f]{16})", registers).group(1), 16)
        rsp = int(re.search(r"RSP=([0-9a-f]{16})", registers).group(1), 16)
        if rip < 1 << 63:
            return None
        # The stack ends with a page.
        words = min(WORDS, (0x4000 - rsp % 0x4000) // 8)
        stack = monitor.human(f"x /{words}gx {rsp:#x}")
    finally:
        monitor.ask("cont")
    return [rip] + [int(w, 16) for w in re.findall(r"(?<=[ :])0x([0-9a-f]{16})", stack)]


def main():
    """Samples until the VM has ended, or the time has."""
    path, vmlinux, seconds = sys.argv[1:]
    addresses, names = symbols(vmlinux)
    last = addresses[names.index("_etext")]
    monitor = Monitor(path)
    own, total = collections.Counter(), collections.Counter()
    count = user = other = 0
    end = time.monotonic() + float(seconds)
    try:
        while time.monotonic() < end:
            words = sample(monitor)
            time.sleep(0.01)
            if words is None:
                user += 1
                continue
            chain = [names[bisect.bisect_right(addresses, w) - 1] for w in words
                     if addresses[0] <= w < last]
            if not any(OURS.search(name) for name in chain):
                other += 1
                continue
            count += 1
            own[chain[0]] += 1
            total.update({name for name in chain if not NOISE.match(name)})
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    print(f"{count} samples of ours, {other} elsewhere in the kernel, {user} in user mode")
    for title, counter in (("where it is", own), ("what is on the stack", total)):
        print(f"\n{title}")
        for name, n in counter.most_common(SHOWN):
            print(f"  {100 * n / max(count, 1):5.1f} %  {name[:110]}")


if __name__ == "__main__":
    main()
