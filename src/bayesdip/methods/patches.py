"""``method="patches"``: groups of similar patches of the picture itself, each a Gaussian.

Noise: a chain of group filters, or NL-Bayes on several scales. Missing pixels: HBE/PLE. Blurred or downsampled data:
denoising and back-projection in turns (IDBP). Data of other operators: plug-and-play ADMM. The sources stand in
:mod:`bayesdip.patches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding
from bayesdip.gp.data_covariance import is_nearly_stationary
from bayesdip.gp.likeliest import Process
from bayesdip.memory import check_memory, keep_freed_memory
from bayesdip.methods.method import Method, at_least
from bayesdip.methods.process_std import process_posterior
from bayesdip.noise import Correlated, Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.operators.part import is_small_picture
from bayesdip.patches import hbe, nl_bayes
from bayesdip.patches.back_projection import (
    denoised_data,
    project,
    rule_of_thumb_std,
    turns_of,
)
from bayesdip.patches.bytes_needed import bytes_needed
from bayesdip.patches.chain import Chain, check_correlated
from bayesdip.patches.count_deconvolution import deconvolve_counts, takes
from bayesdip.patches.filling import few_beside_noise, passes_in_holes
from bayesdip.patches.inference import chain_for, fills_in, missing_pixels, patch_posterior
from bayesdip.patches.multiscale import COARSER_WORK
from bayesdip.patches.patch_grid import PATCH_VALUES, distinct
from bayesdip.patches.patch_sizes import last_size, patch_sizes
from bayesdip.patches.plug_and_play import plug_and_play
from bayesdip.patches.stack_chain import MODEL, across_slices, check_stack, device_of_compiled, stack_chain
from bayesdip.patches.thin_damage import is_thin
from bayesdip.problem import Problem, digest
from bayesdip.progress import Progress
from bayesdip.quick_picture import quick_picture
from bayesdip.result import Posterior, Trace
from bayesdip.resuming import kept

# By effort: how often the covariances of the patches are learnt anew, with noise and where pixels are missing.
PASSES = {"fast": 2, "balanced": 3, "best": 4}
FILLING_PASSES = {"fast": 3, "balanced": 5, "best": 5}
# Of thin damage, where filling in begins nearer to the picture. On 112x112 parts of eight tuning pictures, three passes came to
# the result of five within 0.08 dB in scratches and text, and 0.27 above it at scattered pixels, in two thirds of the time.
THIN_PASSES = {"fast": 3, "balanced": 3, "best": 5}
# How far, in pixels, similar patches are searched for beyond the usual reach in noise. Among filled-in pixels it
# finds false matches.
FAR = {"fast": 0, "balanced": 0, "best": 100}
# Turns of denoising and fitting the data where these are not pixels, and draws for the standard deviation.
TURNS = {"fast": 8, "balanced": 16, "best": 32}
# So many times as many where they are no averages of the picture, and leave more of it open; and once more where they have little noise.
TURNS_FACTOR = 2
DRAWS = {"fast": 8, "balanced": 16, "best": 64}
EXACT = Gaussian(0.0)
# The models against noise, and where the data are blurred counts.
CHAIN, CHAIN_IN_HOLES = "chain of group filters", "NL-Bayes, HBE in holes, chain of group filters"
NL_BAYES, NL_BAYES_IN_HOLES = "NL-Bayes", "NL-Bayes, then HBE in holes"
COUNTS = "expectation maximisation"


@dataclass(frozen=True, kw_only=True)
class Patches(Method):
    """Groups of similar patches, each a Gaussian: quickest and best on noise and scattered missing pixels.

    There are no joint samples. Of three grid axes the first is that of slices or frames.

    Parameters
    ----------
    across : int or None
        Of a stack with noise: slices on either side in which similar patches are searched; 0 restores each slice by itself.
        None takes four.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.
    """

    across: int | None = None

    name: ClassVar[str] = "patches"
    summary: ClassVar[str] = "groups of similar patches of the picture, each a Gaussian"
    is_local: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.across is not None:
            at_least("across", self.across, 0)

    def check(self, problem: Problem) -> None:
        """Patches take linear operators, on signals and pictures, and stacks of noisy slices."""
        if not problem.operator.is_linear:
            raise BayesDipError(
                f"method 'patches' was given {problem.operator!r}, which is not linear: expected a linear operator; "
                "use method='sgld' or 'map'"
            )
        check_stack(problem, self.across)
        check_correlated(problem)

    def resolved(self, problem: Problem) -> Self:
        compiled = len(problem.grid) > 2 or isinstance(problem.noise, Correlated)
        return (
            replace(self, device=device_of_compiled(self.device)) if compiled else super().resolved(problem)
        )

    def findings(self, problem: Problem) -> tuple[Finding, ...]:
        return across_slices(problem, self.across)

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        """Mean and standard deviation of every pixel."""
        first = _Run.of(self, problem, whole=problem.whole is problem)
        needed = first.memory(FAR[self.effort])
        what = f"patches of {' x '.join(map(str, problem.grid))} pixels"
        check_memory(needed, self.device, what, "use effort='fast', or a part of the picture")
        progress.memory = needed
        keep_freed_memory()
        first = first if torch.device(self.device).type != "cpu" else _able_to_begin(first, problem, progress)
        return self._run(problem, first, progress, None)

    def updates(self, problem: Problem) -> bool:
        return True

    def leaves_one_out(self, problem: Problem, progress: Progress) -> bool:
        """The chain of group filters knows it, where no pixels are missing."""
        run = _Run.of(self, problem, whole=True)
        if not run.leave_out or run.chain is None:
            return False
        from bayesdip.patches.compilation import is_in_time  # loads numba

        return len(problem.grid) > 2 or is_in_time(run.chain, progress.time_left)

    def update(self, problem: Problem, posterior: Posterior, progress: Progress) -> Posterior | None:
        """Once more with all pixels: filling in goes on from the first fit, denoising begins anew.

        On smooth surfaces, estimates that begin from estimates lose 0.1 dB.
        """
        if progress.should_stop():
            return None
        run: _Run = posterior.state
        second = run.second()
        if not run.turns and run.fills != fills_in(problem.y, problem.operator, problem.noise):
            # Without the held-out pixels so many were missing that they were the matter, and now they are not.
            second = replace(_Run.of(self, problem, whole=True), before=second.before, trace=second.trace)
        found = self._run(problem, second, progress, posterior.mean)
        return None if progress.should_stop() else found

    def _run(self, problem: Problem, run: _Run, progress: Progress, start: Tensor | None) -> Posterior:
        def compute() -> tuple[Posterior, Trace]:
            work = self._from_other_data if run.turns else self._from_pixels
            return work(problem, run, progress, start), run.trace

        found, trace = kept(f"patches {digest(problem)}", compute, (Posterior,), progress)
        run.trace.update(trace)
        stopped = progress.stop_reason or "finished"
        return replace(
            found, trace=run.trace, stopped=stopped, info={"model": run.model, **found.info}, state=run
        )

    def _from_pixels(
        self, problem: Problem, run: _Run, progress: Progress, start: Tensor | None
    ) -> Posterior:
        """Of pixels of the picture itself, noisy or missing."""
        return patch_posterior(
            problem.y.to(self.device),
            problem.operator,
            problem.noise,
            passes=run.passes,
            patches=run.sizes,
            far_radius=0 if run.fills else FAR[self.effort],
            last_size=run.larger,
            start=start if run.fills else None,
            fills=run.fills,
            holes=run.holes,
            chain=run.chain,
            leave_out=run.leave_out,
            compiled=run.compiled,
            stop=lambda number, share: run.told(progress, number, share),
        )

    def _from_other_data(
        self, problem: Problem, run: _Run, progress: Progress, start: Tensor | None
    ) -> Posterior:
        """Of blurred, downsampled or otherwise indirect data."""
        y = y_given = problem.y.to(self.device)
        operator, noise = problem.operator, problem.noise

        def told(turn: int, picture: Tensor) -> bool:
            return run.told(progress, turn, 0.0, picture)

        left = noise
        if is_small_picture(operator) and not noise.is_exact:
            passes = PASSES[self.effort]
            clean = denoised_data(
                y, operator, noise, passes=passes, stop=lambda number, share: progress.should_stop()
            )
            assert clean.std is not None  # there is noise
            y, noise, left = clean.mean, EXACT, Gaussian(clean.std)
        if takes(operator, noise):
            restore = deconvolve_counts
        else:
            restore = project if is_nearly_stationary(operator) else plug_and_play
        filters = {} if restore is deconvolve_counts else {"compiled": run.compiled}
        filters |= {"precise": run.precise} if restore is plug_and_play else {}
        found = restore(y, operator, noise, turns=run.turns, start=start, stop=told, **filters)
        process = std = None
        if not progress.should_stop():
            process = process_posterior(problem, y_given, left, run.learnt, DRAWS[self.effort], self.seed)
        if process is not None and process.std is not None:
            std = rule_of_thumb_std(found.mean, process.mean, process.std, problem.seen_pixels)
        return replace(found, std=std, process=process)


@dataclass
class _Run:
    """What is done in one run, and where it stands in the work of both, without and with the held-out entries.

    Attributes
    ----------
    model : str
        What ran, by its name in the literature.
    fills : bool
        Whether HBE alone works on the data.
    holes : int
        Passes of HBE that follow on NL-Bayes.
    passes, turns : int
        Passes over patches; turns of back-projection, 0 where the data are pixels.
    sizes : mapping of int to float
        Values in a patch, and their weight in the mean.
    larger : (int, float) or None
        Values in a patch of one more pass, and its weight.
    chain : Chain or None
        Settings of the group filters, where they are what runs.
    leave_out : bool
        Whether they also find each pixel's mean without its own value.
    work : list of float
        Of each pass, in any unit.
    learnt : list of Process or None
        Empty, or the one that was learnt.
    precise : bool
        Whether the data have so little noise that a good start saves no turns.
    compiled : bool
        Whether turns of back-projection, and HBE, have their compiled loops.
    unready : callable or None
        The picture to show while filters are being compiled, which is no part of the work's pace.
    before, after : float
        The work of the other run, before and after this one.
    """

    model: str
    fills: bool
    holes: int
    passes: int
    turns: int
    sizes: Mapping[int, float]
    larger: tuple[int, float] | None
    shape: tuple[int, ...]
    work: list[float]
    chain: Chain | None = None
    leave_out: bool = False
    before: float = 0.0
    after: float = 0.0
    trace: Trace = field(default_factory=lambda: {"step": [], "seconds": []})
    learnt: list[Process | None] = field(default_factory=list)
    precise: bool = False
    compiled: bool = False
    unready: Callable[[], Tensor] | None = None

    @classmethod
    def of(cls, method: Patches, problem: Problem, *, whole: bool) -> _Run:
        effort, shape = method.effort, (problem.channels, *problem.grid)
        if len(shape) > 3:
            chain = stack_chain(effort, shape[0], method.across)
            once = whole and not bool((~problem.observed).any())
            run = cls(MODEL, False, 0, PASSES[effort], 0, {}, None, shape, [], chain, once)
            run.work = run.work_of(run.passes)
        elif not isinstance(problem.operator, Identity | Mask):
            turns, model, precise = TURNS[effort], "back-projection", False
            if takes(problem.operator, problem.noise):
                model = COUNTS
            elif not is_nearly_stationary(problem.operator):
                turns, model = TURNS_FACTOR * turns, "plug-and-play ADMM"
                if problem.is_precise:
                    turns, precise = TURNS_FACTOR * turns, True
            run = cls(model, False, 0, 0, turns, {}, None, shape, [1.0] * turns, precise=precise)
        else:
            fills = fills_in(problem.y, problem.operator, problem.noise)
            sizes = distinct(patch_sizes(effort, shape[0], fills=fills), problem.y.shape)
            thin = fills and problem.noise.is_exact
            thin = thin and is_thin(missing_pixels(problem.y, problem.operator), max(sizes))
            passes = (THIN_PASSES if thin else FILLING_PASSES if fills else PASSES)[effort]
            correlated = isinstance(problem.noise, Correlated)
            holes = 0 if fills or correlated else passes_in_holes(~problem.whole.observed)
            model = "HBE" if fills else NL_BAYES_IN_HOLES if holes else NL_BAYES
            run = cls(model, fills, holes, passes, 0, sizes, last_size(effort, shape, fills=fills), shape, [])
            known_too = not problem.keeps_known and few_beside_noise(~problem.whole.observed)
            if not fills and (not holes or known_too):
                run.chain = chain_for(effort, problem.y.to(method.device), problem.operator, problem.noise)
                run.model = model if run.chain is None else CHAIN_IN_HOLES if holes else CHAIN
                run.leave_out = whole and run.chain is not None and not holes and not correlated
            run.work = run.work_of(passes)
        run.after = 0.0 if whole else sum(run.second().work)
        return run

    def second(self) -> _Run:
        """The run with all entries: one pass from where the first one ended, where that is as good."""
        trace, before = self.trace, sum(self.work)
        if self.turns:
            turns = turns_of(self.turns, good_start=not self.precise)
            return replace(self, work=[1.0] * turns, before=before, after=0.0, trace=trace)
        run = replace(self, passes=1 if self.fills else self.passes, leave_out=False)
        return replace(run, work=run.work_of(run.passes), before=before, after=0.0, trace=trace)

    def by_nl_bayes(self) -> _Run:
        """The same run without the chain of group filters."""
        model = NL_BAYES_IN_HOLES if self.holes else NL_BAYES
        run = replace(self, chain=None, leave_out=False, model=model)
        run.work = run.work_of(run.passes)
        run.after = sum(run.second().work) if self.after else 0.0
        return run

    def work_of(self, passes: int) -> list[float]:
        """Of each pass over each size of patches: reference patches times values in them."""
        channels, height, width = (*self.shape, 1)[:3]
        shape = (channels, height, width)
        found: list[float] = []
        if self.chain is not None and not self.holes:
            return self.chain.work(self.shape, leave_out=self.leave_out)
        for values in self.sizes:
            if self.fills:
                found += [hbe.work(shape, values, last=n == passes - 1) for n in range(passes)]
            else:
                fine = [nl_bayes.work(shape, values, last=n == passes - 1) for n in range(passes)]
                found += [*fine, COARSER_WORK * sum(fine)]
        if self.larger is not None:
            found.append(nl_bayes.work(shape, self.larger[0], last=True))
        for values in self.sizes:
            found += [hbe.work(shape, values, last=n == self.holes - 1) for n in range(self.holes)]
        return found if self.chain is None else found + self.chain.work(self.shape, leave_out=False)

    def memory(self, far: int) -> int:
        """Upper bound of the bytes that the run needs."""
        values = max([*self.sizes, PATCH_VALUES, self.larger[0] if self.larger else 0])
        far = 0 if self.fills or self.chain is not None else far
        return bytes_needed(self.shape, values, far, is_picture=not self.turns and len(self.shape) == 3)

    def told(self, progress: Progress, number: int, share: float, picture: Tensor | None = None) -> bool:
        """Note that so much of a pass is done; whether to stop."""
        if share == 0:
            self.trace["step"].append(len(self.trace["step"]) + 1)
            self.trace["seconds"].append(progress.elapsed)
        done = self.before + sum(self.work[:number]) + share * self.work[number]
        done /= self.before + sum(self.work) + self.after
        mean = None if picture is None else lambda: picture
        if self.unready is not None:
            from bayesdip.patches.compilation import is_ready

            if not is_ready(self.chain, turns=bool(self.turns), fills=self.fills or bool(self.holes)):
                progress.show("compiling", mean or self.unready)
                return progress.should_stop()
            self.unready = None
        step = len(self.trace["step"])
        steps = step + len(self.work) - number - 1
        progress.advance(done, "patches", step=step, steps=steps, mean=mean)
        return progress.should_stop()


def _able_to_begin(run: _Run, problem: Problem, progress: Progress) -> _Run:
    """The run as it is where its filters are compiled or there is time to compile them; else one that needs none."""
    if run.chain is None:
        return _with_compiled_loops(run, problem, progress) if run.turns or run.fills or run.holes else run
    from bayesdip.patches.compilation import is_compiled, is_in_time  # loads numba

    if not is_compiled(run.chain):
        other_filters = len(run.shape) < 4 and not run.chain.is_of_correlated
        if other_filters and not is_in_time(run.chain, progress.time_left):
            return run.by_nl_bayes()
        run.unready = lambda: quick_picture(problem)
        progress.show("compiling", run.unready)
    return _with_compiled_loops(run, problem, progress) if run.holes else run


def _with_compiled_loops(run: _Run, problem: Problem, progress: Progress) -> _Run:
    """The same, with the compiled filter or loop that it can have, where that is compiled or there is time to compile it."""
    from bayesdip.patches.compilation import COMPILING, is_filling_compiled, is_wiener_compiled

    if not (is_wiener_compiled() if run.turns else is_filling_compiled()):
        if progress.time_left is not None and progress.time_left < COMPILING:
            return run
        run.unready = lambda: quick_picture(problem)
        progress.show("compiling", run.unready)
    return replace(run, compiled=True)
