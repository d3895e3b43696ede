"""Noise whose level varies over the picture: by position, or by brightness where that is no line.

A gradient over the picture is that of a lens or a detector; a curve by brightness that of photon noise behind a tone curve
(gamma), as 8-bit photographs have. The colours of a picture in colour show it better than its channels do: they have less of its texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdip.noise.brightness_law import BrightnessLaw
from bayesdip.noise.colours import colours_of
from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.estimated_covariance import opponent_basis
from bayesdip.noise.gaussian import UNCLIPPED
from bayesdip.noise.level_model import (
    MEAN,
    LevelModel,
    NoisyCells,
    cells_by_brightness,
    cells_by_position,
    from_span,
    noisy_cells,
)
from bayesdip.noise.spectrum import Windows

By = Literal["position", "brightness"]

# How much the variance must grow over the middle 90% of the picture.
GROWTH, INNER = 2.2, (0.05, 0.95)
# Standard deviation in pixels of the smoothing that tells the brightness.
SMOOTHING = 2.0
# Least share of the windows by which colours alone tell how the noise goes with brightness: in clipped pictures the darkest places are missing.
MOST_WINDOWS = 0.7


@dataclass(frozen=True)
class Variation:
    """Noise of varying level.

    Attributes
    ----------
    sigma : Tensor, float64, shape (C, *grid)
    by : "position" or "brightness"
    """

    sigma: Tensor
    by: By


@dataclass(frozen=True)
class _Look:
    """Channels or colours of a picture: their windows, and what the noise's level is by them.

    Attributes
    ----------
    windows : list of Windows or None
        Of each channel, or colour.
    known : Tensor of bool, shape (C, *grid)
        Where the picture's brightness is one that windows were looked at for.
    span : (float, float)
        The least brightness and the largest one.
    clipped : (float, float)
        Levels at which what the windows show was clipped.
    are_colours : bool
    """

    windows: list[Windows | None]
    known: Tensor
    span: tuple[float, float]
    clipped: tuple[float, float] = UNCLIPPED
    are_colours: bool = False

    def by_position(self, least: float) -> NoisyCells | None:
        """None where too few cells show noise."""
        return noisy_cells(cells_by_position(self.windows, self.clipped), least)

    def by_brightness(self, least: float) -> NoisyCells | None:
        """None where too few cells show noise."""
        return noisy_cells(cells_by_brightness(self.windows, self.span, self.clipped), least)

    def level(self, model: LevelModel, by: By, picture: Tensor, inside: Tensor) -> Variation | None:
        """The level at every pixel; None where it varies too little over the picture."""
        channels = [MEAN] * len(picture) if self.are_colours else range(len(picture))
        if by == "position":
            sigma = _on_grid(model, picture, channels)
        else:
            sigma = _at_brightness(model, _known_values(picture, self.known, self.span), self.span, channels)
        if self.are_colours:
            sigma = sigma * _levels_beside(picture / sigma, inside)
        low, high = np.quantile(sigma.flatten(1).numpy(), INNER, axis=1)
        return Variation(sigma, by) if bool(((high / low) ** 2 > GROWTH).any()) else None


def varying_levels(
    picture: Tensor,
    seen: Tensor,
    least: float = 0.0,
    clipped: tuple[float, float] = UNCLIPPED,
) -> Variation | None:
    """The noise's level at each pixel before it was clipped; None where it does not clearly vary.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
    seen : Tensor of bool, shape (C, *grid)
        False where values mean nothing.
    least : float
        Of the data's rounding: windows with less noise say nothing.
    clipped : (float, float)
        Levels at which the data were clipped.

    Returns
    -------
    Variation or None
    """
    inside = seen & (picture > clipped[0]) & (picture < clipped[1])
    if not bool(inside.any()):
        return None
    colours = _look_at_colours(picture, seen, inside)
    cells = None if colours is None else colours.by_position(least)
    found: list[tuple[LevelModel, By, _Look]] = []
    at_brightness: list[_Look] = []
    if colours is not None and cells is not None:
        at_position = [(colours, LevelModel.of(cells))]
        if _are_most(colours, seen):
            at_brightness = [colours]
    else:
        at_brightness = _looks_at_channels(picture, seen, inside, clipped)
        at_position = [(look, LevelModel.of(look.by_position(least))) for look in at_brightness]
    at_brightness = at_brightness or _looks_at_channels(picture, seen, inside, clipped)
    position = next(((model, look) for look, model in at_position if model is not None), None)
    if position is not None:
        found.append((position[0], "position", position[1]))
    for look in at_brightness:
        model = LevelModel.of(look.by_brightness(least))
        if model is not None:
            found.append((model, "brightness", look))
    best = min(found, key=lambda one: one[0].share, default=None)
    if best is None:
        return None
    model, by, look = best
    return look.level(model, by, picture, inside)


def along_the_law(picture: Tensor, law: BrightnessLaw) -> Variation:
    """The level at each pixel by that line, which tells more than cells do where the brightest places are clipped.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
    law : BrightnessLaw

    Returns
    -------
    Variation
    """
    known = torch.where(picture.isfinite(), picture, law.least)
    variance = law.slope * _smoothed(known).clamp_min(law.least) + law.constant
    return Variation(variance.clamp_min(np.finfo(np.float64).tiny).sqrt(), "brightness")


def _looks_at_channels(
    picture: Tensor, seen: Tensor, inside: Tensor, clipped: tuple[float, float]
) -> list[_Look]:
    """By windows without a clipped value, and, where values were clipped, by all."""
    looks = [_Look(_windows(picture, inside), inside, _span(picture, inside))]
    # Of a dark picture most windows were clipped; else those that were not tell better.
    if clipped != UNCLIPPED:
        looks.append(_Look(_windows(picture, seen), seen, _span(picture, seen), clipped))
    return looks


def _look_at_colours(picture: Tensor, seen: Tensor, inside: Tensor) -> _Look | None:
    """By windows with few clipped values; None where the picture has no colours."""
    found = colours_of(picture, seen)
    if found is None or not bool(found[2].any()):
        return None
    colours, brightness, known = found
    windows = _windows(colours, known, brightness, inside.all(0, keepdim=True))
    return _Look(windows, inside, _span(brightness, known), are_colours=True)


def _are_most(colours: _Look, seen: Tensor) -> bool:
    """Whether the windows with few clipped values are most of all."""
    windows = colours.windows[0]
    every = Windows.of(torch.zeros_like(seen[:1], dtype=torch.float64), seen.all(0, keepdim=True))
    return windows is not None and every is not None and len(windows.means) >= MOST_WINDOWS * len(every.means)


def _levels_beside(relative: Tensor, inside: Tensor) -> Tensor:
    """The level of each channel, (C, 1, ...), of a picture whose colours have a level of 1 in the mean."""
    found = estimate_sigma(relative, observed=inside, per_channel=True)
    variance = torch.tensor(found, dtype=torch.float64).square()
    in_colours = torch.from_numpy(opponent_basis(len(relative))[1:] ** 2) @ variance
    level = in_colours.mean()
    if not level > 0:
        variance, level = torch.ones_like(variance), torch.ones_like(level)
    return (variance / level).sqrt().reshape(-1, *[1] * (relative.ndim - 1))


def _windows(
    picture: Tensor, seen: Tensor, brightness: Tensor | None = None, inside: Tensor | None = None
) -> list[Windows | None]:
    """Of each channel."""

    def of(channel: slice) -> Windows | None:
        means = None if brightness is None else brightness[channel]
        return Windows.of(picture[channel], seen[channel], means, inside)

    return [of(slice(c, c + 1)) for c in range(len(picture))]


def _span(picture: Tensor, known: Tensor) -> tuple[float, float]:
    """Least and largest value."""
    return float(picture[known].min()), float(picture[known].max())


def _known_values(picture: Tensor, known: Tensor, span: tuple[float, float]) -> Tensor:
    """`picture` with the least value where it means nothing."""
    inner = picture.isfinite() & (picture >= span[0]) & (picture <= span[1])
    return torch.where(known | inner, picture, span[0])


def _on_grid(model: LevelModel, picture: Tensor, channels: Sequence[int]) -> Tensor:
    """The level of a model by position at every pixel, of each of those channels of the model."""
    grid = picture.shape[1:]
    axes = [np.linspace(-1, 1, n) for n in grid if n > 1]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    return torch.from_numpy(np.stack([model.sigma(c, places) for c in channels])).reshape(picture.shape)


def _at_brightness(
    model: LevelModel, picture: Tensor, span: tuple[float, float], channels: Sequence[int]
) -> Tensor:
    """The level of a model by brightness at every pixel, that of the smoothed picture; of each of those channels of the model."""
    found = [
        model.sigma(c, from_span(x.reshape(-1, 1).numpy(), span).clip(-1, 1))
        for c, x in zip(channels, _smoothed(picture), strict=True)
    ]
    return torch.from_numpy(np.stack(found)).reshape(picture.shape)


def _smoothed(picture: Tensor) -> Tensor:
    """Each channel by itself: that tells its brightness."""
    smooth = [gaussian_filter(channel.numpy(), SMOOTHING, mode="nearest") for channel in picture]
    return torch.from_numpy(np.stack(smooth))
