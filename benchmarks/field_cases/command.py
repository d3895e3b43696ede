"""The command line of the version that is measured, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

PROGRAM = "from bayesdip.cli import main; main()"


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its words, exit status, and what it wrote; the status is None where it took too long."""

    words: tuple[str, ...]
    status: int | None
    output: bytes
    errors: str

    def complaints(self, *, refused: bool = False) -> list[str]:
        """What is wrong with it, when it should work; or, with `refused`, when one clear line should say why not."""
        command = " ".join(self.words)
        if self.status is None:
            return [f"{command}: took too long"]
        if "Traceback" in self.errors or "BrokenPipe" in self.errors:
            return [f"{command}: a traceback"]
        if not refused:
            last = (self.errors.strip().splitlines() or [""])[-1][:80]
            return [] if self.status == 0 else [f"{command}: status {self.status}, {last}"]
        lines = [line for line in self.errors.splitlines() if "error" in line.lower()]
        if self.status == 0:
            return [f"{command}: taken without a word"]
        return [] if self.status == 2 and len(lines) == 1 else [f"{command}: no clear line"]


def bayesdip(*words: str, given: bytes | None = None, seconds: float = 300.0) -> Outcome:
    """Run ``bayesdip WORDS``, with bytes for its standard input."""
    command = [sys.executable, "-c", PROGRAM, *words]
    try:
        ended = subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Outcome(words, None, b"", "")
    return Outcome(words, ended.returncode, ended.stdout, ended.stderr.decode(errors="replace"))
