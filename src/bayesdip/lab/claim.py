"""What an experiment is: a claim, what is varied, how it is measured and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.results import Row
from torch import Tensor

from bayesdip.lab.statistics import Condition

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CRITIC = "Should you buy the DIP? (2023)"
PAPER = "Cheng et al. 2019"
Cell = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes
    ----------
    name : "quick" or "full"
    side : int
        Pixels per axis of the pictures.
    width, scales : int
        Of the networks.
    steps : int
        Of an ordinary fit; a claim may take a multiple.
    pictures : int
        How many pictures each claim is measured on.
    seeds : int
        How many seeds, unless one says otherwise: Student's t is wide with few.
    """

    name: str
    side: int
    width: int
    scales: int
    steps: int
    pictures: int
    seeds: int


QUICK = Size("quick", side=64, width=16, scales=3, steps=400, pictures=1, seeds=8)
FULL = Size("full", side=128, width=32, scales=4, steps=1500, pictures=2, seeds=3)
SIZES = {size.name: size for size in (QUICK, FULL)}


@dataclass(frozen=True)
class Task:
    """One row to be measured: one cell of what is varied, with one seed.

    Attributes
    ----------
    cell : dict
        What is varied, by name.
    seed : int
    size : Size
    data : Path or None
        The folder with the pictures; None takes those of scikit-image.
    """

    cell: Cell
    seed: int
    size: Size
    data: Path | None = None

    def generator(self, part: int = 0) -> torch.Generator:
        """A fresh one for each part of the row: part 0 for noise and masks, alike in all cells of a seed."""
        return torch.Generator().manual_seed(1000 * self.seed + part)

    def picture(self, most: int = 4096) -> Tensor:
        """The clean picture of this cell, (1, 1, side, side) in 0..1, of at most so many pixels a side."""
        from bayesdip.lab.pictures import gray

        return gray(self.cell["picture"], min(self.size.side, most), self.data)[None]

    def __getitem__(self, name: str) -> Any:
        return self.cell[name]


@dataclass(frozen=True)
class Claim:
    """One claim as an experiment.

    Attributes
    ----------
    number : int
        In the design's list.
    name : str
    sentence, source : str
        The claim, and where it is made.
    varies, measures : str
        In words.
    seconds : int
        What the quick size takes on one core, with its own number of seeds.
    cells : callable
        From the size to what is varied: one dict a row and seed.
    measure : callable
        From a task to its row's numbers. Lists are curves, ``steps`` their abscissa.
    judge : callable
        From all rows to what the claim asks of them.
    draw : callable
        From all rows to a figure.
    columns : tuple of str
        The measured columns of the table.
    on_pictures : bool
        Whether every cell is measured on each picture.
    lessons : mapping of str to str
        A clause for the report's answer, by verdict.
    """

    number: int
    name: str
    sentence: str
    source: str
    varies: str
    measures: str
    seconds: int
    cells: Callable[[Size], list[Cell]]
    measure: Callable[[Task], Row]
    judge: Callable[[Sequence[Row]], list[Condition]]
    draw: Callable[[Sequence[Row]], Figure]
    columns: tuple[str, ...]
    on_pictures: bool = True
    lessons: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.number:02d}-{self.name}"


def crossed(**varied: Sequence[Any]) -> list[Cell]:
    """All combinations of the values."""
    cells: list[Cell] = [{}]
    for name, values in varied.items():
        cells = [{**cell, name: value} for cell in cells for value in values]
    return cells
