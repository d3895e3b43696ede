"""What a visitor asked for, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from bayesdip.methods import EFFORTS, NAMES
from bayesdip.methods.method import one_of
from bayesdip.operators.resample import KINDS
from bayesdip.studio.limits import MOST_SAMPLES, Refused
from bayesdip.studio.sent_file import SentFile

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
    ending : str
        Of the file that is written.
    mask, psf : str
        Files; empty where there is none.
    mask_name, psf_name : str
        What the visitor calls these.
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
    ending: str = ".png"
    mask: str = ""
    psf: str = ""
    mask_name: str = ""
    psf_name: str = ""
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
    def of(cls, given: Mapping[str, Any], files: Mapping[str, SentFile]) -> Self:
        """From what the browser sent.

        Parameters
        ----------
        given : mapping
        files : mapping
            The visitor's files by what the browser calls them.

        Raises
        ------
        BayesDipError
            Something is missing or not allowed.
        """

        def file(role: str) -> SentFile | None:
            known = str(given.get(role) or "")
            if known and known not in files:
                raise Refused(f"the {role} is no longer here: expected one of this visit; send it again", 404)
            return files[known] if known else None

        picture = file("picture")
        if picture is None:
            raise Refused("there is no picture yet: drop one, or take an example")
        task = one_of("task", str(given.get("task", "denoise")), TASKS)
        mask, psf = file("mask") if task == "inpaint" else None, file("psf") if task == "deblur" else None
        if task == "deblur" and psf is None:
            raise Refused(
                "a blur can be undone once it is known: give a picture of one bright point, blurred (the PSF)"
            )
        return cls(
            task=task,
            picture=picture.path.name,
            name=picture.name,
            ending=str(picture.facts.get("ending", ".png")),
            mask=mask.path.name if mask else "",
            psf=psf.path.name if psf else "",
            mask_name=_name_of(mask, "mask", picture),
            psf_name=_name_of(psf, "psf", picture),
            invert_mask=bool(given.get("invert_mask", False)),
            sigma=str(given.get("sigma", "")).strip(),
            factor=_whole("factor", given.get("factor", 4), 2, MOST_FACTOR),
            kind=one_of("kind", str(given.get("kind", "lanczos")), KINDS),
            method=one_of("method", str(given.get("method", "auto")), METHODS),
            effort=one_of("effort", str(given.get("effort", "balanced")), EFFORTS),
            samples=_whole("samples", given.get("samples", 0), 0, MOST_SAMPLES),
            compares=bool(given.get("compares", False)),
            networks=bool(given.get("networks", False)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which ``Asked(**values)`` is the same again."""
        return asdict(self)

    def files(self) -> dict[str, tuple[str, str]]:
        """The files that were given, and what the visitor calls them, by role."""
        found = {
            "picture": (self.picture, self.name),
            "mask": (self.mask, self.mask_name),
            "psf": (self.psf, self.psf_name),
        }
        return {role: both for role, both in found.items() if both[0]}

    @property
    def restored(self) -> str:
        """What the restored picture is called."""
        return f"{Path(self.name).stem}-restored{self.ending}"

    @property
    def std(self) -> str:
        """What its standard deviation is called."""
        return f"{Path(self.name).stem}-std.tif"

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


def _name_of(file: SentFile | None, role: str, picture: SentFile) -> str:
    """What a file is called beside the picture: by its own name, unless the picture has the same."""
    if file is None:
        return ""
    if file.name != picture.name:
        return file.name
    name = Path(file.name)
    return f"{name.stem}-{role}{name.suffix}"


def _whole(name: str, value: Any, least: int, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number <= most:
        raise Refused(f"{name} is {str(value)[:40]!r}: expected a whole number from {least} to {most}")
    return number
