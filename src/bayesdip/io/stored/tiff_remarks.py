"""What OME's and ImageJ's remarks in a TIFF file say of sizes and channels, and how they are written."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from bayesdip.io.stored.description import UNITS, Axis, Description, unit_name, unit_sign

_INCH, _CENTIMETRE = 2, 3


def described(description: Description, tiff: Any, page: Any) -> Description:
    """With what the file says; what cannot be understood is left out."""
    found = description
    with suppress(Exception):  # a remark that cannot be read must not keep the picture from being read
        if description.kind == "OME-TIFF":
            found = _from_ome(description, tiff.ome_metadata)
        elif description.kind == "ImageJ":
            found = _from_imagej(description, dict(tiff.imagej_metadata or {}), page)
        else:
            found = _from_resolution(description)
    return found


def _from_ome(description: Description, text: str) -> Description:
    image = next(node for node in ElementTree.fromstring(text).iter() if _tag(node) == "Image")
    pixels = next(node for node in image if _tag(node) == "Pixels")
    axes = []
    for axis in description.axes:
        name = "TimeIncrement" if axis.name == "t" else f"PhysicalSize{axis.name.upper()}"
        value, default = pixels.get(name), "s" if axis.name == "t" else "µm"
        if value is None or not _is_size(value):
            axes.append(axis)
        else:
            axes.append(replace(axis, step=float(value), unit=unit_name(pixels.get(f"{name}Unit", default))))
    channels = [node.get("Name") or "" for node in pixels if _tag(node) == "Channel"]
    return replace(
        description,
        axes=tuple(axes),
        channel_names=tuple(channels) if any(channels) else (),
        name=image.get("Name") or "",
    )


def _tag(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _is_size(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return math.isfinite(float(value)) and float(value) > 0
    return False


def _from_imagej(description: Description, facts: dict[str, Any], page: Any) -> Description:
    unit = unit_name(str(facts.get("unit", "")))
    across, down = page.get_resolution()
    steps = {
        "x": 1 / across if across and unit else None,
        "y": 1 / down if down and unit else None,
        "z": facts.get("spacing"),
        "t": facts.get("finterval"),
    }
    axes = []
    for axis in description.axes:
        step = steps.get(axis.name)
        if step is None or not _is_size(step):
            axes.append(axis)
            continue
        own = unit_name(str(facts.get("tunit", "s"))) if axis.name == "t" else unit
        axes.append(replace(axis, step=float(step), unit=own))
    count = next((axis.length for axis in axes if axis.name == "c"), 0)
    labels = [str(one) for one in facts.get("Labels", ())][:count]
    kept = {k: v for k, v in facts.items() if k in ("mode", "Ranges", "LUTs", "Info", "min", "max", "loop")}
    return replace(
        description,
        axes=tuple(axes),
        channel_names=tuple(labels) if count > 1 and len(labels) == count else (),
        extra={"imagej": kept, "labels": list(facts.get("Labels", ()))},
    )


def _from_resolution(description: Description) -> Description:
    size = description.extra.get("resolution")
    if size is None or size[2] not in (_INCH, _CENTIMETRE):
        return description
    unit = "inch" if size[2] == _INCH else "centimeter"
    steps = {"x": 1 / size[0], "y": 1 / size[1]}
    axes = [replace(a, step=steps[a.name], unit=unit) if a.name in steps else a for a in description.axes]
    return replace(description, axes=tuple(axes))


def ome_metadata(description: Description) -> dict[str, Any]:
    """The words of tifffile's OME writer for a description."""
    found: dict[str, Any] = {"axes": description.names.upper()}
    if description.name:
        found["Name"] = description.name
    for axis in description.axes:
        name = "TimeIncrement" if axis.name == "t" else f"PhysicalSize{axis.name.upper()}"
        if axis.name in "tzyx" and axis.step is not None:
            found[name] = axis.step
            if axis.unit:
                found[f"{name}Unit"] = unit_sign(axis.unit)
    if description.channel_names and "c" in description.names:
        found["Channel"] = {"Name": list(description.channel_names)}
    return found


def imagej_metadata(description: Description) -> dict[str, Any]:
    """The words of tifffile's ImageJ writer; the resolution of rows and columns is a tag."""
    found: dict[str, Any] = {"axes": description.names.upper(), **description.extra.get("imagej", {})}
    steps = {axis.name: axis for axis in description.axes}
    unit = next((steps[name].unit for name in "xyz" if name in steps and steps[name].unit), "")
    if unit:
        found["unit"] = "um" if unit == "micrometer" else unit_sign(unit)
    if "z" in steps and steps["z"].step is not None:
        found["spacing"] = steps["z"].step
    if "t" in steps and steps["t"].step is not None:
        found["finterval"] = _seconds(steps["t"])
    labels = description.extra.get("labels") or list(description.channel_names)
    return {**found, "Labels": labels} if labels else found


def _seconds(axis: Axis) -> float:
    return (axis.step or 0.0) * UNITS.get(axis.unit, ("", 1.0))[1]


def resolution_of(description: Description) -> tuple[float, float, int | None] | None:
    """Pixels a unit along columns and rows, and TIFF's code of the unit (None for ImageJ, whose words name it)."""
    steps = {axis.name: axis for axis in description.axes}
    if "y" not in steps or steps["x"].step is None or steps["y"].step is None:
        return None
    across, down, unit = 1 / steps["x"].step, 1 / steps["y"].step, steps["x"].unit
    if description.kind == "ImageJ":
        return across, down, None
    if unit == "inch":
        return across, down, _INCH
    if unit in UNITS and UNITS[unit][1] > 0:
        metres = UNITS[unit][1]
        return across * 0.01 / metres, down * 0.01 / metres, _CENTIMETRE
    return None
