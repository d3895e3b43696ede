"""Options and arguments whose values the shell completes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def option(*names: str, metavar: str | None = None, offers: tuple[str, ...] = (), **settings: Any) -> Any:
    """``typer.Option``, with the values that the shell offers.

    Parameters
    ----------
    *names : str
    metavar : str or None
        Its words in small letters, of ``fast|balanced|best`` all three, are offered.
    offers : tuple of str
        More values.
    **settings
        As for ``typer.Option``.
    """
    return typer.Option(*names, metavar=metavar, autocompletion=_values(metavar, offers), **settings)


def argument(*, metavar: str, **settings: Any) -> Any:
    """``typer.Argument``; see :func:`option`."""
    return typer.Argument(metavar=metavar, autocompletion=_values(metavar), **settings)


def _values(metavar: str | None, offers: tuple[str, ...] = ()) -> Callable[[], list[str]]:
    """What offers them. Where there are none the shell offers files, which fish does only if the program offers nothing."""
    words = [word for word in (metavar or "").split("|") if word == word.lower() and word]
    return lambda: [*words, *offers]
