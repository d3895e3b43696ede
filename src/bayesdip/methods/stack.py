"""``method="stack"``: the picture's own patches and a sampled network, averaged by held-out error.

Patches know what repeats in a picture, the network what is typical of pictures; their errors differ, and the
average of the two posterior means is better than either. The weight is the one that best predicts the held-out
pixels: stacking (Wolpert, Neural Networks 1992; of Bayesian posteriors, Yao et al., Bayesian Analysis 2018). Where
such pixels are exact, a pixel's weight goes by how sure the patches are of it, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped
from bayesdip.methods.method import Method
from bayesdip.methods.patches import Patches
from bayesdip.methods.sgld import SGLD
from bayesdip.networks.initial_estimate import initial_estimate
from bayesdip.networks.schedule import LONG, Schedule
from bayesdip.networks.setup import seconds_per_step
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.tiling import Mosaic, Tile, cut, tiles

# Where data are exact, errors tell more: this is about the correlation of the two on `montage`, `house` and `cameraman`,
# and with it the sizes of both on held-out pixels say what the weight should be.
CORRELATION = 0.7
# Pixels over which the variances of a pixel's neighbours count for it, by a Gaussian window.
SMOOTHING = 1.0
# A network of a given size learns a picture the more slowly the more there is to learn in it: in as many steps for each,
# four networks on the quarters of a picture come farther than one on the whole, at the same cost. Side of a tile, and how far
# neighbours overlap, in pixels.
TILE, MARGIN = 256, 16
# For exact data in a long run, and the share of its steps that each tile has, for the same time: two networks of 1500 steps for
# each quarter of `montage` had 11 to 18% less squared error than two of 3000 steps for the whole.
TILE_OF_EXACT, STEPS_OF_EXACT = 128, 0.45
# A tile with less than this share of its pixels known would be guessed: then the picture is not cut.
LEAST_KNOWN = 0.05


@dataclass(frozen=True)
class UsualWeight:
    """What is known of the network's weight before the held-out pixels: a normal prior.

    It decides where few pixels stand in strong noise, or a few errors at edges outweigh all others.

    Attributes
    ----------
    mean, spread : float
        Of the prior.
    apart : float
        Standard deviation of the weight that is best for held-out pixels around the one that is best for all.
    """

    mean: float = 0.5
    spread: float = 0.3
    apart: float = 0.0


# In a noisy picture a pixel's own value tells most of what there is, and patches make more of it than networks do: the best weights of 14 parts
# of 128x128 pixels of tuning pictures, noise of 15 to 50, were 0.05 to 0.53, and some 2000 held-out pixels tell them to within 0.1 to 0.4. With
# this prior the average gains 0.07 dB over patches (0.03 less at worst), with the other 0.03 (0.16), with the best weights 0.10.
IN_NOISE = UsualWeight(0.2, 0.1, 0.14)


@dataclass(frozen=True, kw_only=True)
class Stack(Method):
    """Patches and a sampled network, averaged: the best where there is time for it.

    Parameters
    ----------
    sgld : SGLD
        The network's options. Its effort, seed, device and samples are those of the stack, and it is refitted with
        the held-out pixels of exact data.
    samples : int
        Posterior samples to keep.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.
    """

    sgld: SGLD = field(default_factory=SGLD)
    samples: int = 16

    name: ClassVar[str] = "stack"
    fits_networks: ClassVar[bool] = True
    summary: ClassVar[str] = "patches and a sampled network, averaged by held-out error"

    @classmethod
    def option_names(cls) -> frozenset[str]:
        """Its own, and those of its network."""
        return super().option_names() | SGLD.option_names()

    def changed(self, **options: Any) -> Self:
        """The same with other options; those that the stack itself does not have go to its network."""
        own = super().option_names()
        network = {name: value for name, value in options.items() if name not in own}
        sgld = options.get("sgld", self.sgld).changed(**network)
        return replace(self, **({name: options[name] for name in options if name in own} | {"sgld": sgld}))

    def check(self, problem: Problem) -> None:
        """The data must be pixels of a signal or picture."""
        if len(problem.grid) > 2:
            raise BayesDipError(
                f"method 'stack' was given a grid of {len(problem.grid)} axes {problem.grid}: expected 1 or 2; use "
                "method='patches', 'gp' or 'sgld' for a volume"
            )
        if not isinstance(problem.operator, Identity | Mask):
            raise BayesDipError(
                f"method 'stack' was given the operator {problem.operator!r}: expected the identity or a mask, since "
                "it compares patches of the data; use method='sgld' or 'patches'"
            )
        self._patches().check(problem)
        self.sgld.check(problem)

    def resolved(self, problem: Problem) -> Self:
        same = super().resolved(problem)
        own = replace(
            self.sgld,
            effort=same.effort,
            seed=same.seed,
            device=same.device,
            samples=same.samples,
            refit=True,
        )
        return replace(same, sgld=own.resolved_for_tiles(problem))

    def _patches(self) -> Patches:
        return Patches(effort=self.effort, seed=self.seed, device=self.device)

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        """Patches first, in seconds, without the held-out pixels and with them; then the network; then the average.

        At every moment the average of what there is then is what it would give. Before there are patches it is the
        mean of the stationary process.
        """
        first = initial_estimate(problem.to(self.device), progress)
        if progress.should_stop() and first is not None:
            return Posterior(first, stopped=progress.stop_reason, info={"initial_estimate": True})
        schedule, cover = self._schedule_and_tiles(problem)
        cut_off = problem.whole is not problem
        patches = self._patches()
        try:
            seconds = self._network_seconds(problem, schedule, cover) if cut_off else 0.0
            shown = progress.part(later=seconds)
            whole = without = patches.fit(problem, shown)
        except Stopped:
            if first is None:
                raise
            return Posterior(first, stopped=progress.stop_reason, info={"initial_estimate": True})
        try:
            whole = (patches.update(problem.whole, without, shown) if cut_off else None) or without
        except Stopped:
            return replace(without, stopped=progress.stop_reason, state=_State(whole=whole))
        if progress.should_stop() or not cut_off:
            return replace(without, state=_State(whole=whole))
        weigh = self._weigher(problem, without)
        held_out = problem.held_out_entries

        def so_far(network: Tensor) -> Tensor:
            return blend(whole.mean, network, weigh(network), held_out)

        fitted = progress.part(time_share=schedule.sampled, to_whole=so_far)
        mosaic = Mosaic(problem.grid, MARGIN, without, [])
        for i, tile in enumerate(cover):
            share = (i / len(cover) * schedule.sampled, (i + 1) / len(cover) * schedule.sampled)
            own = fitted.part(
                share,
                time_share=1 / (len(cover) - i),
                to_whole=lambda mean, tile=tile: mosaic.preview(tile, mean),  # type: ignore[misc]
            )
            try:
                method = replace(self.sgld, seed=self.sgld.seed + i)
                mosaic.found.append((tile, method.fit_by(cut(problem, tile), own, schedule, initial=False)))
            except (NoResultError, Stopped):
                if not mosaic.found:
                    return replace(without, stopped=progress.stop_reason, state=_State(whole=whole))
            if progress.should_stop():
                break
        network = mosaic.posterior(len(cover), progress.stop_reason or "finished")
        weight = weigh(network.mean)
        found = average(without, network, weight, torch.zeros_like(held_out))
        return replace(found, state=_State(whole, mosaic, cover, weigh, so_far))

    def updates(self, problem: Problem) -> bool:
        return True

    def update(self, problem: Problem, posterior: Posterior, progress: Progress) -> Posterior | None:
        """The average with patches of all pixels, and networks refitted with the held-out ones where these are exact."""
        state: _State | None = posterior.state
        if state is None:
            return None
        if state.mosaic is None or state.weigh is None:
            return replace(state.whole, stopped=posterior.stopped)
        mosaic = state.mosaic
        network = mosaic.posterior(len(state.cover), posterior.stopped)
        weight = state.weigh(network.mean)
        updated = replace(mosaic, fallback=state.whole, found=[])
        refitted = progress.part(to_whole=state.so_far)
        for i, (tile, found) in enumerate(mosaic.found):
            n = len(mosaic.found)
            own = refitted.part((i / n, (i + 1) / n), time_share=1 / (n - i))
            try:
                new = self.sgld.update(cut(problem, tile), found, own)
            except Stopped:
                new = None
            updated.found.append((tile, new or found))
        network = updated.posterior(len(state.cover), posterior.stopped)
        return average(state.whole, network, weight, problem.held_out_entries)

    def _schedule_and_tiles(self, problem: Problem) -> tuple[Schedule, list[Tile]]:
        """What each tile's networks do, and the tiles: small ones for exact data in a long run."""
        schedule = self.sgld.schedule(problem)
        if problem.noise.is_exact and schedule.steps >= LONG:
            small = _cover(problem, TILE_OF_EXACT)
            if len(small) > 1:
                return replace(schedule, steps=round(STEPS_OF_EXACT * schedule.steps)), small
        return schedule, _cover(problem, TILE)

    def _network_seconds(self, problem: Problem, schedule: Schedule, cover: list[Tile]) -> float:
        """What the network will take, by a few steps on the first tile, which are thrown away."""
        made = self.sgld.made(cut(problem, cover[0]))
        return len(cover) * schedule.steps * seconds_per_step(made, schedule.sampled_input_noise)

    def _weigher(self, problem: Problem, patches: Posterior) -> Callable[[Tensor], Tensor]:
        """From the network's mean to its weight, (C, *grid); where data are exact, in proportion to `precision_share`."""
        entries = problem.held_out_entries
        missing = ~problem.observed.cpu() | entries

        def weigh(mean: Tensor) -> Tensor:
            mean, without = mean.double().cpu(), patches.mean.double().cpu()
            share = torch.ones_like(mean)
            usual = IN_NOISE if _is_noisy_picture(problem) else UsualWeight()
            if problem.noise.is_exact and patches.std is not None:
                std = calibrated(patches.std, problem.y - without, entries)
                error, other = ((problem.y - x)[entries].square().mean().sqrt() for x in (mean, without))
                share = precision_share(error.expand(std.shape), std, missing)
                usual = UsualWeight(weight_of_sizes(float(error), float(other)))
            both = without + share * (mean - without)
            return share * network_weight(problem.y, both, without, entries, usual)

        return weigh


