"""Whether the machine code of the group filters is on disk: numba compiles it once on a machine and keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayesdip.patches.chain import Chain
from bayesdip.patches.group_filters import combine, shrink, wiener
from bayesdip.patches.missing_values import restore

# Seconds that compiling takes at most, with other programs on the cores: 21 on one core of its own.
COMPILING = 40.0


def is_compiled(chain: Chain) -> bool:
    """Whether a chain can begin at once.

    Parameters
    ----------
    chain : Chain

    Returns
    -------
    bool
        False where the first call of one of its filters would compile it.
    """
    needed = [combine, *[wiener] * bool(chain.filters), *[shrink] * bool(chain.shrunk)]
    return all(map(_is_ready, needed))


def is_in_time(chain: Chain, time_left: float | None) -> bool:
    """Whether a chain is compiled, or there is time to compile it.

    Parameters
    ----------
    chain : Chain
    time_left : float or None
        Seconds; None without a time budget.

    Returns
    -------
    bool
    """
    return is_compiled(chain) or time_left is None or time_left >= COMPILING


def is_wiener_compiled() -> bool:
    """Whether the Wiener filter of groups can begin at once."""
    return _is_ready(wiener)


def is_filling_compiled() -> bool:
    """Whether groups of patches that lack few values can be restored at once."""
    return _is_ready(restore)


def is_ready(chain: Chain | None, *, turns: bool, fills: bool) -> bool:
    """Whether all that a run needs is compiled.

    Parameters
    ----------
    chain : Chain or None
        Filters of groups that it has.
    turns, fills : bool
        Whether it has turns of back-projection, or restores groups of patches that lack values.

    Returns
    -------
    bool
    """
    ready = chain is None or is_compiled(chain)
    return ready and (not turns or is_wiener_compiled()) and (not fills or is_filling_compiled())


def _is_ready(function: Any) -> bool:
    """Whether a function was compiled by this process, or by one before: numba keeps an index of it by name and line."""
    if function.signatures:
        return True
    kept = function.stats.cache_path
    if kept is None:  # nothing is kept
        return False
    place = f"{Path(function.py_func.__code__.co_filename).stem}.{function.__name__}"
    line = function.py_func.__code__.co_firstlineno
    return any(Path(kept).glob(f"{place}-{line}.*.nbi"))
