#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sockets that are handed in for those which no image has.

    sockets.py of PID                   the descriptors that are sockets: the one that
                                        listens first, then pairs, as far as they are
                                        in the order in which they were made
    sockets.py give PATH FD... COMMAND  runs COMMAND with others in their place: the
                                        first listens at PATH, the rest are pairs.
                                        COMMAND begins with the first word that is no
                                        number.
    sockets.py get PATH                 an HTTP request to who listens at PATH
"""

import os
import socket
import sys

# Above what the command opens for itself.
HIGH = 200
# As in <linux/net.h>.
SO_ACCEPTCON = 1 << 16


def listening():
    """The inodes of all that listen."""
    with open("/proc/net/unix", encoding="utf-8") as table:
        next(table)
        rows = [row.split() for row in table]
    return {row[6] for row in rows if int(row[3], 16) & SO_ACCEPTCON}


def sockets_of(pid):
    ends = listening()
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        kind, _, inode = os.readlink(f"/proc/{pid}/fd/{fd}").partition(":")
        if kind == "socket":
            found.append((inode.strip("[]") not in ends, int(fd)))
    return [fd for _, fd in sorted(found)]


def give(path, words):
    fds = []
    while words and words[0].isdigit():
        fds.append(int(words.pop(0)))
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(64)
    made = [listener]
    while len(made) < len(fds):
        made += socket.socketpair()
    # To numbers that none of them has, and from there to those that are wanted.
    high = []
    for n, one in enumerate(made):
        # That of the image was so; this is the restarter's business.
        one.setblocking(False)
        high.append(os.dup2(one.fileno(), HIGH + n))
        one.close()
    for fd, own in zip(fds, high):
        os.dup2(own, fd)
        os.close(own)
    os.execvp(words[0], words)


def get(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(path)
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := peer.recv(4096):
            answer += part
    print(answer.partition(b"\r\n\r\n")[2].decode(), end="")


if sys.argv[1] == "of":
    print(*sockets_of(sys.argv[2]))
elif sys.argv[1] == "give":
    give(sys.argv[2], sys.argv[3:])
elif sys.argv[1] == "get":
    get(sys.argv[2])
else:
    sys.exit(__doc__)