@dataclass
class _State:
    """What the update goes on from: the patches of all pixels, and the tiles' networks where there are some."""

    whole: Posterior
    mosaic: Mosaic | None = None
    cover: list[Tile] = field(default_factory=list)
    weigh: Callable[[Tensor], Tensor] | None = None
    so_far: Callable[[Tensor], Tensor] = lambda picture: picture


def _cover(problem: Problem, side: int) -> list[Tile]:
    """Tiles of about that side; one for all of the picture where some would know too little."""
    length = (side**2) ** (1 / len(problem.grid))
    cover = tiles(problem.grid, length, MARGIN)
    known = problem.observed
    enough = all(float(known[(slice(None), *tile)].double().mean()) >= LEAST_KNOWN for tile in cover)
    return cover if enough else [tuple(slice(0, n) for n in problem.grid)]


def _is_noisy_picture(problem: Problem) -> bool:
    """Whether all pixels of a picture were seen, in noise that patches take as it is."""
    seen = isinstance(problem.operator, Identity)
    return seen and len(problem.grid) == 2 and problem.noise.is_gaussian_like and not problem.noise.is_exact


def weight_of_sizes(network: float, patches: float) -> float:
    """The network's share, between 0 and 1, in the best average of two estimates with errors of these sizes, correlated by `CORRELATION`."""
    common = CORRELATION * network * patches
    spread = network**2 + patches**2 - 2 * common
    return min(max((patches**2 - common) / spread, 0.0), 1.0) if spread > 0 else UsualWeight().mean


