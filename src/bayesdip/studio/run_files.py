"""The files by which a run and the server tell each other where they stand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, facts: Any) -> None:
    """Write in one go: a reader sees the file before or after, and never a part of it."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    os.replace(temporary, path)
