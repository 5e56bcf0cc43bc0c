#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""workers.py LOG ITEMS: three threads make work, four do it, and all of them add up
under one lock. Some wait for the queue, some for the lock, at any time. The last line
is the sum, in which each item is once."""

import queue
import sys
import threading
import time

PRODUCERS = 3
CONSUMERS = 4


def main(path, items):
    work = queue.Queue(maxsize=16)
    lock = threading.Lock()
    done = total = 0

    def produce(first):
        for n in range(first, items, PRODUCERS):
            work.put(n)

    def consume():
        nonlocal done, total
        while (n := work.get()) is not None:
            value = n * n % 10007
            with lock:
                done += 1
                total += value
                if done % 500 == 0:
                    print(done, file=log, flush=True)
                    # So that there is time to come in between, on any machine.
                    time.sleep(0.1)

    with open(path, "w", encoding="utf-8") as log:
        makers = [threading.Thread(target=produce, args=(n,)) for n in range(PRODUCERS)]
        users = [threading.Thread(target=consume) for _ in range(CONSUMERS)]
        for thread in makers + users:
            thread.start()
        for thread in makers:
            thread.join()
        for _ in users:
            work.put(None)
        for thread in users:
            thread.join()
        print(f"{done} items, the sum is {total}", file=log)


main(sys.argv[1], int(sys.argv[2]))
