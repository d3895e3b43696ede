"""The colours of a picture, which are differences of its channels: they have its noise, and little of its texture."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.noise.estimated_covariance import MOST_CHANNELS, opponent_basis


def colours_of(picture: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """The colours, for each the mean brightness that its noise goes with, and where they are seen.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
    seen : Tensor of bool, shape (C, *grid)

    Returns
    -------
    tuple of Tensor, each of shape (C - 1, *grid), or None
        Where each channel has white noise of the same level, each colour has it too. Where the variance in each channel is
        ``a * brightness + b``, so it is in each colour, with that mean of the channels' brightness. None for a single channel and
        for more than a picture in colour has.
    """
    if not 1 < len(picture) <= MOST_CHANNELS:
        return None
    basis = torch.from_numpy(opponent_basis(len(picture))[1:]).to(picture)
    whole = seen.all(0, keepdim=True)
    known = torch.where(whole, picture, 0.0)
    colours, brightness = (torch.tensordot(b, known, dims=1) for b in (basis, basis.square()))
    return colours, brightness, whole.expand(colours.shape)
