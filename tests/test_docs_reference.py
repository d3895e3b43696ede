"""Every public name has a NumPy docstring with the sections that its signature asks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import pytest

import bayesdip

SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.M)
ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: ?:.*)?$", re.M)
METHODS = (classmethod, staticmethod, FunctionType)
MODULES = [name for name in bayesdip.__all__ if isinstance(getattr(bayesdip, name), ModuleType)]


def public() -> Iterator[tuple[str, Any, list[str]]]:
    """Every public name and the public methods of public classes, with the docstrings that describe it.

    The docstrings of a class are its own and its bases'; those of a method also those that it overrides.
    """
    for place in ("", *MODULES):
        module = import_module(f"bayesdip.{place}" if place else "bayesdip")
        for name in module.__all__:
            value, path = getattr(module, name), f"{place}.{name}".lstrip(".")
            if inspect.isclass(value):
                yield path, value, [inspect.getdoc(owner) or "" for owner in value.__mro__[:-1]]
                for part, member in vars(value).items():
                    if part[0] != "_" and isinstance(member, METHODS) and "<lambda>" not in repr(member):
                        overridden = [vars(owner)[part] for owner in value.__mro__ if part in vars(owner)]
                        yield (
                            f"{path}.{part}",
                            getattr(value, part),
                            [inspect.getdoc(o) or "" for o in overridden],
                        )
            elif callable(value):
                yield path, value, [inspect.getdoc(value) or ""]


def parameters(value: Any) -> set[str]:
    found = inspect.signature(value).parameters.values()
    return {
        p.name
        for p in found
        if not p.name.startswith("_") and p.name not in ("self", "cls", "args", "kwargs")
    }


def described(docstrings: list[str], *titles: str) -> set[str]:
    """Names of the entries in these sections."""
    found = [section for text in docstrings for title, section in split(text) if title in titles]
    return {name.lstrip("*") for names in ENTRY.findall("\n".join(found)) for name in names.split(", ")}


def split(text: str) -> list[tuple[str, str]]:
    parts = SECTION.split(text)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def faults(value: Any, docstrings: list[str]) -> list[str]:
    """What the docstrings lack."""
    if not docstrings[0].strip():
        return ["no docstring"]
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            return []
        missing = parameters(value) - described(docstrings, "Parameters", "Attributes")
        return [f"parameters not described: {sorted(missing)}"] if missing else []
    found = []
    titles = {title for text in docstrings for title, _ in split(text)}
    if missing := parameters(value) - described(docstrings, "Parameters"):
        found.append(f"parameters not described: {sorted(missing)}")
    returned = inspect.signature(value).return_annotation
    if returned not in (None, "None", inspect.Signature.empty) and not {"Returns", "Yields"} & titles:
        found.append("no section Returns")
    if re.search(r"^\s+raise \w+Error\(", inspect.getsource(value), re.M) and "Raises" not in titles:
        found.append("no section Raises")
    if extra := described(docstrings[:1], "Parameters") - parameters(value) - {"args", "kwargs"}:
        found.append(f"described but not in the signature: {sorted(extra)}")
    return found


@pytest.mark.parametrize(("value", "docstrings"), [pytest.param(v, d, id=p) for p, v, d in public()])
def test_docstring_describes_the_signature(value: Any, docstrings: list[str]) -> None:
    assert faults(value, docstrings) == []


def test_a_docstring_without_its_sections_is_found() -> None:
    def bare(x: int) -> int:
        """Double."""
        if x < 0:
            raise ValueError("x is negative")
        return 2 * x

    assert faults(bare, ["Double."]) == [
        "parameters not described: ['x']",
        "no section Returns",
        "no section Raises",
    ]
