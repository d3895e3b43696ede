"""What a comparison found: the ranking, what it says, and how it looks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bayesdip.comparison import words
from bayesdip.comparison.elimination import Runner
from bayesdip.comparison.quality import Quality, kendall, quality
from bayesdip.comparison.scoring import Floats, Interval, clearly_behind, decibels_behind, mean_error
from bayesdip.comparison.setup import Setup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Entry:
    """One method in the ranking.

    Attributes
    ----------
    name : str
    ours : bool
    setting : str
        The parameter that was chosen, or the effort.
    restored : ndarray or None
        From all the data, in the given picture's type, layout and scale.
    rmse : Interval or None
        Estimated root mean squared error in the picture's own scale, with its 95% confidence interval.
    behind : Interval or None
        By how many dB its squared error is above that of the best, with its 95% confidence interval.
    tied : bool
        Whether it cannot be told apart from the best: the 95% interval of the difference in squared error
        holds zero.
    rounds : int
        Trials it took part in.
    seconds, memory : float, int
        Of one restoration; bytes.
    quality : Quality or None
        Against the truth, where that was given.
    why : str
        Why it does not apply; empty where it does.
    """

    name: str
    ours: bool
    setting: str = ""
    restored: Array | None = None
    rmse: Interval | None = None
    behind: Interval | None = None
    tied: bool = False
    rounds: int = 0
    seconds: float = 0.0
    memory: int = 0
    quality: Quality | None = None
    why: str = ""

    def summary(self) -> dict[str, Any]:
        """Plain JSON values, without the picture."""
        facts = {k: v for k, v in self.__dict__.items() if k != "restored"}
        for name in ("rmse", "behind", "quality"):
            facts[name] = None if facts[name] is None else asdict(facts[name])
        return facts


@dataclass(frozen=True)
class Agreement:
    """How good the blind ranking was.

    Attributes
    ----------
    best : str
        The method with the best true PSNR.
    loss : float
        By how many dB of true PSNR the blind choice is worse than that.
    kendall : float
        Rank correlation of the blind and the true order, -1 to 1.
    """

    best: str
    loss: float
    kendall: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The ranking of one picture's restorations.

    Attributes
    ----------
    setup : Setup
    entries : tuple of Entry
        Best first; those that do not apply last.
    estimator : {"recorruption", "held-out"}
    seconds : float
        Wall time of everything.
    """

    setup: Setup
    entries: tuple[Entry, ...]
    estimator: str
    seconds: float

    @property
    def best(self) -> Entry:
        return self.entries[0]

    @property
    def applied(self) -> tuple[Entry, ...]:
        """The entries without those that do not apply."""
        return tuple(entry for entry in self.entries if not entry.why)

    @property
    def agreement(self) -> Agreement | None:
        """Of the blind ranking with the true one; None without a truth."""
        judged = [(e, e.quality.psnr) for e in self.applied if e.quality is not None]
        if not judged:
            return None
        true_best, most = max(judged, key=lambda pair: pair[1])
        blind = [-float(place) for place in range(len(judged))]
        return Agreement(true_best.name, most - judged[0][1], kendall(blind, [p for _, p in judged]))

    @property
    def sentence(self) -> str:
        """What to use, and by how much."""
        return words.sentence(self)

    def table(self) -> str:
        """The ranking in columns of text."""
        return words.table(self)

    def figure(self) -> Figure:
        """All restorations and a crop of each (matplotlib)."""
        from bayesdip.comparison.figure import grid_figure

        return grid_figure(self)

    def summary(self) -> dict[str, Any]:
        """Plain JSON values, without the pictures."""
        setup = self.setup
        return {
            "task": setup.task,
            "shape": list(setup.given.shape),
            "sigma": list(setup.sigma),
            "sigma_estimated": setup.sigma_estimated,
            "peak": setup.peak,
            "estimator": self.estimator,
            "best": self.best.name,
            "sentence": self.sentence,
            "methods": [entry.summary() for entry in self.entries],
            "agreement": None if self.agreement is None else asdict(self.agreement),
            "seconds": round(self.seconds, 3),
        }


def conclude(
    setup: Setup, runners: list[Runner], weights: Floats, estimator: str, seconds: float
) -> Comparison:
    """From what the race gave, best first, to what is told of it."""
    entries = tuple(_entry(setup, runner, runners[0], weights) for runner in runners)
    return Comparison(setup, entries, estimator, seconds)


def _entry(setup: Setup, runner: Runner, best: Runner, weights: Floats) -> Entry:
    contender = runner.contender
    if runner.why or runner.restored is None:
        return Entry(contender.name, contender.ours, why=runner.why)
    restored = setup.to_own(runner.restored)
    axis = setup.layout.channel_axis
    error = mean_error(runner.score, weights)
    return Entry(
        contender.name,
        contender.ours,
        contender.setting,
        restored,
        Interval(*(setup.units.scale * sqrt(max(v, 0.0)) for v in (error.value, error.low, error.high))),
        decibels_behind(runner.score, best.score, weights),
        not clearly_behind(runner.score, best.score, weights),
        runner.score.rounds,
        runner.seconds,
        runner.memory,
        None if setup.truth is None else quality(restored, setup.truth, setup.peak, axis),
    )