def network_weight(
    y: Tensor, network: Tensor, patches: Tensor, held_out: Tensor, usual: UsualWeight = UsualWeight()
) -> float:
    """The network's share in the average that comes closest to the held-out values: its posterior mean.

    Least squares of ``y - patches`` on ``network - patches``, under the prior above. The standard error is that of errors
    alike or, if larger, that of errors whatever their law (White, Econometrica 1980): at edges they are far larger.

    Parameters
    ----------
    y, network, patches : Tensor, shape (C, *grid)
        The data, and two predictions of which neither saw `y` where `held_out`.
    held_out : Tensor of bool, shape grid or (C, *grid)
    usual : UsualWeight
        The prior.

    Returns
    -------
    float
        Between 0 and 1.
    """
    held_out = held_out.expand(y.shape)
    step = (network - patches).double().cpu()[held_out]
    wanted = (y - patches).double().cpu()[held_out]
    length = float(step.square().sum())
    if length == 0:
        return usual.mean
    found = float((step * wanted).sum()) / length
    alike = float((wanted - step / 2).square().mean()) / length
    scattered = float((step * (wanted - found * step)).square().sum()) / length**2
    doubt = (max(alike, scattered) + usual.apart**2) / usual.spread**2
    return min(max((found + doubt * usual.mean) / (1 + doubt), 0.0), 1.0)


