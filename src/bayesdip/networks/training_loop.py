"""The training loop, which drives a stepper: time, trace, callback, and rollback after a divergence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped
from bayesdip.networks.steppers import Stepper, Target
from bayesdip.networks.thread_pool import ThreadTrial
from bayesdip.problem import digest
from bayesdip.progress import Progress
from bayesdip.result import Trace
from bayesdip.resuming import Stage, give_back, next_stage, state_of

# Steps between two evaluations of the fit: few enough to notice a divergence early, many enough for reading a number back from a
# GPU to cost nothing.
EVALUATE_EVERY = 10
# The fit over that of the last good evaluation (or over 1, if that was below) from which on it has diverged; and how often a run
# goes back to that evaluation before it gives up.
DIVERGED = 2.0
MOST_ROLLBACKS = 20
# What the trace has of every evaluation.
TRACED = ("step", "seconds", "fit", "energy", "sampling")


@dataclass
class TrainingLoop:
    """One run over the steps ``0 .. steps``, in phases that may use different steppers.

    Attributes
    ----------
    target : Energy or EnsembleEnergy
        What the steppers move.
    progress : Progress
        Of the present part of the run.
    steps : int
        Of the whole run.
    best_picture : callable
        Gives the best picture so far, (C, *grid), or None before there is one.
    step, rollbacks : int
        So far.
    span : (float, float)
        The shares of the run at which the present part begins and ends.
    trace : dict of list of float
        What is noted at every evaluation, by the names in `TRACED`.
    listeners : tuple of object, or None
        What changes with the pictures, so that checkpoints have it too. None: there are no checkpoints.
    ended : bool
        Whether its own condition ended the latest phase.
    trial : ThreadTrial or None
        How many threads the steps take, where there is a time budget: the first steps of the run tell. Without one, a seed
        repeats a run to the bit, and all steps have the same threads.
    spread : callable or None
        Gives the standard deviation of the samples so far, or None before there are two.
    """

    target: Target
    progress: Progress
    steps: int
    best_picture: Callable[[], Tensor | None]
    step: int = 0
    rollbacks: int = 0
    span: tuple[float, float] = (0.0, 1.0)
    trace: Trace = field(default_factory=lambda: {key: [] for key in TRACED})
    listeners: tuple[Any, ...] | None = None
    ended: bool = False
    trial: ThreadTrial | None = None
    spread: Callable[[], Tensor | None] | None = None
    _good: tuple[float, Any] | None = None
    _pace: float = 0.0

    def __post_init__(self) -> None:
        on_cpu = self.target.latent.device.type == "cpu"
        if self.trial is None and on_cpu and self.progress.time_left is not None:
            self.trial = ThreadTrial()

    @property
    def share(self) -> float:
        """How much of the run is done, 0 to 1: by steps, or by the part's time budget where that is further."""
        begin, end = self.span
        spent = begin + (end - begin) * self.progress.budget_spent()
        return max(self.step / self.steps, spent)

    def advance(
        self,
        stepper: Stepper,
        until: float,
        phase: str,
        on_picture: Callable[[Tensor], None],
        ended: Callable[[Sequence[float]], bool] = lambda fits: False,
    ) -> None:
        """One phase of the run: step until a share of the run is done, or the progress says stop.

        No step begins that would not end within the time budget, at the pace of the one before. The first phase takes at least one step: the set-up may have used all of its time.

        Parameters
        ----------
        stepper : Stepper
        until : float
            Share of the run at which the phase ends.
        phase : str
            Its name, for the callback.
        on_picture : callable
            Gets the picture of every step but those that are rolled back.
        ended : callable
            Given the fits at all evaluations of this phase, whether it may end earlier.

        Raises
        ------
        BayesDipError
            The fit diverged more than `MOST_ROLLBACKS` times.
        """
        self._good = None
        if self.progress.should_stop():
            return
        self.ended = False
        if self.listeners is None:
            self._advance(self._phase(stepper, None), until, phase, on_picture, ended)
            return
        with next_stage(f"{phase} {digest(self.target.problem)}", self.progress) as stage:
            run = self._phase(stepper, stage)
            if not run.take_up():
                self._advance(run, until, phase, on_picture, ended)
                run.keep_end()

    def _phase(self, stepper: Stepper, stage: Stage | None) -> _Phase:
        evaluations = len(self.trace["fit"])
        return _Phase(self, stepper, stage, evaluations, evaluations)

    def _advance(
        self,
        run: _Phase,
        until: float,
        phase: str,
        on_picture: Callable[[Tensor], None],
        ended: Callable[[Sequence[float]], bool],
    ) -> None:
        stepper = run.stepper
        while not self.progress.should_stop() and (self.share < until or self.step == 0):
            if len(self.trace["fit"]) > run.evaluated:
                run.evaluated = len(self.trace["fit"])
                self.ended = ended(self.trace["fit"][run.begin :])
                if self.ended:
                    return
            if not self.progress.ends_within(self._pace):
                return
            run.keep_if_due()
            began = self.progress.elapsed
            drawn = None if run.stage is None else stepper.generator.get_state()
            try:
                with nullcontext() if self.trial is None else self.trial.step():
                    picture = stepper.step()
            except Stopped:
                if drawn is not None:
                    stepper.generator.set_state(drawn)  # as if the step had not begun
                return
            self._pace = self.progress.elapsed - began
            self.step += 1
            if self.step % EVALUATE_EVERY == 0 or self._good is None:
                fit = self.target.fit(picture)
                if self._has_diverged(fit):
                    self._roll_back(stepper)
                    continue
                self._good = (fit, stepper.snapshot())
                self._note(phase, fit, stepper.energy(picture), picture)
            on_picture(picture)

    def _has_diverged(self, fit: float) -> bool:
        if not math.isfinite(fit):
            return True
        return self._good is not None and fit > DIVERGED * max(self._good[0], 1.0)

    def _roll_back(self, stepper: Stepper) -> None:
        self.rollbacks += 1
        if self._good is None or self.rollbacks > MOST_ROLLBACKS:
            raise BayesDipError(
                f"the fit diverged {self.rollbacks} times: expected a finite fit; "
                "check the noise level, or use method='gp'"
            )
        stepper.rewind(self._good[1])

    def _note(self, phase: str, fit: float, energy: float, picture: Tensor) -> None:
        elapsed = self.progress.elapsed
        for key, value in (
            ("step", self.step),
            ("seconds", elapsed),
            ("fit", fit),
            ("energy", energy),
            ("sampling", float(phase == "sampling")),
        ):
            self.trace[key].append(value)
        begin, end = self.span
        done = (self.share - begin) / (end - begin)
        sampled = phase == "sampling" and self.spread is not None
        self.progress.advance(
            done,
            phase,
            step=self.step,
            steps=self.steps,
            fit=fit,
            mean=self._picture_so_far,
            upper=self._upper if sampled else None,
            sample=(lambda: one_of(picture, self._picture_so_far())) if sampled else None,
        )

    def _upper(self) -> Tensor:
        """The picture so far plus its standard deviation, which is 0 until there are two samples."""
        std = None if self.spread is None else self.spread()
        return self._picture_so_far() + (0 if std is None else std)

    def _picture_so_far(self) -> Tensor:
        """Computed only when a callback asks for it."""
        return picture_or_raise(self.best_picture())


