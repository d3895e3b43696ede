"""OME-Zarr's metadata, versions 0.4 and 0.5 (https://ngff.openmicroscopy.org), to a `Description` and back."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from bayesdip.io.stored.description import Axis, Description

TYPES = {"t": "time", "c": "channel"}


def multiscale_of(attributes: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The first picture that a group's attributes describe, and the version; None where they describe none."""
    ome = attributes.get("ome")
    block = ome if isinstance(ome, dict) else attributes
    pictures = block.get("multiscales")
    if not (isinstance(pictures, list) and pictures and isinstance(pictures[0], dict)):
        return None, ""
    version = "0.5" if isinstance(ome, dict) else "0.4"
    return pictures[0], version


def with_ome(
    description: Description, multiscale: dict[str, Any], version: str, attributes: dict[str, Any]
) -> Description:
    """With sizes, units and names of channels; what cannot be understood is left out."""
    scales, starts = _transformations(multiscale, len(description.axes))
    axes = []
    for place, axis in enumerate(description.axes):
        said = multiscale.get("axes", ())
        unit = said[place].get("unit", "") if place < len(said) and isinstance(said[place], dict) else ""
        axes.append(replace(axis, step=scales[place], unit=str(unit or ""), start=starts[place]))
    block = attributes.get("ome") if version == "0.5" else attributes
    omero = block.get("omero") if isinstance(block, dict) else None
    names: tuple[str, ...] = ()
    with suppress(TypeError, KeyError, AttributeError):
        names = tuple(str(one.get("label", "")) for one in omero["channels"])  # type: ignore[index]
    extra = {"omero": omero} if isinstance(omero, dict) else {}
    others = {
        k: v
        for k, v in attributes.items()
        if k not in ("ome", "multiscales", "omero", "bioformats2raw.layout")
    }
    return replace(
        description,
        axes=tuple(axes),
        kind=f"OME-Zarr {version}",
        channel_names=names if any(names) else (),
        name=str(multiscale.get("name", "")),
        extra={**extra, "attributes": others},
    )


def _transformations(multiscale: dict[str, Any], count: int) -> tuple[list[float | None], list[float]]:
    """Scale and translation of each axis at the finest level: its own, and then those of all levels."""
    scales: list[float | None] = [None] * count
    starts = [0.0] * count
    with suppress(KeyError, IndexError, TypeError, ValueError):
        own = multiscale["datasets"][0].get("coordinateTransformations", ())
        for one in (*own, *multiscale.get("coordinateTransformations", ())):
            values = [float(v) for v in one.get(one["type"], ())]
            if len(values) != count or not all(map(math.isfinite, values)):
                continue
            if one["type"] == "scale":
                scales = [v if s is None else s * v for s, v in zip(scales, values, strict=True)]
                starts = [s * v for s, v in zip(starts, values, strict=True)]
            elif one["type"] == "translation":
                starts = [s + v for s, v in zip(starts, values, strict=True)]
    return scales, starts


def attributes_of(levels: Sequence[Description], version: str) -> dict[str, Any]:
    """The attributes of a group with these resolution levels, called ``"0"``, ``"1"``, ...

    Parameters
    ----------
    levels : sequence of Description
        From the finest on.
    version : {"0.4", "0.5"}
    """
    finest = levels[0]
    multiscale: dict[str, Any] = {
        "name": finest.name,
        "axes": [_axis(axis) for axis in finest.axes],
        "datasets": [
            {"path": str(number), "coordinateTransformations": _placed(level.axes)}
            for number, level in enumerate(levels)
        ],
        "type": "mean",
    }
    omero = _omero(finest)
    block: dict[str, Any] = {"multiscales": [multiscale], **({"omero": omero} if omero else {})}
    others = finest.extra.get("attributes", {}) if finest.kind.startswith("OME-Zarr") else {}
    if version == "0.5":
        return {**others, "ome": {"version": version, **block}}
    multiscale["version"] = version
    return {**others, **block}


def _axis(axis: Axis) -> dict[str, Any]:
    found = {"name": axis.name, "type": TYPES.get(axis.name, "space")}
    return {**found, "unit": axis.unit} if axis.unit else found


def _placed(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": "scale", "scale": [axis.step or 1.0 for axis in axes]}]
    if any(axis.start for axis in axes):
        found.append({"type": "translation", "translation": [axis.start for axis in axes]})
    return found


def _omero(description: Description) -> dict[str, Any] | None:
    """How channels are called and shown: as before where that was OME-Zarr, else their names."""
    known = description.extra.get("omero")
    if known:
        return copy.deepcopy(known)  # type: ignore[no-any-return]
    if not description.channel_names:
        return None
    most = float(np.iinfo(description.dtype).max) if description.dtype.kind in "ui" else 1.0
    window = {"min": 0.0, "max": most, "start": 0.0, "end": most}
    shown = {"color": "FFFFFF", "active": True, "window": window}
    return {"channels": [{"label": name, **shown} for name in description.channel_names]}
