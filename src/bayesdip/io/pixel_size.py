"""What a TIFF file says about the size, place and order of its pixels, and what of it changes in an enlarged picture.

Sources: TIFF 6.0 (Adobe, 1992); OGC GeoTIFF standard 1.1 (19-008r4), section 7; GDAL's GTiff driver (tags 42112 and
42113); ImageJ's TIFF description; the OME data model (elements ``Pixels``).
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bayesdip.io.picture import Picture, TiffTag

_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION, _GEO_KEYS = 33550, 33922, 34264, 34735
_GDAL_NODATA = 42113
# GeoTIFF's tags, its two tables of key values, what GDAL adds, and the ratio of the pixels' sides.
KEPT = (_PIXEL_SCALE, _TIEPOINTS, _TRANSFORMATION, _GEO_KEYS, 34736, 34737, 42112, _GDAL_NODATA, 50844)
_DESCRIPTION, _RESOLUTION_UNIT = 270, 296
_RASTER_TYPE, _PIXEL_IS_POINT = 1025, 2
_OME_TYPES = {
    **{f"{kind}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32)},
    "float32": "float",
    "float64": "double",
}


def read_tags(page: Any) -> tuple[TiffTag, ...]:
    """The tags of tifffile's page that say where its pixels lie and what they mean."""
    found = []
    for code in KEPT:
        with suppress(Exception):  # a remark that cannot be read must not keep the picture from being read
            tag = page.tags[code]
            value = tag.value if isinstance(tag.value, str | bytes) else _tuple(tag.value)
            found.append(TiffTag(code, int(tag.dtype), int(tag.count), value))
    return tuple(found)


def read_resolution(page: Any) -> tuple[float, float, int] | None:
    """Pixels a unit along columns and rows, and TIFF's code of the unit; None where the file gives no sound ones."""
    with suppress(Exception):
        across, down = page.get_resolution()
        unit = int(page.tags.valueof(_RESOLUTION_UNIT, default=2))
        says_nothing = unit == 1 and across == down == 1
        if all(math.isfinite(v) and 0 < v < 2**32 for v in (across, down)) and not says_nothing:
            return float(across), float(down), unit
    return None


def read_description(page: Any) -> str:
    """ImageJ's or OME's description of the pixels; of several files of one OME picture, nothing."""
    with suppress(Exception):
        text = page.tags[_DESCRIPTION].value
        if isinstance(text, str) and (
            text.startswith("ImageJ=") or ("<OME" in text and "FileName" not in text)
        ):
            return text
    return ""


def no_data_of(tags: tuple[TiffTag, ...]) -> float | None:
    """The value that GDAL's tag declares to be no data; None if it declares none."""
    for tag in tags:
        if tag.code == _GDAL_NODATA:
            with suppress(ValueError):
                return float(str(tag.value).strip("\0 "))
    return None


def enlarged(picture: Picture, grid: tuple[int, ...]) -> Picture:
    """The picture's remarks for one of the same scene on another grid (M, N): pixels are smaller by the ratio."""
    if len(grid) != 2 or len(picture.grid) != 2 or grid == picture.grid:
        return picture
    down, across = (new / old for new, old in zip(grid, picture.grid, strict=True))
    dpi = None if picture.dpi is None else (picture.dpi[0] * across, picture.dpi[1] * down)
    layout = picture.tiff
    if layout is not None:
        size = layout.resolution
        layout = replace(
            layout,
            tags=_scaled_tags(layout.tags, across, down),
            resolution=None if size is None else (size[0] * across, size[1] * down, size[2]),
            description=_scaled_ome(layout.description, across, down),
        )
    return replace(picture, dpi=dpi, tiff=layout)


def with_type(description: str, dtype: str) -> str:
    """An OME description of samples of this type; ImageJ's says nothing of them."""
    if "<OME" not in description:
        return description
    return re.sub(r'(<Pixels\b[^>]*\bType=")[^"]*', rf"\g<1>{_OME_TYPES.get(dtype, dtype)}", description)


def _scaled_tags(tags: tuple[TiffTag, ...], across: float, down: float) -> tuple[TiffTag, ...]:
    # Raster coordinates count from a pixel's corner, or from its centre where the keys say so.
    keys = next((tag.value for tag in tags if tag.code == _GEO_KEYS), ())
    entries = zip(*(keys[4 + i :: 4] for i in range(4)), strict=False)
    centre = 0.5 if any(e[0] == _RASTER_TYPE and e[3] == _PIXEL_IS_POINT for e in entries) else 0.0
    scaled = []
    for tag in tags:
        v = tag.value
        if tag.code == _PIXEL_SCALE and len(v) >= 2:
            v = (v[0] / across, v[1] / down, *v[2:])
        elif tag.code == _TIEPOINTS and len(v) % 6 == 0:
            points = (v[i : i + 6] for i in range(0, len(v), 6))
            v = tuple(
                number
                for i, j, *rest in points
                for number in ((i + centre) * across - centre, (j + centre) * down - centre, *rest)
            )
        elif tag.code == _TRANSFORMATION and len(v) == 16:
            rows = [v[i : i + 4] for i in range(0, 16, 4)]
            v = tuple(number for row in rows for number in _scaled_row(row, across, down, centre))
        scaled.append(replace(tag, value=v))
    return tuple(scaled)


def _scaled_row(row: Any, across: float, down: float, centre: float) -> tuple[float, ...]:
    """A row of the transformation: old coordinates are (new + centre) / ratio - centre."""
    a, b, c, d = row
    shift = a * (centre / across - centre) + b * (centre / down - centre)
    return a / across, b / down, c, d + shift


def _scaled_ome(description: str, across: float, down: float) -> str:
    for name, ratio in (
        *(("SizeX", across), ("SizeY", down)),
        *(("PhysicalSizeX", 1 / across), ("PhysicalSizeY", 1 / down)),
    ):
        description = re.sub(
            rf'(<Pixels\b[^>]*\s{name}=")([\d.eE+-]+)',
            lambda found, ratio=ratio: f"{found[1]}{float(found[2]) * ratio:.10g}",  # type: ignore[misc]
            description,
        )
    return description


def _tuple(value: Any) -> tuple[Any, ...]:
    try:
        return tuple(value)
    except TypeError:
        return (value,)
