"""The page *Lab*: the claims, their verdicts and figures, from the results that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayesdip.lab.catalogue import all_claims
from bayesdip.lab.report import find
from bayesdip.studio.limits import Refused


def claims(folder: Path) -> list[dict[str, Any]]:
    """Every claim with what the folder holds of it.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of dict
        ``number``, ``label``, ``sentence``, ``verdict``, ``size``, ``facts`` (lines), ``table`` (lines of cells, the first
        one the headings) and ``has_figure``.
    """
    return [
        {
            "number": one.claim.number,
            "label": one.claim.label,
            "sentence": one.claim.sentence,
            "verdict": one.verdict,
            "size": one.size,
            "facts": one.facts(),
            "table": one.table() if one.saved else [],
            "has_figure": bool(one.saved),
        }
        for one in find(all_claims(), folder)
    ]


def figure(folder: Path, label: str) -> str:
    """A claim's figure as SVG.

    Raises
    ------
    Refused
        There is no such claim, or it was not measured.
    """
    chosen = [claim for claim in all_claims() if claim.label == label]
    found = find(chosen, folder)
    if not found or not found[0].saved:
        raise Refused("there is no such figure", 404)
    return found[0].svg()
