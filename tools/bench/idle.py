# SPDX-License-Identifier: GPL-2.0
"""An idle Python: idle.py LIBRARY FILE. See workload.c, which is the library."""

import ctypes
import os
import signal
import sys
import threading

os.setsid()
os.closerange(3, 1024)
lib = ctypes.CDLL(sys.argv[1])
if lib.begin(sys.argv[2].encode()):
    sys.exit(3)
# A handler could come to run too late: between it and pause(2) there is a while.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
# ctypes lets go of the interpreter while spin() runs.
threading.Thread(target=lib.spin, daemon=True).start()
lib.ready()
while signal.sigwait([signal.SIGUSR1]):
    lib.answer(ctypes.c_uint64(threading.active_count()))
