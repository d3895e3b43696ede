"""The method that was asked for on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayesdip import methods
from bayesdip.errors import BayesDipError
from bayesdip.methods import SGLD, Method
from bayesdip.methods.method import one_of
from bayesdip.methods.registry import having, with_options

if TYPE_CHECKING:
    from bayesdip.cli.options import MethodOptions

AUTO = "auto"
# Options that every method has, and those that some have.
COMMON = ("effort", "seed", "device")
OWN = (
    *("samples", "arch", "kernel", "sampler", "temperature", "chains", "sample_sigma"),
    *("optimiser", "stop"),
)
# What was once the value of an option and is something else now.
MOVED = {
    ("kernel", "nonlocal"): "groups of similar patches are a method of their own: use --method patches",
    ("method", "variational"): "it is for comparisons only: use it from Python, bayesdip.lab.methods",
    ("method", "dropout"): "it is for comparisons only: use it from Python, bayesdip.lab.methods",
}


def api_options(options: MethodOptions) -> dict[str, Any]:
    """What decides the result, by the names of :class:`bayesdip.api.Options`.

    ``method`` is a method object with its options, or ``"auto"`` with the options that all methods share.

    Raises
    ------
    BayesDipError
        There is no such method, it does not have an option, or an option is out of its range.
    """
    for (name, value), advice in MOVED.items():
        if getattr(options, name) == value:
            raise BayesDipError(f"--{name} is {value!r}, which is gone: {advice}")
    budget = {"time_budget": options.time_budget}
    if options.method == AUTO and options.preset is None:
        own = options.given(*OWN)
        for name in own:
            if name != "samples":
                raise BayesDipError(_needs_a_method(name))
        return {"method": AUTO, **options.given(*COMMON), **own, **budget}
    return {"method": _method(options), **budget}


def _method(options: MethodOptions) -> Method:
    name, given = options.method, options.given(*COMMON, *OWN)
    if options.preset is not None:
        one_of("preset", options.preset, ("paper",))
        if name not in (AUTO, SGLD.name):
            raise BayesDipError(
                f"--preset paper was given with --method {name}: expected sgld, which has it; use --method sgld"
            )
        return with_options(SGLD.paper(), **given)
    one_of("method", name, (AUTO, *methods.NAMES))
    return methods.create(name, **given)


def _needs_a_method(option: str) -> str:
    takers = " or ".join(f"--method {name}" for name in having(option))
    return (
        f"--{option.replace('_', '-')} was given with --method auto, which chooses the options itself: expected a "
        f"method that has it; use {takers}"
    )


def decisive(options: dict[str, Any]) -> dict[str, Any]:
    """Of such options, what decides the result, as plain JSON values; the device is only where it is computed."""
    method = options["method"]
    facts = options | (method.to_dict() if isinstance(method, Method) else {})
    return {name: value for name, value in facts.items() if name != "device"}
