"""Moment estimates of a prior's variances, the first guess of its scale."""

from __future__ import annotations

import torch
from torch import Tensor


def colour_covariance(data: Tensor, seen: Tensor, noise: Tensor, unit: float) -> Tensor:
    """Covariance between the channels of the noise-free picture, (C, C), positive definite.

    The covariance of the entries that two channels both see, less the noise on the diagonal.

    Parameters
    ----------
    data, noise : Tensor, shape (C, *output)
        The data, zero where not seen, and the variance of their noise.
    seen : Tensor of bool, shape (C, *output)
    unit : float
        The variance of an entry of the data for a picture of unit variance, without noise.

    Returns
    -------
    Tensor, shape (C, C)
    """
    marks = seen.flatten(1).to(data)
    centred = (data.flatten(1) - _mean(data.flatten(1), marks)[:, None]) * marks
    common = marks @ marks.T
    total = centred @ centred.T / common.clamp(min=1)
    power = _mean(noise.flatten(1) * marks, marks)
    signal = total - power.diag()
    floor = _floor(total.diagonal(), power)
    signal.diagonal().clamp_(min=0).add_(floor)
    values, vectors = torch.linalg.eigh((signal + signal.T) / 2)
    # Pairs of channels that share no pixel can make it indefinite; no direction may vanish either.
    values = values.clamp(min=1e-4 * float(values.max()))
    B: Tensor = (vectors * values) @ vectors.T / unit
    return B


def amplitudes(data: Tensor, seen: Tensor, noise: Tensor, unit: float) -> Tensor:
    """The variance of each channel of the noise-free picture, (C,): the data's less the noise's."""
    marks = seen.flatten(1).to(data)
    centred = (data.flatten(1) - _mean(data.flatten(1), marks)[:, None]) * marks
    total, power = _mean(centred.square(), marks), _mean(noise.flatten(1) * marks, marks)
    return ((total - power).clamp(min=0) + _floor(total, power)) / unit


def _floor(total: Tensor, noise: Tensor) -> Tensor:
    """The least variance of a picture beside noise: its standard deviation is a tenth of the smaller one of data and noise."""
    low = 0.01 * torch.minimum(total, noise)
    return torch.where(total > 0, low, torch.where(noise > 0, 0.01 * noise, torch.ones_like(noise)))


def _mean(values: Tensor, marks: Tensor) -> Tensor:
    return (values * marks).sum(1) / marks.sum(1)
