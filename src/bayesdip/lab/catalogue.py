"""The claims by number and name: every file in ``lab/claims``."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module

from bayesdip.errors import BayesDipError
from bayesdip.lab import claims
from bayesdip.lab.claim import Claim


@lru_cache(maxsize=1)
def all_claims() -> tuple[Claim, ...]:
    """All claims, by number."""
    modules = [import_module(f"{claims.__name__}.{m.name}") for m in pkgutil.iter_modules(claims.__path__)]
    found: list[Claim] = [module.CLAIM for module in modules]
    return tuple(sorted(found, key=lambda claim: claim.number))


def named(name: str) -> tuple[Claim, ...]:
    """The claim of that name, number or label; ``"all"`` gives all of them.

    Raises
    ------
    BayesDipError
        There is no such claim.
    """
    if name == "all":
        return all_claims()
    wanted = [c for c in all_claims() if name in (c.name, c.label) or name.lstrip("0") == str(c.number)]
    if not wanted:
        known = ", ".join(claim.name for claim in all_claims())
        raise BayesDipError(
            f"claim is {name!r}: expected all, a number from 1 to {len(all_claims())}, or one of {known}"
        )
    return tuple(wanted)