def calibrated(std: Tensor, residual: Tensor, held_out: Tensor) -> Tensor:
    """`std`, (C, *grid), times what makes it right on average where `residual` is an error, at the held-out pixels or entries."""
    held_out = held_out.expand(std.shape)
    std, error = std.double().cpu(), residual[held_out]
    if not bool(std.any()):
        return std
    least = 1e-3 * float(std.amax())
    return std * (error / std[held_out].clamp_min(least)).square().mean().sqrt()


def precision_share(network: Tensor, patches: Tensor, missing: Tensor) -> Tensor:
    """Share of the network, (C, *grid), in the mean of two independent estimates of these standard deviations.

    Variances are averaged over the `missing` pixels nearby. A network that is sampled for the last part of a short run
    knows nothing of other fits: the same deviation everywhere, its error at held-out pixels, serves better than its own.
    """
    here = missing.to(torch.float64)
    network_variance, patches_variance = (
        torch.from_numpy(np.stack([gaussian_filter(v.numpy(), SMOOTHING) for v in std.square() * here]))
        for std in (network, patches)
    )
    total = network_variance + patches_variance
    return torch.where(total > 0, patches_variance / total, 0.0)


def blend(patches: Tensor, network: Tensor, weight: Tensor, held_out: Tensor) -> Tensor:
    """The weighted average of two pictures, (C, *grid); where the network did not see the data, `patches`."""
    share = (weight * ~held_out).to(network)
    return patches.to(network) * (1 - share) + network * share


def average(patches: Posterior, network: Posterior, weight: Tensor, held_out: Tensor) -> Posterior:
    """The weighted average; where the network did not see the data, the patches alone.

    Both err on the same noise, so that standard deviations are averaged, not variances. Samples
    are the network's, moved and scaled to the common mean and standard deviation.
    """
    share = (weight * ~held_out).to(network.mean)
    mean = blend(patches.mean, network.mean, weight, held_out)
    std, samples = network.std, network.samples
    if std is not None and patches.std is not None:
        std = patches.std.to(mean) * (1 - share) + std.to(mean) * share
        stretch = (std / network.std.to(mean)).nan_to_num(1.0, 1.0, 1.0) if network.std is not None else 1.0
        if samples is not None:
            samples = mean + (samples.to(mean) - network.mean) * stretch
    return replace(
        network,
        mean=mean,
        std=std,
        samples=samples,
        info={**network.info, "passes": patches.info.get("passes"), "network_weight": float(weight.mean())},
    )
