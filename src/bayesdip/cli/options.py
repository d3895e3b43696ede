"""The options that all restoring verbs share, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from bayesdip.cli.parameters import argument, option

METHOD_PANEL = "How to restore"
FILES_PANEL = "Files and output"
TILES_PANEL = "Large pictures and stacks: Zarr, and TIFF in tiles"
INVERT_MASK = "Exchange missing and known in MASK, or not; a doubtful one is asked about."


def _how(*names: str, help: str, metavar: str | None = None, offers: tuple[str, ...] = ()) -> Any:
    return option(*names, help=help, metavar=metavar, offers=offers, rich_help_panel=METHOD_PANEL)


def _where(*names: str, help: str, metavar: str | None = None) -> Any:
    return option(*names, help=help, metavar=metavar, rich_help_panel=FILES_PANEL)


def _tiles(*names: str, help: str, metavar: str | None = None) -> Any:
    return option(*names, help=help, metavar=metavar, rich_help_panel=TILES_PANEL)


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How to restore, for one picture or many; the field's name is the option's unless it says otherwise.

    None leaves an option to the method, whose own default is then used.
    """

    method: Annotated[
        str,
        _how(
            metavar="NAME",
            offers=("auto", "patches", "gp", "sgld", "map", "stack"),
            help="auto (by the task), patches (groups of similar patches), gp (Gaussian process), "
            "sgld (sampled network), map (one fit of a network) or stack (patches and sgld, averaged).",
        ),
    ] = "auto"
    missing: Annotated[
        str,
        _how(
            metavar="auto|nan|none|VALUE",
            help="What marks missing pixels: known values such as -9999 (auto), NaN too, a value, or nothing.",
        ),
    ] = "auto"
    effort: Annotated[
        str | None, _how(metavar="fast|balanced|best", help="How much work; balanced if not given.")
    ] = None
    time_budget: Annotated[
        float | None, _how(metavar="SECONDS", help="End by then with the best result so far.")
    ] = None
    seed: Annotated[
        int | None, _how(metavar="N", help="The same seed, 0 if not given, repeats a CPU run to the bit.")
    ] = None
    device: Annotated[str | None, _how(metavar="auto|cpu|cuda", help="Where to compute.")] = None
    samples: Annotated[int | None, _how(metavar="N", help="Posterior samples to keep.")] = None
    preset: Annotated[
        str | None,
        _how(metavar="paper", help="For sgld: network and recipe of Cheng et al. 2019; hours on a CPU."),
    ] = None
    arch: Annotated[
        str | None,
        _how(metavar="NAME", help="For gp and networks: skip, decoder, shuffle, 'skip(scales=2)'."),
    ] = None
    kernel: Annotated[
        str | None, _how(metavar="NAME", help="For gp: rbf, matern32, ..., or auto (by evidence).")
    ] = None
    sampler: Annotated[
        str | None,
        _how(
            metavar="NAME",
            offers=("psgld", "adam-noise"),
            help="For sgld: psgld, or adam-noise (Cheng et al. 2019).",
        ),
    ] = None
    temperature: Annotated[
        float | None, _how(metavar="T", help="For sgld: 1 samples the posterior itself.")
    ] = None
    chains: Annotated[
        int | None, _how(metavar="N", help="For sgld: networks sampled at once; they share the steps.")
    ] = None
    sample_sigma: Annotated[
        bool | None, _how("--sample-sigma", help="For sgld: sample the noise level along with the picture.")
    ] = None
    optimiser: Annotated[
        str | None, _how(metavar="NAME", help="For map: sgd, and with +average, +weight-decay or +input.")
    ] = None
    stop: Annotated[
        str | None,
        _how(
            metavar="RULE",
            offers=("never", "held-out", "windowed-variance", "discrepancy", "sure"),
            help="For map: never, held-out, windowed-variance, discrepancy or sure.",
        ),
    ] = None

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the named options that were given."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """What every restoring verb takes."""

    source: Annotated[
        Path, argument(metavar="IN", help="Picture: PNG, JPEG, TIFF, WebP, BMP, GIF, .npy or Zarr.")
    ]
    output: Annotated[
        Path,
        _where("-o", "--output", metavar="OUT", help="Restored picture: .png .jpg .tif .webp .npy or .zarr."),
    ]
    std: Annotated[
        Path | None,
        _where(metavar="FILE", help="Write the standard deviation of every pixel (float .tif or .npy)."),
    ] = None
    report: Annotated[Path | None, _where(metavar="DIR", help="Write report.html, a page about the run.")] = (
        None
    )
    resume: Annotated[
        Path | None, _where(metavar="DIR", help="Keep checkpoints and the result there; go on from them.")
    ] = None
    json: Annotated[bool, _where("--json", help="Print one JSON object instead of the summary.")] = False
    force: Annotated[bool, _where("--force", help="Replace files that exist.")] = False
    axes: Annotated[
        str | None, _tiles(metavar="LETTERS", help="Names of the axes, of t c z y x s, if the file has none.")
    ] = None
    across: Annotated[
        str | None, _tiles(metavar="LETTERS", help="Axes of the pictures' grid: yx, or zyx for volumes.")
    ] = None
    channels: Annotated[
        str | None, _tiles(metavar="LETTER", help="Axis of channels restored together; else each by itself.")
    ] = None
    tile: Annotated[int | None, _tiles(metavar="N", help="Restore in tiles of N pixels a side.")] = None
    workers: Annotated[
        int | None, _tiles(metavar="N", help="Processes; else as many as cores and memory allow.")
    ] = None
    scheduler: Annotated[
        str | None, _tiles(metavar="ADDRESS", help="Workers of this Dask cluster instead: tcp://HOST:8786.")
    ] = None

    @property
    def tile_options(self) -> dict[str, Any]:
        """Those that only a restoration in tiles has, if they were given."""
        return self.given("axes", "across", "channels", "tile", "workers", "scheduler")


@dataclass(frozen=True, kw_only=True)
class BatchOptions(MethodOptions):
    """What every verb of ``bayesdip batch`` takes."""

    sources: Annotated[
        list[str], argument(metavar="IN...", help="Pictures, folders of them, or 'patterns*.tif'.")
    ]
    output: Annotated[
        Path, _where("-o", "--output", metavar="DIR", help="Folder for restored pictures and batch.jsonl.")
    ]
    workers: Annotated[
        int | None, _where(metavar="N", help="Processes; else as many as cores and memory allow.")
    ] = None
    scheduler: Annotated[
        str | None, _where(metavar="ADDRESS", help="Workers of this Dask cluster instead: tcp://HOST:8786.")
    ] = None
    std: Annotated[
        Path | None, _where(metavar="DIR", help="Write standard deviations there, one float .tif a picture.")
    ] = None
    report: Annotated[
        Path | None, _where(metavar="DIR", help="Write a folder with a report.html there for every picture.")
    ] = None
    json: Annotated[bool, _where("--json", help="Print one JSON object instead of the table.")] = False
    force: Annotated[
        bool, _where("--force", "--overwrite", help="Replace files that this command did not write.")
    ] = False


@dataclass(frozen=True)
class CompareOptions:
    """What ``bayesdip compare`` takes."""

    source: Annotated[Path, argument(metavar="IN", help="The picture to restore.")]
    mask: Annotated[
        Path | None, option(metavar="MASK", help="Inpainting: white is missing, as for inpaint.")
    ] = None
    invert_mask: Annotated[bool | None, option(help=INVERT_MASK)] = None
    sigma: Annotated[
        str, option(metavar="auto|S", help="Noise in the picture's own scale; with MASK, auto is none.")
    ] = "auto"
    psf: Annotated[Path | None, option(metavar="PSF", help="Deblurring: the blur of one point.")] = None
    factor: Annotated[int | None, option(metavar="N", help="Enlarging: how many times.")] = None
    kind: Annotated[
        str, option(metavar="lanczos|bicubic|area", help="For --factor: how it was made small.")
    ] = "lanczos"
    truth: Annotated[
        Path | None, option(metavar="FILE", help="The clean picture, to judge the ranking by.")
    ] = None
    methods: Annotated[
        str, option(metavar="A,B", help="Only these: names, ours, baselines. Else all that apply.")
    ] = ""
    effort: Annotated[str, option(metavar="fast|balanced|best", help="Of our methods.")] = "fast"
    time_budget: Annotated[
        float | None, option(metavar="SECONDS", help="For every single run of our methods.")
    ] = None
    rounds: Annotated[int, option(metavar="N", help="At most so many splits of the data.")] = 3
    seed: Annotated[int, option(help="Of the splits and of our methods.")] = 0
    device: Annotated[str, option(metavar="auto|cpu|cuda", help="Where our methods compute.")] = "auto"
    figure: Annotated[
        Path | None, option(metavar="FILE", help="All restorations with crops (.png, .svg, .pdf).")
    ] = None
    report: Annotated[
        Path | None, option(metavar="DIR", help="Write a page, the figure, and every restoration.")
    ] = None
    json: Annotated[bool, option("--json", help="Print one JSON object instead of the table.")] = False
    force: Annotated[bool, option("--force", help="Replace files that exist.")] = False


def with_options(verb: Callable[..., Any], options_class: type[Any] | None = None) -> Callable[..., Any]:
    """Turn a verb's parameter ``options``, which is a dataclass, into one option for each of its fields.

    Typer reads a command's options from its signature, so the signature is made here. The dataclass is that of the
    annotation, unless another one is given.
    """
    signature = inspect.signature(verb, eval_str=True)
    kind = options_class or signature.parameters["options"].annotation
    hints = get_type_hints(kind, include_extras=True)
    own = [p for p in signature.parameters.values() if p.name != "options"]
    shared = [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if f.default is MISSING else f.default,
            annotation=hints[f.name],
        )
        for f in fields(kind)
    ]

    @wraps(verb)
    def command(**given: Any) -> Any:
        options = kind(**{p.name: given.pop(p.name) for p in shared})
        return verb(**given, options=options)

    del command.__wrapped__  # else its signature would be read instead
    made = inspect.Signature([*(p.replace(kind=p.KEYWORD_ONLY) for p in own), *shared])
    command.__signature__ = made  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in made.parameters.values()}
    return command
