"""Inputs as people have them, small and made here, each with what should come out.

A module is a kind of input: its ``KIND``, and ``CASES``, what makes each case, by name. Only what two versions of the
package share is used, so that both can be measured on the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from benchmarks.field_cases.case import Case, Check


def every() -> dict[str, tuple[str, Callable[[], Case | Check]]]:
    """Of each case by its name: its kind, and what makes it. The names of all kinds differ."""
    found: dict[str, tuple[str, Callable[[], Case | Check]]] = {}
    for name in sorted(module.name for module in iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        for case, make in getattr(module, "CASES", {}).items():
            if case in found:
                raise ValueError(f"two cases are called {case!r}: expected names that differ")
            found[case] = (module.KIND, make)
    return found