def one_of(pictures: Tensor, like: Tensor) -> Tensor:
    """The first of the pictures, one for each chain, in the shape of one."""
    return pictures.detach().reshape(-1, *like.shape)[0]


@dataclass
class _Phase:
    """One phase of a loop, and its checkpoints.

    Attributes
    ----------
    begin, evaluated : int
        Evaluations before the phase, and those that were told to its end's condition.
    """

    loop: TrainingLoop
    stepper: Stepper
    stage: Stage | None
    begin: int
    evaluated: int

    def take_up(self) -> bool:
        """Go on from the latest checkpoint; whether the phase is done by it."""
        if self.stage is None:
            return False
        loop = self.loop
        found = self.stage.load(device=loop.target.latent.device.type)
        if found is None:
            return False
        state, done = found
        give_back(self._changing, state["changing"])
        loop.step, loop.rollbacks, loop._good = state["step"], state["rollbacks"], state["good"]
        loop.ended = state["ended"]
        loop.trace.update(state["trace"])
        self.begin, self.evaluated = state["begin"], state["evaluated"]
        loop.progress.stop_reason = loop.progress.stop_reason or state["stop_reason"]
        return done

    def keep_if_due(self) -> None:
        if self.stage is not None and self.stage.is_due:
            self._keep(done=False)

    def keep_end(self) -> None:
        """Keep the end of the phase. One that was interrupted is not done; one whose time is spent is."""
        if self.stage is not None:
            self._keep(done=self.loop.progress.stop_reason != "interrupted")

    def _keep(self, done: bool) -> None:
        assert self.stage is not None
        loop = self.loop
        reason = loop.progress.stop_reason
        state = {
            "changing": state_of(self._changing),
            "step": loop.step,
            "rollbacks": loop.rollbacks,
            "ended": loop.ended,
            "good": loop._good,
            "trace": loop.trace,
            "begin": self.begin,
            "evaluated": self.evaluated,
            "stop_reason": "" if reason == "interrupted" else reason,
        }
        self.stage.keep(state, done=done)

    @property
    def _changing(self) -> tuple[Any, ...]:
        """Besides weights, a network of one's own may change its buffers."""
        return self.stepper, self.loop.listeners, list(self.loop.target.network.buffers())


def picture_or_raise(picture: Tensor | None, reason: str = "") -> Tensor:
    """The picture, if there is one.

    Parameters
    ----------
    picture : Tensor or None
    reason : str
        Why the run was stopped; empty if it was not.

    Returns
    -------
    Tensor

    Raises
    ------
    NoResultError
        There is none.
    """
    if picture is None:
        stopped = (
            f"the run was stopped ({reason}) before its first picture"
            if reason
            else "there is no picture yet"
        )
        raise NoResultError(f"{stopped}: expected a few steps at least; give it more time", reason)
    return picture
