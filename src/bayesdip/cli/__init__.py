"""The command line: one verb a task.

This package is imported at every start of the program, so its modules import numpy, torch
and the rest of bayesdip only inside the functions that need them.
"""

from __future__ import annotations

from bayesdip.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the ``bayesdip`` program."""
    app(prog_name="bayesdip")
