"""Seconds and bytes: of work in this process, and of work in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# Share of the free memory that one process may take, and seconds between two looks at what it takes.
MEMORY_SHARE, POLL_SECONDS = 0.7, 0.05


@dataclass
class Clock:
    """Seconds on the wall, and of the processor, which other programs disturb less."""

    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """A clock that is set when the block ends."""
    clock = Clock()
    wall, cpu = time.perf_counter(), time.process_time()
    yield clock
    clock.seconds, clock.cpu = time.perf_counter() - wall, time.process_time() - cpu


def timed_on(device: str, work: Callable[[], Any]) -> float:
    """Seconds that a piece of work takes on that device."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.synchronize(device)
    with timed() as clock:
        work()
        if on_gpu:
            torch.cuda.synchronize(device)
    return clock.seconds


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def in_own_process(
    module: str,
    arguments: dict[str, Any],
    limit_seconds: float = float("inf"),
    path: tuple[Path, ...] = (),
    threads: int | None = None,
) -> dict[str, Any]:
    """The last row that ``measure(**arguments)`` of a module yields there, so that its peak memory is of this alone.

    Parameters
    ----------
    module : str
        Its last lines call :func:`answer`.
    arguments : dict
        Plain JSON values.
    limit_seconds : float
        The start of the process counts.
    path : tuple of Path
        Folders in which Python looks for modules first.
    threads : int or None
        For all libraries; None leaves them as they are.

    Returns
    -------
    dict
        The row; or ``failed`` and ``why``: an error, too long, or more than 70% of the free memory. A row within the
        limits counts, whatever became of its repetition.
    """
    import psutil

    limit_bytes = MEMORY_SHARE * psutil.virtual_memory().available
    root = Path(__file__).parent.parent
    searched = [*path, root, *filter(None, [os.environ.get("PYTHONPATH")])]
    setting = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, searched))}
    if threads is not None:
        setting |= {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
    begin, why = time.perf_counter(), ""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-m", module]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=errors, env=setting)
        try:
            assert child.stdin is not None
            child.stdin.write(json.dumps(arguments).encode())
            child.stdin.close()
            while child.poll() is None and not why:
                time.sleep(POLL_SECONDS)
                if time.perf_counter() - begin > limit_seconds:
                    why = f"took more than {limit_seconds:g} s"
                elif _resident(child.pid) > limit_bytes:
                    why = f"took more than {limit_bytes / 2**30:.1f} GiB"
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        said.seek(0)
        errors.seek(0)
        lines = said.read().decode().splitlines()
        complaint = errors.read().decode(errors="replace").strip().splitlines()
    if lines and (why or child.returncode == 0):
        row: dict[str, Any] = json.loads(lines[-1])
        return row
    why = why or (complaint[-1] if complaint else f"ended with code {child.returncode}")
    return {"failed": True, "why": why[:200]}


def answer(measure: Callable[..., Iterator[dict[str, Any]]]) -> None:
    """In the other process: arguments from standard input, each row to standard output."""
    for row in measure(**json.load(sys.stdin)):
        print(json.dumps(row), flush=True)


def _resident(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:  # it has just ended
        return 0
