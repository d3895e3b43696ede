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
