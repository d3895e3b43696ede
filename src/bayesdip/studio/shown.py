"""What the browser shows of a run: PNG files, and arrays in which single pixels are looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.io import atomic_write
from bayesdip.io.picture import Picture, upright
from bayesdip.report.pictures import View, coloured, enlarged_to, spread_of, top_of
from bayesdip.result import Restoration

Array = NDArray[Any]
# Arrays that are kept for looking up pixels, upright, channels last.
LOOKED_UP = ("mean", "std", "low", "high", "samples", "before")


def write_png(path: Path, levels: Array) -> None:
    """Write 8-bit levels in one go, quickly: the file is shown once on this machine, its size matters little."""
    from PIL import Image

    with atomic_write(path, force=True) as temporary:
        Image.fromarray(np.ascontiguousarray(levels)).save(temporary, "PNG", compress_level=1)


def write_live(folder: Path, mean: Array, std: Array | None, sample: Array | None, like: Picture) -> None:
    """Write the pictures of a run that goes on, and the arrays in which its pixels are looked up.

    Parameters
    ----------
    folder : Path
    mean, std, sample : array
        The best picture so far; the method's own standard deviation and its latest sample, where there are some.
    like : Picture
        The picture that is restored.
    """
    channels_last = mean.ndim == 3
    view = View.of(mean, channels_last, like)
    write_png(folder / "mean.png", view.levels(mean))
    _keep(folder, "mean", mean, view)
    if not (folder / "before.npy").exists():
        _keep(folder, "before", enlarged_to(like.pixels, mean.shape[:2]), view)
    if std is not None:
        spread = upright(spread_of(std, channels_last), view.orientation)
        write_png(folder / "std.png", coloured(spread / top_of(spread)))
        _keep(folder, "std", std, view)
    if sample is not None:
        write_png(folder / "sample0.png", view.levels(sample))


def _keep(folder: Path, name: str, array: Array, view: View) -> None:
    """Write an array in one go: it may be looked up at the same moment."""
    with atomic_write(folder / f"{name}.npy", force=True) as temporary, temporary.open("wb") as file:
        np.save(file, upright(array, view.orientation))


def write_result(folder: Path, found: Restoration, like: Picture) -> dict[str, Any]:
    """Write everything that is looked at of a finished run.

    Parameters
    ----------
    folder : Path
    found : Restoration
    like : Picture
        The picture that was restored.

    Returns
    -------
    dict
        Plain JSON values: the views that there are, and the uncertainty where the colour scale ends.
    """
    channels_last = found.mean.ndim == 3
    view = View.of(found.mean, channels_last, like)
    write_png(folder / "mean.png", view.levels(found.mean))
    before = enlarged_to(like.pixels, found.mean.shape[:2])
    write_png(folder / "before.png", view.levels(before))
    arrays = {"mean": found.mean, "before": before}
    facts: dict[str, Any] = {"samples": len(found.samples), "uncertainty": None}
    for number, sample in enumerate(found.samples):
        write_png(folder / f"sample{number}.png", view.levels(sample))
    if found.std is not None:
        spread = upright(spread_of(found.std, channels_last), view.orientation)
        top = top_of(spread)
        write_png(folder / "spread.png", np.rint(np.clip(spread / top, 0, 1) * 255).astype(np.uint8))
        write_png(folder / "std.png", coloured(spread / top))
        low, high = found.interval(0.9)
        arrays |= {"std": found.std, "low": low, "high": high}
        half = (
            np.median(((high - low) / 2)[found.std > 0] / found.std[found.std > 0])
            if (found.std > 0).any()
            else 1.645
        )
        facts["uncertainty"] = {"top": top, "reach": float(half)}
    for name in LOOKED_UP:  # what the run that went on had shown, and the result has not
        if name not in arrays:
            (folder / f"{name}.npy").unlink(missing_ok=True)
    for name, array in arrays.items():
        _keep(folder, name, array, view)
    if len(found.samples):
        turned = [upright(sample, view.orientation) for sample in found.samples]
        np.save(folder / "samples.npy", np.stack(turned))
    return facts


def pixel(folder: Path, row: int, column: int) -> dict[str, Any]:
    """What is known of one pixel: its value before and after, standard deviation, 90% interval, and samples.

    Parameters
    ----------
    folder : Path
        Where :func:`write_live` or :func:`write_result` wrote.
    row, column : int
        As shown.

    Returns
    -------
    dict
        Lists with a number for each channel (``samples``: a list of these), by name; and ``row``, ``column``.

    Raises
    ------
    IndexError
        There is no such pixel.
    """
    if min(row, column) < 0:
        raise IndexError("pixels are counted from 0")
    found: dict[str, Any] = {"row": row, "column": column}
    for name in LOOKED_UP:
        if not (folder / f"{name}.npy").exists():
            continue
        array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        if name == "samples":
            found[name] = [_numbers(sample[row, column]) for sample in array]
        else:
            found[name] = _numbers(array[row, column])
    return found


def _numbers(values: Array) -> list[float | None]:
    return [
        float(f"{value:.6g}") if np.isfinite(value) else None for value in np.atleast_1d(values).astype(float)
    ]
