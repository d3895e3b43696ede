"""The errors that bayesdip raises on purpose.

All of them are a :class:`BayesDipError`, and each is a ``ValueError`` too, so that
callers who know only Python's own errors catch them. A message says what was given,
what was expected, and what to do.
"""

from __future__ import annotations

import re

__all__ = ["BayesDipError", "FileError", "NoResultError", "NonFiniteError", "ResourceError", "ShapeError"]


class BayesDipError(ValueError):
    """Base of every error that bayesdip raises on purpose."""


class ShapeError(BayesDipError):
    """An array or tensor has a shape that does not fit."""


class NonFiniteError(BayesDipError):
    """A picture holds NaN or infinity where numbers are needed."""


class FileError(BayesDipError):
    """A file cannot be read as a picture, or cannot be written."""


class NoResultError(BayesDipError):
    """A run ended before there was a picture; ``reason`` says why, as ``Progress.stop_reason`` does."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ResourceError(BayesDipError):
    """The work asked for does not fit in this machine's memory."""


def one_line(text: object) -> str:
    """Return a text on one line: line breaks become spaces, other unprintable characters are escaped."""
    joined = re.sub(r"\s*[\r\n\t]\s*", " ", str(text)).strip()
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in joined)


def explanation(error: BaseException) -> str | None:
    """What to tell the user about an error, on one line; None if it is a defect of the program."""
    if isinstance(error, BayesDipError):
        return one_line(error)
    if is_out_of_memory(error):
        return "the memory ran out: expected more of it free; use --method patches, a smaller picture, or fewer --samples"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return one_line(
            f"{place}{error.strerror or error}: free some space or check the permissions, then run again"
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an array, here or on a device, found no room."""
    said = str(error).lower()
    from_torch = isinstance(error, RuntimeError) and (
        "out of memory" in said or "can't allocate memory" in said
    )
    return isinstance(error, MemoryError) or from_torch
