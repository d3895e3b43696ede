"""The options that all restoring verbs share, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

METHOD_PANEL = "How to restore"
FILES_PANEL = "Files and output"


def _how(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=METHOD_PANEL)


def _where(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=FILES_PANEL)


@dataclass(frozen=True)
class Shared:
    """What every restoring verb takes; the field's name is the option's unless it says otherwise."""

    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Picture: PNG, JPEG, TIFF, WebP, BMP, GIF or .npy.")
    ]
    output: Annotated[
        Path, _where("-o", "--output", metavar="OUT", help="Restored picture: .png .jpg .tif .webp or .npy.")
    ]
    method: Annotated[
        str,
        _how(
            metavar="NAME",
            help="auto (by the task), gp (Gaussian process: instant), sgld (sampled network), stack (both, averaged), "
            "map (one fit); to compare with: variational, dropout.",
        ),
    ] = "auto"
    arch: Annotated[
        str | None,
        _how(
            metavar="NAME", help="Network: skip, decoder, shuffle, 'skip(scales=2)'; else the method's own."
        ),
    ] = None
    kernel: Annotated[
        str | None, _how(metavar="NAME", help="For gp: auto (by evidence), nonlocal, matern32, rbf, ...")
    ] = None
    effort: Annotated[str, _how(metavar="fast|balanced|best", help="How much work.")] = "balanced"
    time_budget: Annotated[
        float | None, _how(metavar="SECONDS", help="End by then with the best result so far.")
    ] = None
    seed: Annotated[int, _how(help="The same seed repeats a run on the CPU to the bit.")] = 0
    device: Annotated[str, _how(metavar="auto|cpu|cuda", help="Where to compute.")] = "auto"
    sampler: Annotated[
        str,
        _how(
            metavar="NAME",
            help="For sgld: psgld, sgld, sghmc, cyclical, hmc, or adam-noise (the paper's recipe).",
        ),
    ] = "psgld"
    temperature: Annotated[float, _how(help="For sgld: 1 samples the posterior itself.")] = 1.0
    chains: Annotated[
        int, _how(help="For sgld: networks that are sampled at once; they share the steps of the effort.")
    ] = 1
    sample_sigma: Annotated[
        bool, _how("--sample-sigma", help="For sgld: learn the noise level along with the picture.")
    ] = False
    optimiser: Annotated[
        str,
        _how(
            metavar="NAME",
            help="For map: sgd, sgd+average, sgd+weight-decay, sgd+input or sgd+input+average.",
        ),
    ] = "sgd+input+average"
    stop: Annotated[
        str | None,
        _how(metavar="RULE", help="For map: never, held-out, windowed-variance, discrepancy or sure."),
    ] = None
    samples: Annotated[
        int | None, _how(metavar="N", help="Posterior samples to keep: 16, and none for gp, if not said.")
    ] = None
    preset: Annotated[
        str | None, _how(metavar="paper", help="The network and recipe of Cheng et al. 2019: hours on a CPU.")
    ] = None
    std: Annotated[
        Path | None,
        _where(metavar="FILE", help="Write the standard deviation of every pixel (float .tif or .npy)."),
    ] = None
    report: Annotated[Path | None, _where(metavar="DIR", help="Write report.html, a page about the run.")] = (
        None
    )
    resume: Annotated[
        Path | None, _where(metavar="DIR", help="Keep the result there; load it if it is there already.")
    ] = None
    json: Annotated[bool, _where("--json", help="Print one JSON object instead of the summary.")] = False
    force: Annotated[bool, _where("--force", help="Replace files that exist.")] = False

    def method_options(self) -> dict[str, Any]:
        """The options that decide what is computed, by the names of :class:`bayesdip.pipeline.Options`."""
        names = (
            "method",
            "arch",
            "kernel",
            "effort",
            "time_budget",
            "seed",
            "device",
            "sampler",
            "temperature",
            "chains",
            "sample_sigma",
            "optimiser",
            "stop",
            "samples",
            "preset",
        )
        return {name: getattr(self, name) for name in names}


def restoring(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the shared options: its parameter ``shared`` becomes one option for each field.

    Typer reads a command's options from its signature, so the signature is made here.
    """
    hints = get_type_hints(Shared, include_extras=True)
    own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.name != "shared"]
    parameters = {
        f.name: inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if f.default is MISSING else f.default,
            annotation=hints[f.name],
        )
        for f in fields(Shared)
    }

    @wraps(verb)
    def command(**given: Any) -> None:
        shared = Shared(**{name: given.pop(name) for name in parameters})
        verb(**given, shared=shared)

    del command.__wrapped__  # else its signature would be read instead
    ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    signature = inspect.Signature([*ordered, *parameters.values()])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command
