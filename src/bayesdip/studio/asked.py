"""What a visitor asked for: checked, and as the command line and the lines of Python that repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bayesdip.io.encoding import FORMATS
from bayesdip.io.raw import SUFFIXES as RAW_SUFFIXES
from bayesdip.methods import EFFORTS, NAMES
from bayesdip.methods.method import one_of
from bayesdip.operators.resample import KINDS
from bayesdip.studio.limits import MOST_SAMPLES, Refused

TASKS = ("denoise", "inpaint", "upscale", "deblur")
METHODS = ("auto", *NAMES)
MOST_FACTOR = 8
# Seconds for each run of one of our methods in a comparison: a visitor waits for some ten of them.
COMPARED = 15.0
# Compared unless networks are wanted, too.
QUICK = ("patches", "gp", "baselines")
Words = dict[str, str | int]


@dataclass(frozen=True)
class Asked:
    """One run, by names of files in the visitor's folder.

    Attributes
    ----------
    task : {"denoise", "inpaint", "upscale", "deblur"}
    picture : str
        File of the picture.
    name : str
        What the visitor calls it.
    mask, psf : str
        Files; empty where there is none.
    invert_mask : bool
    sigma : str
        As typed after ``--sigma``; empty leaves it to the program.
    factor : int
    kind : str
    method, effort : str
    samples : int
        Posterior samples; 0 for none.
    compares : bool
        Whether methods are compared on the picture instead.
    networks : bool
        Whether networks are compared, too, which takes minutes.
    """

    task: str
    picture: str
    name: str
    mask: str = ""
    psf: str = ""
    invert_mask: bool = False
    sigma: str = ""
    factor: int = 4
    kind: str = "lanczos"
    method: str = "auto"
    effort: str = "balanced"
    samples: int = 0
    compares: bool = False
    networks: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any], files: Mapping[str, str], name: str) -> Self:
        """From what the browser sent.

        Parameters
        ----------
        given : mapping
        files : mapping
            The names of the visitor's files by what the browser calls them.
        name : str
            What the visitor calls the picture.

        Raises
        ------
        BayesDipError
            Something is missing or not allowed.
        """

        def file(role: str) -> str:
            known = str(given.get(role) or "")
            if known and known not in files:
                raise Refused(f"the {role} is no longer here: expected one of this visit; send it again", 404)
            return files[known] if known else ""

        task = one_of("task", str(given.get("task", "denoise")), TASKS)
        mask, psf = file("mask") if task == "inpaint" else "", file("psf") if task == "deblur" else ""
        if task == "deblur" and not psf:
            raise Refused(
                "a blur can be undone once it is known: give a picture of one bright point, blurred (the PSF)"
            )
        found = cls(
            task,
            file("picture"),
            name,
            mask,
            psf,
            bool(given.get("invert_mask", False)),
            str(given.get("sigma", "")).strip(),
            _whole("factor", given.get("factor", 4), 2, MOST_FACTOR),
            one_of("kind", str(given.get("kind", "lanczos")), KINDS),
            one_of("method", str(given.get("method", "auto")), METHODS),
            one_of("effort", str(given.get("effort", "balanced")), EFFORTS),
            _whole("samples", given.get("samples", 0), 0, MOST_SAMPLES),
            bool(given.get("compares", False)),
            bool(given.get("networks", False)),
        )
        if not found.picture:
            raise Refused("there is no picture yet: drop one, or take an example")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which ``Asked(**values)`` is the same again."""
        return asdict(self)

    @property
    def restored(self) -> str:
        """What the restored picture is called."""
        stem, suffix = Path(self.name).stem, Path(self.picture).suffix.lower()
        if suffix in RAW_SUFFIXES:
            return f"{stem}-restored.tif"
        return f"{stem}-restored{suffix if suffix in FORMATS and suffix not in ('.jpg', '.jpeg') else '.png'}"

    @property
    def compared(self) -> tuple[str, ...]:
        """What is compared; empty for all."""
        return () if self.networks else QUICK

    def own(self) -> Words:
        """The options of the verb itself, by name."""
        found: Words = {}
        if self.task == "inpaint" and self.mask:
            found["mask"] = self.mask
        if self.task == "upscale":
            found |= {"factor": self.factor, "kind": self.kind}
        if self.task == "deblur":
            found["psf"] = self.psf
        if self.sigma:
            found["sigma"] = self.sigma
        return found

    def command(self) -> str:
        """The command line that does the same, with the visitor's names of files."""
        words = ["bayesdip", "compare" if self.compares else self.task, self.name]
        for name, value in self.own().items():
            words += [f"--{name}", self._called(name, value)]
        if self.task == "inpaint" and self.mask and self.invert_mask:
            words.append("--invert-mask")
        if self.compares:
            chosen = ["--methods", ",".join(self.compared)] if self.compared else []
            return shlex.join([*words, *chosen, "--time-budget", f"{COMPARED:g}"])
        words += ["-o", self.restored, "--std", f"{Path(self.name).stem}-std.tif"]
        for name, value, default in self._shared():
            if value != default:
                words += [f"--{name}", str(value)]
        return shlex.join(words)

    def python(self) -> str:
        """The same in Python."""
        lines = ["import bayesdip as bd", f"picture = bd.io.read_picture({self.name!r}).pixels"]
        words = []
        if self.task == "inpaint" and self.mask:
            mask = f"bd.io.read_mask({self._called('mask', self.mask)!r}, picture.shape)"
            words.append(f"~{mask}" if self.invert_mask else mask)
        if self.task == "upscale":
            words += [str(self.factor), f"kind={self.kind!r}"]
        if self.task == "deblur":
            words.append(f"bd.io.read_psf({self._called('psf', self.psf)!r})")
        if self.sigma and self.sigma != "auto":
            words.append(f"sigma={self.sigma if ',' not in self.sigma else f'({self.sigma})'}")
        elif self.sigma:
            words.append("sigma='auto'")
        words += [f"{name}={value!r}" for name, value, default in self._shared() if value != default]
        words.append("channel_axis=-1 if picture.ndim == 3 else None")
        lines += [f"r = bd.{self.task}(picture, {', '.join(words)})", "r.mean, r.std, r.interval(0.9)"]
        return "\n".join(lines)

    def _shared(self) -> tuple[tuple[str, str | int, str | int], ...]:
        return (
            ("method", self.method, "auto"),
            ("effort", self.effort, "balanced"),
            ("samples", self.samples, 0),
        )

    def _called(self, name: str, value: str | int) -> str:
        """Files are named after the picture: their own names are the page's."""
        return (
            f"{Path(self.name).stem}-{name}{Path(str(value)).suffix}"
            if name in ("mask", "psf")
            else str(value)
        )


def _whole(name: str, value: Any, least: int, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number <= most:
        raise Refused(f"{name} is {str(value)[:40]!r}: expected a whole number from {least} to {most}")
    return number
