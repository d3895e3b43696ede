"""Rounds of trials: who is clearly behind drops out, so that time goes where the answer is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from bayesdip.comparison.candidates import Contender
from bayesdip.comparison.scoring import Floats, Score, bootstrap_weights, clearly_behind, decibels_behind
from bayesdip.comparison.setup import Setup
from bayesdip.comparison.splits import Trial, trial
from bayesdip.errors import BayesDipError

Tell = Callable[[str], None]
# Relative error of an estimated noise level; 2% at worst in `bayesdip bench sigma`, more on small pictures.
SIGMA_DOUBT = 0.03
# How often memory is looked at while a method runs (seconds).
MEMORY_EVERY = 0.01


@dataclass
class Runner:
    """One who takes part, and what came of it.

    Attributes
    ----------
    contender : Contender
    score : Score
    why : str
        Why it does not apply; empty as long as it does.
    restored : Tensor or None
        From all the data, (C, M, N), in working units.
    seconds, memory : float, int
        Of that restoration; bytes by which the process grew meanwhile.
    """

    contender: Contender
    score: Score = field(default_factory=Score)
    why: str = ""
    restored: Tensor | None = None
    seconds: float = 0.0
    memory: int = 0


def race(
    setup: Setup, contenders: list[Contender], estimator: str, rounds: int, seed: int, tell: Tell
) -> tuple[list[Runner], Floats]:
    """Let all restore the picture, in up to ``rounds`` trials and then from all the data.

    Gives the runners, best first and those that do not apply last, and the weights of the
    bootstrap over blocks, which are the same for all.
    """
    runners = [Runner(contender, _score(setup)) for contender in contenders]
    still, weights = list(runners), None
    for number in range(rounds):
        current = trial(estimator, setup.problem, seed + number)
        for runner in still:
            tell(f"{runner.contender.name}: round {number + 1} of at most {rounds}")
            attempt(runner, partial(judge, current=current))
        still = [runner for runner in still if not runner.why]
        if not still:
            break
        if weights is None:
            weights = bootstrap_weights(len(still[0].score.sums[0]), seed)
        still = undecided(still, weights)
        if len(still) == 1:
            break
    for runner in runners:
        if not runner.why:
            tell(f"{runner.contender.name}: all the data")
            attempt(runner, partial(finish, setup=setup))
    if weights is None or all(runner.why for runner in runners):
        raise BayesDipError(
            "no method applies: " + "; ".join(f"{r.contender.name}: {r.why}" for r in runners)
        )
    return ranked(runners, weights), weights


def _score(setup: Setup) -> Score:
    seen = setup.problem
    noise = float(seen.noise.variance(seen.y, seen.operator.observed).mean())
    return Score(noise=noise, doubt=2 * SIGMA_DOUBT if setup.sigma_estimated else 0.0)


def judge(runner: Runner, current: Trial) -> None:
    """One trial; the first one also chooses a baseline's parameter."""
    restored = None
    if runner.score.rounds == 0:
        restored = runner.contender.tune(current.seen, current.error)
    if restored is None:
        restored = runner.contender.restore(current.seen)
    runner.score.add(*current.losses(restored))


def finish(runner: Runner, setup: Setup) -> None:
    with measured() as cost:
        runner.restored = runner.contender.restore(setup.problem)
    runner.seconds, runner.memory = cost.seconds, cost.memory


def attempt(runner: Runner, work: Callable[[Runner], None]) -> None:
    """Do it; if the method refuses, note why, and it does not apply."""
    try:
        work(runner)
    except BayesDipError as error:
        runner.why = str(error)
    except MemoryError:
        runner.why = "the memory ran out"


def undecided(runners: list[Runner], weights: Floats) -> list[Runner]:
    """The best so far and those not clearly behind it; all have done the same rounds."""
    best = min(runners, key=lambda r: r.score.mean())
    return [r for r in runners if not clearly_behind(r.score, best.score, weights)]


def ranked(runners: list[Runner], weights: Floats) -> list[Runner]:
    """Best first, by decibels behind the best over the rounds that both did."""
    applied = [r for r in runners if not r.why]
    most = max(r.score.rounds for r in applied)
    best = min((r for r in applied if r.score.rounds == most), key=lambda r: r.score.mean())
    rest = sorted(
        (r for r in applied if r is not best),
        key=lambda r: decibels_behind(r.score, best.score, weights).value,
    )
    return [best, *rest, *(r for r in runners if r.why)]


@dataclass
class Cost:
    """Seconds, and bytes by which the process (or what is held on the GPU) grew at most."""

    seconds: float = 0.0
    memory: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what happens inside; memory is looked at every 10 ms, so short peaks may be missed."""
    import psutil
    import torch

    process, done, cost = psutil.Process(), threading.Event(), Cost()
    before = highest = process.memory_info().rss
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()

    def watch() -> None:
        nonlocal highest
        while not done.wait(MEMORY_EVERY):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        cost.memory = max(highest - before, 0) + on_gpu
