"""Whole recipes by name: a network, a way to fit it, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import Skip
from bayesdip.errors import BayesDipError
from bayesdip.networks.schedule import PAPER
from bayesdip.settings import Settings, one_of


@dataclass(frozen=True)
class Preset:
    """Choices that belong together; by the names of :class:`bayesdip.settings.Settings`."""

    arch: Architecture
    sampler: str
    steps: int
    precision: str = "single"
    method: str = "sgld"


PRESETS = {
    # Cheng et al. 2019, section 5, as their released code runs it: the network of Deep Image Prior with
    # 5 scales of 128 features, 4 in each skip, on 32 features of uniform noise in 0..0.1.
    "paper": Preset(
        Skip(
            scales=5,
            width=128,
            skip=4,
            slope=0.2,
            filter_size=3,
            norm=True,
            padding="reflection",
            upsample="bilinear",
            downsample="stride",
            mixing=True,
            input_depth=32,
            input="uniform",
            input_scale=0.1,
            input_smoothness=0.0,
            output="sigmoid",
        ),
        sampler="adam-noise",
        steps=PAPER.steps,
    )
}


def choices(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Options with a preset's choices put in.

    Raises
    ------
    BayesDipError
        There is no such preset, or something that it decides was given beside it.
    """
    one_of("preset", name, tuple(PRESETS))
    decided = dict(vars(PRESETS[name]))
    for key, value in decided.items():
        asked = given.get(key)
        if asked is not None and asked not in (value, getattr(Settings, key, None)):
            raise BayesDipError(
                f"{key}={asked!r} was given beside preset={name!r}, which decides it: leave one of the two out"
            )
    return given | decided
