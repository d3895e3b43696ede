"""What an experiment is: a claim, the conditions it is measured under, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bayesdip.lab.pictures import gray
from bayesdip.lab.plots import Panel, figure_of
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Column, Criterion, Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CRITIC = "Should you buy the DIP? (2023)"
PAPER = "Cheng et al. 2019"
SIGMA = 25 / 255  # the noise of the paper's denoising table
Condition = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes
    ----------
    name : "quick" or "full"
    side : int
        Pixels per axis of the pictures.
    width, scales : int
        Channels and scales of the networks.
    steps : int
        Steps of an ordinary fit; a claim may take a multiple.
    pictures : int
        How many pictures each claim is measured on.
    seeds : int
        How many seeds, unless the caller says otherwise: Student's t is wide with few.
    """

    name: str
    side: int
    width: int
    scales: int
    steps: int
    pictures: int
    seeds: int


QUICK = Size("quick", side=64, width=16, scales=3, steps=400, pictures=1, seeds=8)
# Four pictures: between two the 95% interval is 12.7 standard errors wide either way, between four 3.2.
FULL = Size("full", side=128, width=32, scales=4, steps=1500, pictures=4, seeds=3)
SIZES = {size.name: size for size in (QUICK, FULL)}


@dataclass(frozen=True)
class Trial:
    """One row to be measured: one condition with one seed.

    Attributes
    ----------
    condition : dict
        What is varied, by name; ``trial["network"]`` reads it.
    seed : int
    size : Size
    data : Path or None
        The folder with the pictures; None takes those of scikit-image.
    """

    condition: Condition
    seed: int
    size: Size
    data: Path | None = None

    def generator(self, part: int = 0) -> torch.Generator:
        """A fresh generator for each part of a row.

        Part 0 draws noise and masks, alike in all conditions of a seed; part 1 draws networks and latent inputs.
        """
        return torch.Generator().manual_seed(1000 * self.seed + part)

    def picture(self, reduced: int = 1, most: int = 4096) -> Tensor:
        """The clean picture of this condition, (1, 1, side, side) in 0..1.

        Its side is that of the size over ``reduced``, and at most ``most`` pixels.
        """
        return gray(self["picture"], min(self.size.side // reduced, most), self.data)[None]

    def __getitem__(self, name: str) -> Any:
        return self.condition[name]


@dataclass(frozen=True)
class Claim:
    """One claim as an experiment.

    Attributes
    ----------
    number : int
        Claims are listed by it.
    name : str
        With the number it names the claim's files.
    sentence, source : str
        The claim, and where it is made.
    varies, measures : str
        In words.
    seconds : int
        Seconds of one core that the quick size takes with its own number of seeds.
    conditions : sequence of dict, or callable
        What is varied: one dict of plain JSON values for each row of a seed. A callable gives them for a size.
    measure : callable
        From a trial to its row's numbers; lists are curves. A function of a module, or an instance of one of its
        classes: worker processes receive it by name.
    rules : sequence of Rule
        What the claim asks of the rows; see :mod:`bayesdip.lab.statistics`.
    panels : sequence of Panel
        The figure; see :mod:`bayesdip.lab.plots`.
    columns : sequence of Column
        The measured columns of the table.
    on_pictures : bool
        Whether every condition is measured on each picture.
    pictures : mapping of str to int
        How many, by the name of the size, where the claim takes more than that size has.
    supported, refuted : str
        A clause for the report's answer, by verdict; empty for none.
    """

    number: int
    name: str
    sentence: str
    source: str
    varies: str
    measures: str
    seconds: int
    conditions: Sequence[Condition] | Callable[[Size], Sequence[Condition]]
    measure: Callable[[Trial], Row]
    rules: Sequence[Rule]
    panels: Sequence[Panel]
    columns: Sequence[Column]
    on_pictures: bool = True
    pictures: Mapping[str, int] = field(default_factory=dict)
    supported: str = ""
    refuted: str = ""

    @property
    def label(self) -> str:
        """Name of the claim's files: ``"02-scales"``."""
        return f"{self.number:02d}-{self.name}"

    def conditions_at(self, size: Size) -> list[Condition]:
        """What is varied at the size."""
        return list(self.conditions(size) if callable(self.conditions) else self.conditions)

    def pictures_at(self, size: Size) -> int:
        """On how many pictures every condition is measured; 0 for a claim with data of its own."""
        return self.pictures.get(size.name, size.pictures) if self.on_pictures else 0

    def judge(self, rows: Sequence[Row]) -> list[Criterion]:
        """What the claim asks, with what was measured of it."""
        return [rule(rows) for rule in self.rules]

    def draw(self, rows: Sequence[Row]) -> Figure:
        """The claim's figure."""
        return figure_of(self.panels, rows)


def crossed(**varied: Sequence[Any]) -> list[Condition]:
    """All combinations of the values, the last name varying fastest."""
    return [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
