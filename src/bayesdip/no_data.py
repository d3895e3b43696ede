"""Values that stand for "no data", such as -9999 in a raster: found in an array, and told from data."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding

Array = NDArray[Any]
Flags = NDArray[np.bool_]
#: What marks the missing pixels: "auto", "nan", the value itself, or None for nothing.
Mark = str | float | None

# What programs write: ESRI and GDAL (-9999 and its relatives, the ends of whole numbers and of float32), NetCDF's
# NC_FILL_FLOAT, CMIP's 1e20, PDS and older models, Surfer's 1.70141e38, Dectris' ends of uint32, FITS BLANK.
KNOWN = (
    *(-999.0, -9999.0, -99999.0, -999999.0, -32768.0, -32767.0, -(2.0**31), -(2.0**31) + 1, -(2.0**63)),
    *(-9.223372e18, -1e20, -1e30, -1e32, -1e34, -1e36, -3.4e38, float(np.finfo(np.float32).min)),
    *(
        1e20,
        1e30,
        1e36,
        9.96921e36,
        9.969209968386869e36,
        1.70141e38,
        3.4e38,
        float(np.finfo(np.float32).max),
    ),
    *(2.0**32 - 1, 2.0**32 - 2, float(np.finfo(np.float64).min), float(np.finfo(np.float64).max)),
)
# A known value counts if no other lies nearer to it than this share of the others' range: a picture that
# reaches -999 by itself comes near it in small steps.
CLEAR = 0.5
# Any other value counts if it is repeated, and so many times larger than all others that double precision
# would keep few of their digits.
FAR, LEAST_FAR = 1e6, 1e9
# Detectors mark gaps -1 and dead pixels -2 among counts. Noise about zero reaches -1 too, but then more often the
# values just above it, up to 4; and beside the -1 of a picture's shadows most values are such, more than elsewhere.
# A drawing of a few levels is no picture of counts.
COUNT_MARKS = (-1, -2)
NEAR_ZERO, LEAST_COUNTS = 4, 16


def find(image: Array, mark: Mark = "auto", *, nan: bool = False) -> tuple[Flags, tuple[float, ...]]:
    """Which entries stand for "no data".

    Parameters
    ----------
    image : array
        Of any shape, whole or real numbers.
    mark : "auto", "nan", float or None
        ``"auto"`` finds known values (-9999, -3.4e38, ...) that stand apart from all others, repeated values so large
        that the others would vanish beside them, and the -1 and -2 of detectors among counts. ``"nan"`` adds NaN and
        infinity to these. A number is the one value that marks them, besides NaN. None: nothing does.
    nan : bool
        Whether "auto" takes NaN and infinity for such values, too.

    Returns
    -------
    bool array
        Of the shape of `image`.
    tuple of float
        The values that were found; NaN stands for NaN and infinity.

    Raises
    ------
    BayesDipError
        `mark` is none of these.
    """
    nothing = np.zeros(image.shape, bool)
    if mark is None:
        return nothing, ()
    if isinstance(mark, Real) and not isinstance(mark, bool):
        return _marked(image, () if np.isnan(mark) else (float(mark),), nan=True)
    if mark not in ("auto", "nan"):
        raise BayesDipError(
            f"missing is {mark!r}: expected 'auto', 'nan', the value that marks missing pixels, or None (on the "
            "command line none); choose one of these"
        )
    return _marked(image, _placeholders(image), nan=nan or mark == "nan")


def finding(flags: Flags, values: tuple[float, ...], mark: Mark) -> Finding | None:
    """What to tell the user about it; None where nothing was found that was not asked for."""
    count = int(flags.sum())
    if mark != "auto" or not count:
        return None
    shown = " or ".join(f"{value:.8g}" for value in values)
    text = (
        f"{count:,} value{'s are' if count > 1 else ' is'} {shown}, which stands for no data, and treated as missing; "
        "give missing=None (--missing none) to take it as data"
    )
    return Finding("no data", text, {"count": count, "values": list(values)})


def _marked(image: Array, values: tuple[float, ...], *, nan: bool) -> tuple[Flags, tuple[float, ...]]:
    flags, found = np.zeros(image.shape, bool), []
    for value in values:
        here = image == _own(value, image.dtype)
        if here.any():
            flags |= here
            found.append(value)
    if nan and image.dtype.kind == "f" and not np.isfinite(image).all():
        flags |= ~np.isfinite(image)
        found.append(float("nan"))
    return flags, tuple(found)


def _own(value: float, dtype: np.dtype[Any]) -> Any:
    """The value as an array of this type holds it; NaN, which equals nothing, if it cannot."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    if dtype.kind not in "ui" or value != np.floor(value):
        return np.nan
    limits = np.iinfo(dtype)
    return dtype.type(int(value)) if limits.min <= int(value) <= limits.max else np.nan


