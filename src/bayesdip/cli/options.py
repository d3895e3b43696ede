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
class Options:
    """What every restoring verb takes; the field's name is the option's unless it says otherwise.

    None leaves an option to the method, whose own default is then used.
    """

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
            help="auto (by the task), patches (groups of similar patches), gp (Gaussian process), "
            "sgld (sampled network), map (one fit of a network) or stack (patches and sgld, averaged).",
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
        str | None, _how(metavar="NAME", help="For sgld: psgld, or adam-noise (Cheng et al. 2019).")
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
        _how(metavar="RULE", help="For map: never, held-out, windowed-variance, discrepancy or sure."),
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

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the named options that were given."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def restoring(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the shared options: its parameter ``options`` becomes one option for each field.

    Typer reads a command's options from its signature, so the signature is made here.
    """
    hints = get_type_hints(Options, include_extras=True)
    own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.name != "options"]
    parameters = {
        f.name: inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if f.default is MISSING else f.default,
            annotation=hints[f.name],
        )
        for f in fields(Options)
    }

    @wraps(verb)
    def command(**given: Any) -> None:
        options = Options(**{name: given.pop(name) for name in parameters})
        verb(**given, options=options)

    del command.__wrapped__  # else its signature would be read instead
    ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    signature = inspect.Signature([*ordered, *parameters.values()])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command
