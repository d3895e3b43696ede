"""The command line and the lines of Python that repeat a run, with the visitor's names of the files."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Any

from bayesdip.methods.registry import METHODS
from bayesdip.studio.asked import COMPARED, Asked


def command_of(asked: Asked) -> str:
    """The command line that does the same.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    str
    """
    words = ["bayesdip", "compare" if asked.compares else asked.task, asked.name]
    for name, value in asked.own().items():
        words += [f"--{name}", str({"mask": asked.mask_name, "psf": asked.psf_name}.get(name, value))]
    if asked.task == "inpaint" and asked.mask:  # the page has shown what is missing: nothing is left to ask
        words.append("--invert-mask" if asked.invert_mask else "--no-invert-mask")
    if asked.compares:
        chosen = ["--methods", ",".join(asked.compared)] if asked.compared else []
        return shlex.join([*words, *chosen, "--time-budget", f"{COMPARED:g}"])
    words += ["-o", asked.restored]
    if has_std(asked):
        words += ["--std", asked.std]
    for name, value in _shared(asked):
        words += [f"--{name}", str(value)]
    return shlex.join(words)


def has_std(asked: Asked) -> bool:
    """Whether the method has a standard deviation."""
    return asked.method not in METHODS or METHODS[asked.method].has_std


@dataclass(frozen=True)
class ReadAs:
    """What was made of the files when the run began, and the function is told in Python.

    Attributes
    ----------
    has_channels : bool
    is_transparent : bool
        Whether transparent pixels are filled in.
    by_channel : bool
        Whether the mask has channels of its own.
    has_no_data : bool
        Whether values are missing which the file declares to stand for no data.
    is_compressed : bool
        Whether the noise is the error of a JPEG file's compression.
    is_real : bool
        Whether real numbers are written although the picture has whole ones.
    """

    has_channels: bool
    is_transparent: bool = False
    by_channel: bool = False
    has_no_data: bool = False
    is_compressed: bool = False
    is_real: bool = False


def python_of(asked: Asked, read: ReadAs) -> str:
    """The same in Python.

    Parameters
    ----------
    asked : Asked
    read : ReadAs

    Returns
    -------
    str
        Lines; what was restored is called ``r``, and the files are written.
    """
    lines = ["import bayesdip as bd", "", f"picture = bd.io.read_picture({asked.name!r})"]
    given = ["picture.pixels"]
    if asked.task == "inpaint" and (asked.mask or read.is_transparent):
        lines += _mask(asked, read)
        given.append("mask")
    elif asked.task == "upscale":
        given += [str(asked.factor), f"kind={asked.kind!r}"]
    elif asked.task == "deblur":
        given.append(f"bd.io.read_psf({asked.psf_name!r})")
    words: dict[str, Any] = {} if (sigma := _sigma(asked)) is None else {"sigma": sigma}
    words |= dict(_shared(asked))
    words |= {"channel_axis": -1} if read.has_channels else {}
    given += [f"{name}={value!r}" for name, value in words.items()]
    given += ["noise=picture.jpeg"] if read.is_compressed else []
    given += ["missing=picture.no_data"] if read.has_no_data else []
    kept = [
        *(['alpha="opaque"'] if asked.task == "inpaint" and read.is_transparent else []),
        *(['dtype="float32"'] if read.is_real else []),
    ]
    lines.append(f"r = bd.{asked.task}({', '.join(given)})")
    lines.append(f"bd.io.write_picture({', '.join([repr(asked.restored), 'r.mean', 'picture', *kept])})")
    if has_std(asked):
        lines.append(f"bd.io.write_std({asked.std!r}, r.std, picture)")
        lines.append("low, high = r.interval(0.9)")
    return "\n".join(lines) + "\n"


def _mask(asked: Asked, read: ReadAs) -> list[str]:
    transparent = "picture.alpha == 0"
    if not asked.mask:
        return [f"mask = {transparent}"]
    lines = [f"mask = bd.io.mask_of({asked.mask_name!r}, picture, invert={asked.invert_mask}).missing"]
    if read.is_transparent:
        lines.append(f"mask |= ({transparent}){'[..., None]' if read.by_channel else ''}")
    return lines


def _sigma(asked: Asked) -> float | tuple[float, ...] | str | None:
    """What was typed, as the function takes it; None where it is the default."""
    text = asked.sigma.lower()
    if not text or text == "auto":
        # Noise is always looked for when it is to be removed.
        return "auto" if text and asked.task in ("inpaint", "upscale") else None
    levels = tuple(float(part) for part in text.split(","))
    if not all(math.isfinite(level) for level in levels):
        return None
    return levels if len(levels) > 1 else levels[0]


def _shared(asked: Asked) -> list[tuple[str, str | int]]:
    """The options that all tasks have, where they are not the default."""
    options: tuple[tuple[str, str | int, str | int], ...] = (
        ("method", asked.method, "auto"),
        ("effort", asked.effort, "balanced"),
        ("samples", asked.samples, 0),
    )
    return [(name, value) for name, value, default in options if value != default]
