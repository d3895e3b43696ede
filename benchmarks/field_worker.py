"""Restore one case of ``benchmarks.field_cases`` and judge what came out.

Run as a program, with the ``src`` folder to be measured first on ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.field_cases import every
from benchmarks.field_cases.source import Variant, take
from benchmarks.measurement import answer


def measure(case: str, folder: str | None = None, number: int = 0) -> Iterator[dict[str, Any]]:
    """The row of a case, or of its variant of that number, with ``cpu_s``, the seconds of the processor, its commands' included."""
    _, make = every()[case]
    take(None if folder is None else Variant(Path(folder), number))
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                begin = _cpu_seconds()
                row = make().measured()
                row["cpu_s"] = round(_cpu_seconds() - begin, 1)
        finally:
            os.chdir(home)
    yield row


def _cpu_seconds() -> float:
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


if __name__ == "__main__":
    torch.set_num_threads(1)
    answer(measure)
