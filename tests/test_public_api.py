"""The public face is what tests/data/public_api.txt says: a name or a parameter changes on purpose, with a line in the changelog.

``python tests/test_public_api.py`` writes the file anew.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from test_docs_reference import public

KEPT = Path(__file__).parent / "data" / "public_api.txt"


def face() -> str:
    """Every public name with the names, kinds and defaults of its parameters."""
    return "\n".join(sorted(f"{path}{signature(value)}" for path, value, _ in public())) + "\n"


def signature(value: object) -> str:
    """Without annotations, which do not change what a call does."""
    try:
        own = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    bare = [
        p.replace(annotation=inspect.Parameter.empty, default=plain(p.default))
        for p in own.parameters.values()
    ]
    return str(own.replace(parameters=bare, return_annotation=inspect.Signature.empty))


class Shown(str):
    """A default as text."""

    def __repr__(self) -> str:
        return str(self)


def plain(default: object) -> object:
    """A default whose text is the same in every process."""
    if default is inspect.Parameter.empty or isinstance(default, int | float | str | bool | tuple | None):
        return default
    return Shown(f"{type(default).__name__}(...)")


def test_the_public_face_is_the_one_that_was_agreed_on():
    assert face() == KEPT.read_text(), (
        "write it anew by python tests/test_public_api.py, and say it in CHANGELOG.md"
    )


if __name__ == "__main__":
    KEPT.write_text(face())
