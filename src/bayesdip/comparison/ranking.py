"""The result of a comparison: the ranking, in numbers, words and pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bayesdip.comparison import text
from bayesdip.comparison.answer import answer
from bayesdip.comparison.elimination import Evaluation
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
        Whether it is a method of this package, or a user's own of its kind.
    setting : str
        The parameter that was chosen, or the effort and what else is not a default.
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
        Splits of the data that it was evaluated on.
    seconds, memory : float, int
        Of one restoration from all the data; bytes by which the process grew.
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
    """How well the ranking agrees with that by the truth.

    Attributes
    ----------
    best : str
        The method with the best true PSNR.
    loss : float
        By how many dB of true PSNR the method that was ranked best is worse than that.
    kendall : float
        Rank correlation of the two orders, -1 to 1; NaN for a single method.
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
    interrupted : bool
        Whether it was ended before its time; pictures may then be restored from a split of the data.
    """

    setup: Setup
    entries: tuple[Entry, ...]
    estimator: str
    seconds: float
    interrupted: bool = False

    @property
    def best(self) -> Entry:
        """The first entry."""
        return self.entries[0]

    @property
    def applied(self) -> tuple[Entry, ...]:
        """The entries without those that do not apply."""
        return tuple(entry for entry in self.entries if not entry.why)

    @property
    def agreement(self) -> Agreement | None:
        """Of the ranking with the true one; None without a truth."""
        judged = [(e, e.quality.psnr) for e in self.applied if e.quality is not None]
        if not judged:
            return None
        true_best, most = max(judged, key=lambda pair: pair[1])
        order = [-float(place) for place in range(len(judged))]
        return Agreement(true_best.name, most - judged[0][1], kendall(order, [p for _, p in judged]))

    @property
    def sentence(self) -> str:
        """What to use, and by how much."""
        return text.sentence(self)

    @property
    def answer(self) -> str:
        """Whether a deep image prior pays, for this picture and for its task."""
        return answer(self)

    def table(self) -> str:
        """The ranking in columns of text.

        Returns
        -------
        str
            Several lines.
        """
        return text.table(self)

    def figure(self) -> Figure:
        """All restorations and a crop of each.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from bayesdip.comparison.figure import comparison_figure

        return comparison_figure(self)

    def summary(self) -> dict[str, Any]:
        """The comparison without its pictures.

        Returns
        -------
        dict
            Plain JSON values.
        """
        setup = self.setup
        return {
            "task": setup.task,
            "shape": list(setup.given.shape),
            "noise": setup.inputs.noise.describe(),
            "sigma": None if setup.sigma is None else list(setup.sigma),
            "sigma_estimated": setup.sigma_estimated,
            "peak": setup.peak,
            "estimator": self.estimator,
            "best": self.best.name,
            "sentence": self.sentence,
            "answer": self.answer,
            "methods": [entry.summary() for entry in self.entries],
            "agreement": None if self.agreement is None else asdict(self.agreement),
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
        }


def conclude(
    setup: Setup,
    evaluations: list[Evaluation],
    weights: Floats,
    estimator: str,
    seconds: float,
    interrupted: bool,
) -> Comparison:
    """The comparison from the evaluations, best first, and the bootstrap's weights."""
    entries = tuple(_entry(setup, evaluation, evaluations[0], weights) for evaluation in evaluations)
    return Comparison(setup, entries, estimator, seconds, interrupted)


def _entry(setup: Setup, evaluation: Evaluation, best: Evaluation, weights: Floats) -> Entry:
    candidate, score = evaluation.candidate, evaluation.score
    if evaluation.why or evaluation.restored is None:
        return Entry(candidate.name, candidate.ours, why=evaluation.why)
    restored = setup.to_user(evaluation.restored)
    error, scale = mean_error(score, weights), setup.problem.units.scale
    judged = None
    if setup.truth is not None:
        judged = quality(restored, setup.truth, setup.peak, setup.channel_axis)
    return Entry(
        candidate.name,
        candidate.ours,
        candidate.setting,
        restored,
        rmse=Interval(*(scale * sqrt(max(v, 0.0)) for v in (error.value, error.low, error.high))),
        behind=decibels_behind(score, best.score, weights),
        tied=not clearly_behind(score, best.score, weights),
        rounds=score.rounds,
        seconds=evaluation.cost.seconds,
        memory=evaluation.cost.memory,
        quality=judged,
    )
