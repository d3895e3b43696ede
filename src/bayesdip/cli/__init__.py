"""The command line: one verb a task.

This package is imported at every start of the program, so its modules import numpy, torch
and the rest of bayesdip only inside the functions that need them.
"""

from __future__ import annotations

import gc
import os
import signal

from bayesdip.cli.commands import app

__all__ = ["app", "main"]

# How often a thread of GNU OpenMP looks for work before it sleeps, unless the user has set it. Its own default keeps it
# looking for milliseconds, which takes the processor from the thread it waits for when another program needs one too:
# 31 s in place of 1.3 s for a Gaussian process of 512x512 on two cores, one of them busy; so it is 3 to 4 s.
SPINS = "10000"


def main() -> None:
    """Entry point of the ``bayesdip`` program."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded
    # What `timeout` and job schedulers send is as Ctrl-C: outside of a run, which has a handler of its own, it ends
    # the program with one line.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Imports make half a million objects and no garbage: at the usual threshold, looking for it takes 0.2 s, and
    # once more, when the program ends, 0.3 s.
    gc.set_threshold(50_000)
    try:
        app(prog_name="bayesdip")
    finally:
        gc.freeze()
