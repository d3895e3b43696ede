"""Classical methods of well-kept libraries, to compare with.

::

    from bayesdip import baselines

    baselines.names()                       # ["bicubic", "bilateral", "biharmonic", "bm3d", ...]
    tv = baselines.named("tv")
    picture = tv.restore(problem)           # (C, M, N) in working units

A baseline gives a picture and no standard deviation. Each has at most one parameter and a small grid of
values for it; :meth:`Baseline.tune` picks the value with the least error by a measure that needs no clean
picture, so that no baseline is judged by a poor default.

Every module of this package that has a tuple ``BASELINES`` is found by itself: a new baseline is one file.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from bayesdip.baselines.baseline import Baseline
from bayesdip.errors import BayesDipError


def every() -> dict[str, Baseline]:
    """All baselines by name, in the order of their names."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = [baseline for module in modules for baseline in getattr(module, "BASELINES", ())]
    return {baseline.name: baseline for baseline in sorted(found, key=lambda baseline: baseline.name)}


def names() -> list[str]:
    """The names of all baselines."""
    return list(every())


def named(name: str) -> Baseline:
    """The baseline of that name.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Baseline

    Raises
    ------
    BayesDipError
        There is none.
    """
    found = every()
    if name not in found:
        raise BayesDipError(f"baseline is {name!r}: expected one of {', '.join(found)}; choose one of these")
    return found[name]


__all__ = ["Baseline", "every", "named", "names"]
