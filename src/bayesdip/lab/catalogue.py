"""The claims by number and name: every file in ``lab/claims``, or a file of one's own."""

from __future__ import annotations

import pkgutil
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from bayesdip.errors import BayesDipError
from bayesdip.lab import claims
from bayesdip.lab.claim import Claim


@lru_cache(maxsize=1)
def all_claims() -> tuple[Claim, ...]:
    """All claims of the sources, by number; some numbers are free."""
    modules = (import_module(f"{claims.__name__}.{m.name}") for m in pkgutil.iter_modules(claims.__path__))
    return tuple(sorted((c for module in modules for c in module.CLAIMS), key=lambda claim: claim.number))


def named(name: str) -> tuple[Claim, ...]:
    """The claims of that name.

    Parameters
    ----------
    name : str
        A claim's name, number or label; ``"all"``; or the path of a Python file that holds ``CLAIMS``, a sequence
        of :class:`~bayesdip.lab.claim.Claim`.

    Raises
    ------
    BayesDipError
        There is no such claim, or the file holds none.
    """
    if name.endswith(".py"):
        return _of_file(Path(name))
    if name == "all":
        return all_claims()
    found = [c for c in all_claims() if name in (c.name, c.label) or name.lstrip("0") == str(c.number)]
    if not found:
        known = ", ".join(claim.label for claim in all_claims())
        raise BayesDipError(
            f"claim is {name!r}: expected all, a Python file with CLAIMS, or the number or name of one of "
            f"{known}; choose one of these"
        )
    return tuple(found)


def _of_file(path: Path) -> tuple[Claim, ...]:
    if not path.is_file():
        raise BayesDipError(
            f"claim is {str(path)!r}: expected a Python file, and there is none; check the path"
        )
    # Worker processes take over sys.path, and find the file's functions by the name of its module.
    sys.path.insert(0, str(path.resolve().parent))
    module: ModuleType = import_module(path.stem)
    found = getattr(module, "CLAIMS", ())
    if not found:
        raise BayesDipError(f"{path} holds no claim: expected CLAIMS, a sequence of Claim objects; add it")
    return tuple(found)
