"""The files by which a run and the server tell each other where they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bayesdip.io import atomic_write


def write_json(path: Path, facts: Any) -> None:
    """Write in one go: a reader sees the file before or after, and never a part of it."""
    with atomic_write(path, force=True) as temporary:
        temporary.write_text(json.dumps(facts), encoding="utf-8")
