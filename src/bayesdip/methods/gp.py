"""``method="gp"``: the posterior of the infinitely wide network, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bayesdip import arch, kernels
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import FIGURE6
from bayesdip.errors import BayesDipError
from bayesdip.gp.conditioned import Conditioned, condition
from bayesdip.gp.families import FAMILIES, ISOTROPIC
from bayesdip.gp.learning import choose
from bayesdip.interruption import Stopped, stoppable
from bayesdip.kernels.kernel import Kernel
from bayesdip.memory import available_memory, check_memory
from bayesdip.methods.method import Method, at_least
from bayesdip.noise import Noise
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior, Trace
from bayesdip.tiling import Mosaic, Tile, can_be_cut, cut, tiles

# By effort: draws from which the standard deviation is estimated, and the relative residual of a solve.
DRAWS = {"fast": 8, "balanced": 12, "best": 128}
TOLERANCE = {"fast": 1e-3, "balanced": 1e-3, "best": 1e-5}
MOST_ITERATIONS = 2000
# The most that learning a kernel takes of a time budget.
LEARNING_SHARE = 0.5
# Of the work with held-out entries, the share of the solve without them and of its draws.
FIRST_SHARE = 0.7
# Bytes: an upper bound of what the resident memory grows by, measured from 256x256 to 1024x1024 pixels; in any
# case, for each value of the picture, and for each value of each sample.
BYTES, BYTES_OF_A_VALUE, BYTES_OF_A_SAMPLE = 120 * 2**20, 280, 12
# Share of a time budget that the choice of a kernel may take.
HALF = 0.5
# Fewer observed values than this do not tell a network's kernel from one of the distance alone.
FEW_DATA = 1000
# Side of the tiles of a picture that does not fit in memory whole, and how far they overlap, in pixels: farther
# than the default kernel reaches.
TILE, MARGIN = 512, 48


@dataclass(frozen=True, kw_only=True)
class GP(Method):
    """Gaussian process: the network's infinite-width limit, or any stationary kernel, in closed form.

    Parameters
    ----------
    kernel : Kernel, str or None
        A kernel, the name of one (``"matern32"``, ``"rbf"``, ...), or ``"auto"`` for the one with the largest
        evidence. None takes the architecture's own.
    arch : Architecture, str or None
        The network whose kernel is used; None for that of Cheng et al. 2019, figure 6.
    draws : int or None
        Posterior draws behind the standard deviation: 0 leaves it out, else at least 2; None goes by the effort.
    samples : int
        Posterior samples to keep. They are most of the work, so by default none are.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    kernel: Kernel | str | None = None
    arch: Architecture | str | None = None
    draws: int | None = None
    samples: int = 0

    name: ClassVar[str] = "gp"
    summary: ClassVar[str] = "the posterior of a Gaussian process, in closed form"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("samples", self.samples, 0)
        if self.draws is not None and (self.draws < 0 or self.draws == 1):
            raise BayesDipError(f"draws is {self.draws}: expected 0, or at least 2 for a standard deviation")

    def check(self, problem: Problem) -> None:
        """A Gaussian process takes linear operators alone."""
        if not problem.operator.is_linear:
            raise BayesDipError(
                f"method 'gp' was given {problem.operator!r}, which is not linear: expected a linear operator; use "
                "method='sgld' or 'map'"
            )

    def resolved(self, problem: Problem) -> Self:
        network = arch.named(self.arch) if isinstance(self.arch, str) else (self.arch or FIGURE6)
        kernel = self.kernel
        if isinstance(kernel, str) and kernel != "auto":
            kernel = kernels.named(kernel)
        draws = DRAWS[self.effort] if self.draws is None else self.draws
        return replace(super().resolved(problem), arch=network, kernel=kernel, draws=draws)

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        """Mean by one solve, standard deviation by solves for draws (Matheron's rule)."""
        model = self._model(problem, progress)
        cover = self._tiles(problem, progress)
        if len(cover) > 1:
            return self._in_tiles(problem, model, cover, progress)
        held_out = None if problem.whole is problem else problem.hidden
        run = _Run(progress, (0.0, FIRST_SHARE if held_out is not None else 1.0), TOLERANCE[self.effort])
        conditioned = self._conditioned(problem.whole, model, run, held_out)
        generator = torch.Generator(self.device).manual_seed(self.seed)
        assert self.draws is not None
        if held_out is None:
            found = conditioned.posterior(self.samples, self.draws, generator)
            return _told(found, run, model)
        found = conditioned.without_held_out(self.draws, generator)
        state = (conditioned, found, generator, run, model)
        return replace(_told(found, run, model), state=state)

    def updates(self, problem: Problem) -> bool:
        return True

    def update(self, problem: Problem, posterior: Posterior, progress: Progress) -> Posterior | None:
        if progress.should_stop():
            return None
        if posterior.state is None:  # in tiles
            found = self.fit(replace(problem, held_out=None), progress)
            return None if progress.should_stop() else found
        conditioned, first, generator, run, model = posterior.state
        run.share = (FIRST_SHARE, 1.0)
        found = conditioned.posterior(self.samples, self.draws, generator, before=first)
        if progress.should_stop():
            return None
        return _told(found, run, model)

    def _model(self, problem: Problem, progress: Progress) -> _Model:
        """The kernel that was asked for: the architecture's own, a given one, or with ``"auto"`` the likeliest.

        Learning that takes more than half of the time budget is given up for the architecture's own.
        """
        network = self.arch
        assert isinstance(network, Architecture)
        if self.kernel == "auto":
            try:
                with stoppable(progress.part(time_share=LEARNING_SHARE).should_stop):
                    choice = choose(problem.y, problem.operator, problem.noise, candidates_for(problem))
            except Stopped:
                why = "learning a kernel took more than half of the time budget"
                own = network.kernel(dims=len(problem.grid))
                return _Model(own, problem.noise, facts={"kernel": network.name, "why": why})
            best = choice.best
            facts: dict[str, Any] = {
                "kernel": best.name,
                "parameters": dict(best.parameters),
                "why": choice.why,
            }
            return _Model(best.kernel, best.noise, best.colour.to(self.device), facts)
        if isinstance(self.kernel, Kernel):
            return _Model(self.kernel, problem.noise)
        return _Model(network.kernel(dims=len(problem.grid)), problem.noise)

    def _conditioned(
        self, problem: Problem, model: _Model, run: _Run, held_out: Tensor | None = None, **known: Any
    ) -> Conditioned:
        return condition(
            problem.y.to(self.device),
            problem.operator,
            model.kernel,
            model.noise,
            held_out=held_out,
            tol=TOLERANCE[self.effort],
            max_iterations=MOST_ITERATIONS,
            stop=run.watch,
            **({"colour": model.colour} | known),
        )

    def _tiles(self, problem: Problem, progress: Progress) -> list[Tile]:
        """One tile of all of it where that fits in memory.

        Raises
        ------
        ResourceError
            It fits in memory neither whole nor in tiles.
        """
        values = problem.channels * prod(problem.grid)
        whole = needed = BYTES + values * (BYTES_OF_A_VALUE + BYTES_OF_A_SAMPLE * self.samples)
        cover: list[Tile] = [tuple(slice(0, n) for n in problem.grid)]
        if whole > available_memory(self.device) and can_be_cut(problem):
            cover = tiles(problem.grid, TILE, MARGIN)
            largest = problem.channels * prod(min(n, TILE + 2 * MARGIN) for n in problem.grid)
            needed = BYTES + largest * BYTES_OF_A_VALUE + 64 * values
        what = f"the Gaussian process on {' x '.join(map(str, problem.grid))} pixels"
        check_memory(needed, self.device, what, "use fewer samples, or a smaller picture")
        progress.memory = needed
        return cover

    def _in_tiles(self, problem: Problem, model: _Model, cover: list[Tile], progress: Progress) -> Posterior:
        """Tile by tile. The channels' means are those of all data, their covariance that of the tile with the most."""
        seen, y = problem.observed, problem.y
        mean = torch.where(seen, y, 0.0).flatten(1).sum(1) / seen.flatten(1).sum(1)
        richest = max(cover, key=lambda tile: int(seen[(slice(None), *tile)].flatten(1).sum(1).min()))
        assert self.draws is not None
        quick = _Run(progress, (0.0, 0.0), TOLERANCE[self.effort])
        learnt = self._conditioned(cut(problem, richest), model, quick, mean=mean).posterior()
        known = {"mean": mean, "colour": torch.tensor(learnt.info["colour"], dtype=torch.float64)}
        flat = Posterior(mean.reshape(-1, *[1] * len(problem.grid)).expand(y.shape))
        mosaic = Mosaic(problem.grid, MARGIN, flat, [])
        generator = torch.Generator(self.device).manual_seed(self.seed)
        for i, tile in enumerate(cover):
            run = _Run(progress, (i / len(cover), (i + 1) / len(cover)), TOLERANCE[self.effort])
            part = cut(problem, tile)
            if not bool(part.observed.flatten(1).any(1).all()):
                continue  # nothing was seen here: the mean stands
            try:
                found = self._conditioned(part, model, run, **known).posterior(0, self.draws, generator)
            except Stopped:
                if not mosaic.found:
                    raise
                break
            mosaic.found.append((tile, _told(found, run, model)))
            if progress.should_stop():
                break
        return mosaic.posterior(len(cover), progress.stop_reason or "finished")