def _placeholders(image: Array) -> tuple[float, ...]:
    """The values of an array that stand for "no data", as far as they show themselves."""
    if image.dtype.kind not in "iuf" or image.dtype.itemsize == 1 or image.size == 0:
        return ()
    own = (_own(value, image.dtype) for value in KNOWN)
    known = {value for value in own if np.isfinite(value)}
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image.ravel()
    rest, known_ends, far_ends = finite, [], []
    while rest.size:
        low, high = rest.min(), rest.max()
        end = next((value for value in (low, high) if value in known), None)
        if end is not None:
            known_ends.append(end)
        else:
            end = next((value for value in (low, high) if _is_far(value, rest)), None)
            if end is None:
                break
            far_ends.append(end)
        rest = rest[rest != end]
    if not rest.size:
        return ()  # nothing else is there to tell it from
    low, high = float(rest.min()), float(rest.max())
    # In half-units: the differences of the ends of double precision are not numbers of it.
    clear = CLEAR * (high / 2 - low / 2)
    found = [float(v) for v in known_ends if max(low / 2 - float(v) / 2, float(v) / 2 - high / 2) > clear]
    return (*found, *map(float, far_ends), *_count_marks(image, rest))


def _is_far(value: Any, rest: Array) -> bool:
    """Whether an end of the range is repeated and much larger than everything else."""
    if abs(float(value)) < LEAST_FAR:
        return False
    others = rest[rest != value]
    if not others.size or rest.size - others.size < 2:
        return False
    low, high = float(others.min()), float(others.max())
    return low < high and abs(float(value)) > FAR * max(abs(low), abs(high))


def _count_marks(image: Array, rest: Array) -> tuple[float, ...]:
    """-1 and -2 where all else are counts, whole numbers of zero and more."""
    low = rest.min()
    if low not in COUNT_MARKS or image.dtype.kind == "u":
        return ()
    if image.dtype.kind == "f" and not (rest == np.rint(rest)).all():
        return ()
    flags = (image == COUNT_MARKS[0]) | (image == COUNT_MARKS[1])
    counts, beside = rest[rest >= 0], image[_beside(flags)]
    if len(np.unique(counts)) < LEAST_COUNTS or not len(beside):
        return ()
    if not _fills_a_line(flags) and not int(flags.sum()) > max(2 * int((counts <= NEAR_ZERO).sum()), 2):
        return ()
    if (beside <= NEAR_ZERO).mean() > 2 * (counts <= NEAR_ZERO).mean():
        return ()
    return tuple(float(value) for value in COUNT_MARKS if (rest == value).any())


def _fills_a_line(flags: Flags) -> bool:
    """Whether a whole row, column, or other line along an axis is marked."""
    return flags.ndim > 1 and any(bool(flags.all(axis).any()) for axis in range(flags.ndim))


def _beside(flags: Flags) -> Flags:
    """Where a neighbour along an axis is marked, and the entry itself is not."""
    near = np.zeros_like(flags)
    for axis in range(flags.ndim):
        ahead, behind = np.moveaxis(near, axis, 0), np.moveaxis(flags, axis, 0)
        ahead[1:] |= behind[:-1]
        ahead[:-1] |= behind[1:]
    return near & ~flags
