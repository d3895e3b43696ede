"""What was seen, in working units: the data, how the picture became the data, the noise, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bayesdip.noise import Noise
from bayesdip.operators import InUnits, Operator

# How far the operator's answer to a constant picture of ones may be from ones for a shift of the picture
# to pass through it.
KEEPS_CONSTANTS = 1e-4
# For any other operator, the picture's range is that of a rough estimate: least squares by so many steps of L-BFGS,
# few enough for the noise not to be amplified. Networks end in a sigmoid and cannot go beyond 1, so that what the
# estimate says of the brightest percent of pixels gets some headroom.
ROUGH_STEPS = 12
BRIGHT = 0.99
HEADROOM = 1.2


@dataclass(frozen=True)
class Units:
    """The affine map between the data's own scale and working units: ``own = shift + scale * working``."""

    shift: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, seen: Tensor) -> Units:
        """Map the range of what was seen to 0..1; a constant picture keeps its size as the scale."""
        low, high = float(seen.min()), float(seen.max())
        return cls(low, high - low if high > low else max(abs(low), 1.0))

    def to_working(self, own: Tensor) -> Tensor:
        """From the data's own scale to working units."""
        return (own - self.shift) / self.scale

    def to_own(self, working: Tensor) -> Tensor:
        """From working units to the data's own scale, in double precision."""
        return working.double() * self.scale + self.shift


@dataclass(frozen=True)
class Problem:
    """``y = A x + noise``, in working units (the picture's range mapped to 0..1).

    Attributes
    ----------
    y : Tensor, float64, shape (C, *operator.output_shape)
        What was seen. Finite everywhere; its value where ``operator.observed`` is False
        means nothing.
    operator : Operator
        The map ``A`` from the picture's grid to the data's grid.
    noise : Noise
        The noise model, in working units.
    held_out : Tensor of bool or None, shape operator.output_shape
        Pixels that were observed, in some channel at least, and are kept from the method at first: they measure its
        error and calibrate its standard deviation. :attr:`training` is the problem without them.
    units : Units
        From working units back to the data's own.
    """

    y: Tensor
    operator: Operator
    noise: Noise
    held_out: Tensor | None = None
    units: Units = Units()
    _whole_operator: Operator | None = None

    @classmethod
    def from_data(cls, data: Tensor, operator: Operator, noise: Noise) -> Problem:
        """Data in their own scale as a problem in working units.

        Parameters
        ----------
        data : Tensor, float64, shape (C, *operator.output_shape)
        operator : Operator
        noise : Noise
            In the scale of `data`.

        Returns
        -------
        Problem
        """
        units = working_units(data, operator)
        if not operator.is_linear:
            operator = InUnits(operator, units.scale)
        return cls(units.to_working(data), operator, noise.rescaled(units.shift, units.scale), units=units)

    @property
    def channels(self) -> int:
        """Channels of the picture that is sought."""
        mixed = self.operator.input_channels
        return int(self.y.shape[0]) if mixed is None else mixed

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the picture that is sought, without channels."""
        return self.operator.input_shape

    @property
    def observed(self) -> Tensor:
        """Which entries of `y` were seen: bool, the shape of `y`."""
        return self.operator.observed.expand(self.y.shape)

    @property
    def held_out_entries(self) -> Tensor:
        """Which entries of `y` are held out: bool, the shape of `y`; of a held-out pixel, the channels that were seen."""
        held_out = torch.zeros((), dtype=torch.bool) if self.held_out is None else self.held_out
        return self.whole.observed & held_out

    @property
    def training(self) -> Problem:
        """The same problem with the held-out entries hidden from the method; itself where there are none."""
        if self.held_out is None or self._whole_operator is not None:
            return self
        operator = self.operator.with_held_out(self.held_out)
        return replace(self, operator=operator, _whole_operator=self.operator)

    @property
    def whole(self) -> Problem:
        """The problem of which this is the training part, with all that was observed; itself if it is whole."""
        if self._whole_operator is None:
            return self
        return replace(self, operator=self._whole_operator, _whole_operator=None)

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Problem:
        """The same with the data on another device, or in another precision.

        Parameters
        ----------
        device : str or torch.device
        dtype : torch.dtype, optional

        Returns
        -------
        Problem
        """
        return replace(self, y=self.y.to(device, dtype))


def working_units(data: Tensor, operator: Operator) -> Units:
    """Map the range of the observed data to 0..1.

    The shift passes through operators that keep a constant picture constant (masks, blurs
    and downsampling do); for any other the picture is only scaled, so that a rough estimate of it ends at 1.

    Parameters
    ----------
    data : Tensor, shape (C, *operator.output_shape)
    operator : Operator

    Returns
    -------
    Units
    """
    observed = operator.observed.expand(data.shape)
    channels = operator.input_channels or 1
    ones = operator.forward(torch.ones(channels, *operator.input_shape, dtype=data.dtype)).expand(data.shape)
    if operator.is_linear and torch.allclose(
        ones[observed], torch.ones((), dtype=data.dtype), atol=KEEPS_CONSTANTS
    ):
        return Units.of(data[observed])
    largest, gain = float(data[observed].abs().max()), float(ones[observed].abs().max())
    level = largest / gain if largest > 0 and gain > 0 else 1.0
    channels = operator.input_channels or len(data)
    start = torch.full((channels, *operator.input_shape), level, dtype=torch.float64)
    picture = _least_squares(torch.where(observed, data, 0.0), operator, start)
    bright = float(np.quantile(picture.abs().numpy(), BRIGHT))
    return Units(0.0, HEADROOM * bright if np.isfinite(bright) and bright > 0 else level)


def _least_squares(data: Tensor, operator: Operator, start: Tensor) -> Tensor:
    """A rough picture for these data (zero where not observed), linear operator or not, in units of `start`."""
    level, size = float(start.flatten()[0]), float(data.square().sum()) or 1.0
    seen = operator.observed.expand(data.shape)
    picture = torch.ones_like(start, requires_grad=True)
    search = torch.optim.LBFGS([picture], max_iter=ROUGH_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        error = torch.where(seen, operator.forward(level * picture) - data, 0.0).square().sum() / size
        error.backward()  # type: ignore[no-untyped-call]
        return error

    with torch.enable_grad():
        search.step(closure)  # type: ignore[no-untyped-call]
    return level * picture.detach()


def random_entries(observed: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """That many of the observed entries (bool, any shape), chosen at random, as a mask of the same shape."""
    places = observed.flatten().nonzero().squeeze(1)
    chosen = places[torch.randperm(len(places), generator=generator)[:count]]
    mask = torch.zeros(observed.numel(), dtype=torch.bool)
    mask[chosen] = True
    return mask.reshape(observed.shape)