def candidates_for(problem: Problem) -> tuple[str, ...]:
    """The kernel families to try with ``"auto"``: of volumes and few data those of the distance alone.

    A network's kernel takes seconds for each value of its parameters on three axes, and few data do not tell it
    from the others.
    """
    few = int(problem.observed.sum()) < FEW_DATA
    return ISOTROPIC if len(problem.grid) > 2 or few else tuple(FAMILIES)


@dataclass(frozen=True)
class _Model:
    """The prior and the noise to infer with, and what to say of them."""

    kernel: Kernel
    noise: Noise
    colour: bool | Tensor = True
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Run:
    """Tells the progress of solves: conjugate gradients lose about the same factor at every step."""

    progress: Progress
    share: tuple[float, float]
    tol: float
    trace: Trace = field(default_factory=lambda: {"step": [], "seconds": [], "residual": []})

    def watch(self, iteration: int, residual: float) -> bool:
        step = len(self.trace["step"]) + 1
        for key, value in (("step", step), ("seconds", self.progress.elapsed), ("residual", residual)):
            self.trace[key].append(value)
        done = min(1.0, math.log(max(residual, self.tol)) / math.log(self.tol)) if residual < 1 else 0.0
        begin, end = self.share
        self.progress.advance(begin + (end - begin) * done, "solve", step=step)
        return self.progress.should_stop()


def _told(found: Posterior, run: _Run, model: _Model) -> Posterior:
    stopped = run.progress.stop_reason or ("finished" if found.info["converged"] else "not converged")
    return replace(found, trace=run.trace, stopped=stopped, info={**model.facts, **found.info})
