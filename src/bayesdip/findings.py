"""What was found out about the data or the run that the user has to know: one sentence each, and its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that was found, and what was done about it or what to do.

    Attributes
    ----------
    kind : str
        A short name that stays the same from version to version, such as ``"hot pixels"``.
    text : str
        One sentence for people, without a full stop: what was found, what was done, and how to have it otherwise.
    facts : dict
        The same as plain JSON values: counts, levels, shares.
    """

    kind: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values.

        Returns
        -------
        dict
        """
        return {"kind": self.kind, "text": self.text, **self.facts}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Finding:
        """What :meth:`to_dict` gave.

        Parameters
        ----------
        stored : mapping

        Returns
        -------
        Finding
        """
        facts = {name: value for name, value in stored.items() if name not in ("kind", "text")}
        return cls(stored["kind"], stored["text"], facts)
