#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ledger.py DATABASE READY: makes many entries in one transaction of SQLite. It
writes to READY when it is in the middle of it. Nothing is in the database before
the transaction is over, and all of it is there afterwards."""

import sqlite3
import sys
import time


def main(path, ready):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, amount INTEGER)")
    db.execute("BEGIN IMMEDIATE")
    for i in range(3000):
        db.execute("INSERT INTO entry (amount) VALUES (?)", (i * i % 1009,))
        if i == 1000:
            with open(ready, "w", encoding="utf-8") as f:
                f.write("1000 entries\n")
        if i % 100 == 0:
            time.sleep(0.1)
    db.execute("COMMIT")
    db.close()


main(sys.argv[1], sys.argv[2])
