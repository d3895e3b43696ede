"""Every public name has a NumPy docstring with the sections that its signature asks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import bayesdip

SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.M)
ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: ?:.*)?$", re.M)
MODULES = [name for name in bayesdip.__all__ if isinstance(getattr(bayesdip, name), ModuleType)]


def public() -> Iterator[tuple[str, Any]]:
    """Every public name, and the public methods that each public class defines."""
    for place in ("", *MODULES):
        module = import_module(f"bayesdip.{place}" if place else "bayesdip")
        for name in getattr(module, "__all__", [n for n in vars(module) if n.endswith("Error")]):
            value = getattr(module, name)
            if isinstance(value, ModuleType):
                continue
            path = f"{place}.{name}".lstrip(".")
            yield path, value
            if inspect.isclass(value):
                for part, member in vars(value).items():
                    if not part.startswith("_") and isinstance(
                        member, classmethod | staticmethod
                    ) | inspect.isfunction(member):
                        yield f"{path}.{part}", getattr(value, part)


def sections(value: Any) -> dict[str, str]:
    parts = SECTION.split(inspect.getdoc(value) or "")
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parameters(value: Any) -> set[str]:
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return set()
    return {
        p.name
        for p in found
        if not p.name.startswith("_") and p.name not in ("self", "cls", "args", "kwargs")
    }


def documented(value: Any, *titles: str) -> set[str]:
    """Names of the entries in these sections of the docstring; of a class, in those of its bases too."""
    owners = value.__mro__ if inspect.isclass(value) else (value,)
    text = "\n".join(sections(owner).get(title, "") for owner in owners for title in titles)
    return {name.lstrip("*") for names in ENTRY.findall(text) for name in names.split(", ")}


def faults(value: Any) -> list[str]:
    """What the docstring lacks."""
    if not (inspect.getdoc(value) or "").strip():
        return ["no docstring"]
    found = []
    is_class = inspect.isclass(value)
    exception = is_class and issubclass(value, BaseException)
    if not exception and (missing := parameters(value) - documented(value, "Parameters", "Attributes")):
        found.append(f"parameters not described: {sorted(missing)}")
    if inspect.isfunction(value) or inspect.ismethod(value):
        returned = inspect.signature(value).return_annotation
        if returned not in (None, "None", inspect.Signature.empty) and not {"Returns", "Yields"} & set(
            sections(value)
        ):
            found.append("no section Returns")
        if re.search(r"^\s+raise \w+Error\(", inspect.getsource(value), re.M) and "Raises" not in sections(
            value
        ):
            found.append("no section Raises")
        if extra := documented(value, "Parameters") - parameters(value) - {"args", "kwargs"}:
            found.append(f"described but not in the signature: {sorted(extra)}")
    return found


@pytest.mark.parametrize(("path", "value"), [pytest.param(p, v, id=p) for p, v in public() if callable(v)])
def test_docstring_describes_the_signature(path: str, value: Any) -> None:
    assert faults(value) == []


def test_a_docstring_without_its_sections_is_found() -> None:
    def bare(x: int) -> int:
        """Double."""
        if x < 0:
            raise ValueError("x is negative")
        return 2 * x

    assert faults(bare) == ["parameters not described: ['x']", "no section Returns", "no section Raises"]
