"""A file that a visitor sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SentFile:
    """A file of a visitor.

    Attributes
    ----------
    path : Path
    name : str
        What the visitor calls it.
    facts : dict
        What was found in it.
    """

    path: Path
    name: str
    facts: dict[str, Any] = field(default_factory=dict)
