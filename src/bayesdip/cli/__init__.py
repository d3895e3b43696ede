"""The command line: one verb a task.

This package is imported at every start of the program, so its modules import numpy, torch
and the rest of bayesdip only inside the functions that need them.
"""

from __future__ import annotations

import gc

from bayesdip.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the ``bayesdip`` program."""
    # Imports make half a million objects and no garbage: at the usual threshold, looking for it takes 0.2 s.
    gc.set_threshold(50_000)
    app(prog_name="bayesdip")
