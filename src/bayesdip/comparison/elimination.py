"""Successive elimination: candidates that are clearly worse drop out after a round, so that time goes where it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from bayesdip.comparison.candidates import Candidate
from bayesdip.comparison.cost import Cost, measured
from bayesdip.comparison.scoring import Floats, Score, bootstrap_weights, clearly_behind, decibels_behind
from bayesdip.comparison.setup import Setup
from bayesdip.comparison.splits import Split, split
from bayesdip.errors import BayesDipError
from bayesdip.snapshot import clock

# Relative standard error of an estimated noise level: 2% at worst in `python -m benchmarks sigma`, and more on
# small pictures.
SIGMA_ERROR = 0.03


@dataclass
class Evaluation:
    """One candidate, and what came of it.

    Attributes
    ----------
    candidate : Candidate
    score : Score
    why : str
        Why it does not apply; empty as long as it does.
    restored : Tensor or None
        From all the data, (C, M, N), in working units; from a split of them as long as there is none.
    cost : Cost
        Of that restoration.
    """

    candidate: Candidate
    score: Score = field(default_factory=Score)
    why: str = ""
    restored: Tensor | None = None
    cost: Cost = field(default_factory=Cost)


def eliminate(
    setup: Setup,
    candidates: list[Candidate],
    estimator: str,
    rounds: int,
    seed: int,
    log: Callable[[str], None],
) -> tuple[list[Evaluation], Floats, bool]:
    """Evaluate all on up to ``rounds`` splits of the data, and then restore the picture from all the data.

    Returns
    -------
    list of Evaluation
        Best first; those that do not apply last.
    ndarray, shape (samples, blocks)
        The bootstrap's weights, which are the same for all candidates.
    bool
        Whether it was interrupted: then the ranking is by what was done until then.

    Raises
    ------
    BayesDipError
        No candidate applies.
    KeyboardInterrupt
        It was interrupted before any candidate had a score.
    """
    evaluations = [Evaluation(candidate, _score(setup)) for candidate in candidates]
    interrupted = False
    try:
        _evaluate(setup, evaluations, estimator, rounds, seed, log)
    except KeyboardInterrupt:
        interrupted = True
        _without_score(evaluations)
        if all(evaluation.why for evaluation in evaluations):
            raise
    applied = [evaluation for evaluation in evaluations if not evaluation.why]
    if not applied:
        reasons = "; ".join(f"{e.candidate.name}: {e.why}" for e in evaluations)
        raise BayesDipError(f"no method applies: {reasons or 'none was named'}")
    weights = bootstrap_weights(len(applied[0].score.sums[0]), seed)
    return ranked(evaluations, weights), weights, interrupted


def _evaluate(
    setup: Setup,
    evaluations: list[Evaluation],
    estimator: str,
    rounds: int,
    seed: int,
    log: Callable[[str], None],
) -> None:
    left, weights = list(evaluations), None
    for number in range(rounds):
        current = split(estimator, setup.problem, seed + number)
        for evaluation in left:
            log(f"{evaluation.candidate.name}: round {number + 1} of at most {rounds}")
            with _noting_refusal(evaluation):
                _judge(evaluation, current)
        left = [evaluation for evaluation in left if not evaluation.why]
        if not left:
            break
        if weights is None:
            weights = bootstrap_weights(len(left[0].score.sums[0]), seed)
        left = undecided(left, weights)
        if len(left) == 1:
            break
        if number == 0 and rounds > 1:
            most = sum((rounds - 1) * e.cost.seconds for e in left) + _once(evaluations)
            log(
                f"estimate: from {clock(_once(evaluations))} to {clock(most)} more; Ctrl-C ranks by what is done"
            )
    for evaluation in evaluations:
        if not evaluation.why:
            log(f"{evaluation.candidate.name}: all the data")
            with _noting_refusal(evaluation), measured() as cost:
                evaluation.restored = evaluation.candidate.restore(setup.problem)
            evaluation.cost = cost


def _once(evaluations: list[Evaluation]) -> float:
    """Seconds to restore the picture by all that apply."""
    return sum(e.cost.seconds for e in evaluations if not e.why)


def _without_score(evaluations: list[Evaluation]) -> None:
    """Those that an interruption left without one do not take part."""
    for evaluation in evaluations:
        if not evaluation.why and not evaluation.score.rounds:
            evaluation.why = "the comparison was interrupted before its first round ended"


def undecided(evaluations: list[Evaluation], weights: Floats) -> list[Evaluation]:
    """The best so far and those not clearly behind it; all have done the same rounds."""
    best = min(evaluations, key=lambda e: e.score.mean())
    return [e for e in evaluations if not clearly_behind(e.score, best.score, weights)]


def ranked(evaluations: list[Evaluation], weights: Floats) -> list[Evaluation]:
    """Best first, by decibels behind the best over the rounds that both did; those that do not apply last."""
    applied = [e for e in evaluations if not e.why]
    most = max(e.score.rounds for e in applied)
    best = min((e for e in applied if e.score.rounds == most), key=lambda e: e.score.mean())
    rest = [e for e in applied if e is not best]
    rest.sort(key=lambda e: decibels_behind(e.score, best.score, weights).value)
    return [best, *rest, *(e for e in evaluations if e.why)]


def _score(setup: Setup) -> Score:
    problem = setup.problem
    noise = float(problem.noise.variance(problem.y, problem.operator.observed).mean())
    return Score(noise=noise, noise_error=2 * SIGMA_ERROR if setup.sigma_estimated else 0.0)


def _judge(evaluation: Evaluation, current: Split) -> None:
    """Score one split; the first one also chooses a baseline's parameter."""
    candidate = evaluation.candidate
    first = evaluation.score.rounds == 0
    with measured() as cost:
        restored = candidate.tune(current.training, current.error) if first else None
        if restored is None:
            restored = candidate.restore(current.training)
    evaluation.cost = cost
    evaluation.score.add(*current.squared_errors(restored))
    evaluation.restored = restored


@contextmanager
def _noting_refusal(evaluation: Evaluation) -> Iterator[None]:
    """If the method refuses, note why: it does not apply, and the others go on."""
    try:
        yield
    except BayesDipError as error:
        evaluation.why = str(error)
    except MemoryError:
        evaluation.why = "the memory ran out"
