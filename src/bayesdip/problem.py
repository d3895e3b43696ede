"""What was seen, in working units: the data, how the picture became the data, the noise, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bayesdip.arrays import fingerprint
from bayesdip.noise import Gaussian, Noise
from bayesdip.operators import Identity, InUnits, Mask, Operator
from bayesdip.operators.least_squares import least_squares_steps
from bayesdip.operators.mosaic import as_missing_pixels
from bayesdip.operators.part import blur_of

# How far the operator's answer to a constant picture of ones may be from ones for a shift of the picture
# to pass through it.
KEEPS_CONSTANTS = 1e-4
# For any other operator, the picture's range is that of a rough estimate: least squares by so many steps of conjugate
# gradients (L-BFGS where it is not linear), few enough for the noise not to be amplified. Networks end in a sigmoid and
# cannot leave 0..1, so that what the estimate says of all pixels but the darkest and the brightest percent gets some
# headroom.
ROUGH_STEPS = 12
# Constants tried for an operator that is not linear, over the one that would be right if it were: data that go by the
# picture's square or root are met too.
LEVELS = tuple(4.0**power for power in range(-8, 9))
DARK, BRIGHT = 0.01, 0.99
HEADROOM = 1.2
# An estimate that goes below zero by more than the first share of its brightest values, or stays above the second, is not
# that of a picture from black to white: its range is mapped to 0..1, else only its brightest value.
BELOW_ZERO, ABOVE_ZERO = 0.25, 0.5
# Noise below this, as that of a picture whose range is one, is little: data that are no averages of the picture then show most of its detail.
PRECISE = 10 / 255
# Least gain of a constant picture, over that of a random one, for the data to say anything of the picture's level.
SEES_CONSTANTS = 1e-6


@dataclass(frozen=True)
class Units:
    """The affine map between the data's own scale and working units: ``own = shift + scale * working``."""

    shift: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, data: Tensor, observed: Tensor) -> Units:
        """Map the range of what was seen to 0..1; a constant picture keeps its size as the scale."""
        if bool(observed.all()):
            low, high = (float(end) for end in data.aminmax())
        else:
            low = float(data.where(observed, torch.inf).amin())
            high = float(data.where(observed, -torch.inf).amax())
        return cls(low, high - low if high > low else max(abs(low), 1.0))

    def to_working(self, own: Tensor) -> Tensor:
        """From the data's own scale to working units."""
        return (own - self.shift).div_(self.scale)

    def to_own(self, working: Tensor) -> Tensor:
        """From working units to the data's own scale, in double precision."""
        return (working.double() * self.scale).add_(self.shift)


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
    keeps_known : bool
        Whether known pixels come back as they are, though they have noise.
    shares_noise : bool
        Whether neighbouring pixels share their noise, so that held-out ones cannot calibrate.
    shared_variance : Tensor or None, broadcastable to the picture
        Variance of an error that neighbouring pixels share, which held-out ones do not show.
    held_out_channels : Tensor of bool or None, shape (C,)
        The channels that are held out, where the others are seen at every missing pixel too; None for all.
    """

    y: Tensor
    operator: Operator
    noise: Noise
    held_out: Tensor | None = None
    units: Units = Units()
    keeps_known: bool = False
    shares_noise: bool = False
    shared_variance: Tensor | None = None
    held_out_channels: Tensor | None = None
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
        data, operator = as_missing_pixels(data, operator)
        units = working_units(data, operator, may_shift=_has_no_level(noise))
        if not operator.is_linear:
            operator = InUnits(operator, units.scale, units.shift)
            return cls(data / units.scale, operator, noise.rescaled(0.0, units.scale), units=units)
        if units.shift == 0 or _keeps_constants(operator, data):
            return cls(
                units.to_working(data), operator, noise.rescaled(units.shift, units.scale), units=units
            )
        # What a constant picture gives is taken from the data.
        ones = torch.ones(operator.input_channels or len(data), *operator.input_shape, dtype=data.dtype)
        level = operator.forward(units.shift * ones)
        y = torch.where(operator.observed.expand(data.shape), data - level, 0.0) / units.scale
        return cls(y, operator, noise.rescaled(0.0, units.scale), units=units)

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
    def seen_pixels(self) -> Tensor | None:
        """Of a blurred picture, the pixels where there are data, held-out ones among them: bool (*grid). None for any other operator."""
        whole = self.whole
        return None if blur_of(whole.operator) is None else whole.observed.any(0)

    @property
    def noise_variance(self) -> Tensor:
        """Of every entry of `y`: float64, its shape."""
        return self.noise.variance(self.y, self.operator.observed).double().expand(self.y.shape)

    @property
    def held_out_entries(self) -> Tensor:
        """Which entries of `y` are held out: bool, the shape of `y`; of a held-out pixel, the channels that were seen."""
        held_out = torch.zeros((), dtype=torch.bool) if self.held_out is None else self.hidden
        return self.whole.observed & held_out

    @property
    def hidden(self) -> Tensor:
        """What is declared missing besides in the training part, where entries are held out: bool, broadcastable to `y`."""
        assert self.held_out is not None
        if self.held_out_channels is None:
            return self.held_out
        return self.held_out & self.held_out_channels.reshape(-1, *[1] * self.held_out.ndim)

    @property
    def training(self) -> Problem:
        """The same problem with the held-out entries hidden from the method; itself where there are none."""
        if self.held_out is None or self._whole_operator is not None:
            return self
        operator = self.operator.with_held_out(self.hidden)
        return replace(self, operator=operator, _whole_operator=self.operator)

    @property
    def whole(self) -> Problem:
        """The problem of which this is the training part, with all that was observed; itself if it is whole."""
        if self._whole_operator is None:
            return self
        return replace(self, operator=self._whole_operator, _whole_operator=None)

    @property
    def is_precise(self) -> bool:
        """Whether the data have little noise, beside what the picture adds to them."""
        return noise_in_picture(self.y, self.operator, self.noise) < PRECISE

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


def noise_in_picture(y: Tensor, operator: Operator, noise: Noise) -> float:
    """Standard deviation of the noise of data as that of a picture: over what each of its pixels adds to them, root mean square.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Linear.
    noise : Noise

    Returns
    -------
    float
        In units of the picture; infinite for data that no picture changes.
    """
    seen = operator.observed.to(y.device).expand(y.shape)
    shape = (operator.input_channels or len(y), *operator.input_shape)
    random = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(y)
    answer = float(operator.forward(random)[seen].double().square().sum()) / random.numel()
    variance = float(noise.variance(y, seen).expand(y.shape)[seen].double().mean())
    return (variance / answer) ** 0.5 if answer > 0 else float("inf")


def working_units(data: Tensor, operator: Operator, *, may_shift: bool = True) -> Units:
    """Map the range of the observed data to 0..1, or of the picture where the two differ.

    Operators that keep a constant picture constant (masks, blurs and downsampling do) give data in the picture's range. For
    any other the range is that of a rough least-squares estimate of the picture. Then a picture in other units, and an
    operator times a number, make the same problem.

    Parameters
    ----------
    data : Tensor, shape (C, *operator.output_shape)
    operator : Operator
    may_shift : bool
        Whether a constant may be taken from data that are no averages of the picture: not where their noise goes by
        their level.

    Returns
    -------
    Units
    """
    observed = operator.observed.expand(data.shape)
    if operator.is_linear and _keeps_constants(operator, data):
        return Units.of(data, observed)
    seen = torch.where(observed, data, 0.0).double()
    picture = (_least_squares if operator.is_linear else _nonlinear_least_squares)(seen, operator)
    low, high = (float(q) for q in np.quantile(picture.numpy(), (DARK, BRIGHT)))
    if not (np.isfinite(low) and np.isfinite(high)) or max(-low, high) <= 0:
        return Units()
    from_zero = -BELOW_ZERO * high <= low <= ABOVE_ZERO * high
    if from_zero or not may_shift or not high > low:
        return Units(0.0, HEADROOM * max(-low, high))
    margin = (HEADROOM - 1) / 2 * (high - low)
    return Units(low - margin, high - low + 2 * margin)


def _has_no_level(noise: Noise) -> bool:
    """Whether the noise is the same on data less a constant."""
    return isinstance(noise, Gaussian) and not noise.is_clipped


def _keeps_constants(operator: Operator, data: Tensor) -> bool:
    """Whether a constant picture gives data of the same constant."""
    if isinstance(operator, Identity | Mask):
        return True
    observed = operator.observed.expand(data.shape)
    found = operator.forward(
        torch.ones(operator.input_channels or 1, *operator.input_shape, dtype=data.dtype)
    )
    one = torch.ones((), dtype=data.dtype)
    return torch.allclose(found.expand(data.shape)[observed], one, atol=KEEPS_CONSTANTS)


def _least_squares(data: Tensor, operator: Operator) -> Tensor:
    """A rough picture for these data (zero where not observed): a constant, and a few steps from there."""
    seen = operator.observed.expand(data.shape)

    def forward(x: Tensor) -> Tensor:
        return torch.where(seen, operator.forward(x), 0.0)

    shape = (operator.input_channels or len(data), *operator.input_shape)
    generator = torch.Generator().manual_seed(0)
    flat = torch.ones(shape, dtype=torch.float64)
    noisy = torch.randn(shape, generator=generator, dtype=torch.float64)
    ones, gain = forward(flat), float(forward(noisy).norm() / noisy.norm())
    x = torch.zeros_like(flat)
    if float(ones.norm() / flat.norm()) > SEES_CONSTANTS * gain:
        x = flat * (ones * data).sum() / ones.square().sum()
    first = None
    for number, (estimate, _, power) in enumerate(least_squares_steps(forward, operator.adjoint, data, x)):
        x, first = estimate, power if first is None else first
        if number == ROUGH_STEPS or power <= 1e-20 * first:
            break
    return x


def _nonlinear_least_squares(data: Tensor, operator: Operator) -> Tensor:
    """The same for an operator that is not linear: L-BFGS from the constant whose data are nearest to these."""
    seen, size = operator.observed.expand(data.shape), float(data.square().sum()) or 1.0
    flat = torch.ones(operator.input_channels or len(data), *operator.input_shape, dtype=torch.float64)
    largest = float(data.abs().max())

    def misfit(level: float) -> float:
        residual = torch.where(seen, operator.forward(level * flat).expand(data.shape) - data, 0.0)
        found = float(residual.square().sum())
        return found if np.isfinite(found) else np.inf

    gain = float(torch.where(seen, operator.forward(flat).expand(data.shape), 0.0).abs().max())
    level = largest / gain if largest > 0 and 0 < gain < np.inf else 1.0
    level = min((level * factor for factor in LEVELS), key=misfit)
    picture = flat.clone().requires_grad_()
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


def digest(problem: Problem) -> str:
    """A digest of the data, and of which of them are seen: tells a problem from others of one run.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    str
    """
    parts = (problem.y, problem.operator.observed)
    return " ".join(fingerprint(part.detach().cpu().resolve_conj().numpy())[:12] for part in parts)
