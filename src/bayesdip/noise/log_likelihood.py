"""Noise given by a likelihood of your own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise.noise import Noise, check_prediction

Likelihood = Callable[[Tensor, Tensor], Tensor]
Sampler = Callable[[Tensor, torch.Generator | None], Tensor]


def from_log_likelihood(
    f: Likelihood,
    *,
    variance: float | Any | Callable[[Tensor], Any] | None = None,
    sample: Sampler | None = None,
    name: str = "noise by a likelihood function",
) -> Noise:
    """Noise of which you know the likelihood.

    Parameters
    ----------
    f : callable
        ``f(y, mean)`` gives -log p(y | mean), up to terms free of `mean`: of every entry (a tensor of the shape of
        `mean`), or summed over all entries (a scalar). Both arguments are torch tensors of the same shape,
        (..., C, *grid), in the units of the data, and f must be differentiable in `mean` by torch. Entries must be
        independent. In a sum, entries without data stand at the mean of the others, with themselves for prediction:
        they add a constant.
    variance : float, array, Tensor, or callable, optional
        The variance of the noise for methods that assume Gaussian noise, in squared units of the data: one number,
        one for every entry (broadcastable to (C, *grid)), or a function of the data y that returns one of these. By
        default it follows from the slope of `f`, see :meth:`Noise.variance`.
    sample : callable, optional
        ``sample(mean, generator)`` draws data around `mean`, in the units of the data. Without it, what needs
        draws says so.
    name : str
        What summaries and reports call it.

    Returns
    -------
    Noise

    Raises
    ------
    BayesDipError
        If `variance` is negative or not finite. When it is used: if `f` returns no tensor or has no gradient, or if no
        variance follows from it.
    ShapeError
        When it is used: if `f` returns another shape.

    Examples
    --------
    Student's t distribution, for data with outliers:

    >>> import torch, bayesdip as bd
    >>> def student(y, mean, freedom=3.0, scale=0.1):
    ...     return (freedom + 1) / 2 * torch.log1p(((y - mean) / scale) ** 2 / freedom)
    >>> noise = bd.noise.from_log_likelihood(student, name="Student's t noise")
    >>> y = torch.tensor([[0.5, 0.5, 0.5, 2.5, 0.5, 0.5]])
    >>> noise.variance(y)[0, 2:4]           # the outlier counts for little
    tensor([0.0075, 1.0075])
    >>> float(noise.negative_log_likelihood(torch.full((1, 6), 0.5), y, torch.ones(1, 6, dtype=torch.bool)))
    9.80...
    """
    return LogLikelihood(f, variance, sample, name)


class LogLikelihood(Noise):
    """The noise that :func:`from_log_likelihood` returns; its parameters are those.

    Parameters
    ----------
    f : callable
    variance : float, array, Tensor, callable or None
    sample : callable or None
    name : str

    Raises
    ------
    BayesDipError
        If `variance` is negative or not finite.
    """

    def __init__(self, f: Likelihood, variance: Any, sample: Sampler | None, name: str) -> None:
        self.f = f
        self._variance = variance
        self._sample = sample
        self.name = name
        if variance is not None and not callable(variance):
            self._checked(as_tensor(variance))

    @property
    def is_gaussian_like(self) -> bool:
        return False  # or its likelihood need not have been written down

    def negative_log_likelihood(self, prediction: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        check_prediction(prediction, y)
        observed = observed.to(y.device).expand(y.shape)
        y = torch.where(observed, y, 0.0)
        # A value inside the data's range, where whatever f computes is likely to be defined.
        typical = y.sum() / observed.sum().clamp(min=1)
        y = torch.where(observed, y, typical)
        loss = self.loss(torch.where(observed, prediction, typical), y)
        return loss if loss.ndim == 0 else torch.where(observed, loss, 0.0).sum()

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """What `f` returns: -log p of every entry, or the sum of it."""
        found = self.f(y.expand(prediction.shape), prediction)
        if not isinstance(found, Tensor) or (prediction.requires_grad and not found.requires_grad):
            raise BayesDipError(
                f"the likelihood function returned {'a tensor without gradient' if isinstance(found, Tensor) else type(found).__name__}: "
                "expected a tensor that depends on the mean by torch operations; write it with these"
            )
        if found.ndim and found.shape != prediction.shape:
            raise ShapeError(
                f"the likelihood function returned shape {tuple(found.shape)} for data {tuple(prediction.shape)}: expected "
                "that shape, or a scalar; sum over all axes, or over none"
            )
        return found

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        if self._variance is None:
            return super().variance(y, observed)
        if not callable(self._variance):
            return as_tensor(self._variance).to(y)
        if observed is not None:
            y = torch.where(observed.to(y.device), y, 0.0)
        return self._checked(as_tensor(self._variance(y)).to(y))

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return super().sample(mean, generator) if self._sample is None else self._sample(mean, generator)

    def describe(self) -> str:
        return self.name

    def _checked(self, variance: Tensor) -> Tensor:
        if not bool((variance.isfinite() & (variance >= 0)).all()):
            raise BayesDipError(
                "the variance has negative or non-finite entries: expected numbers of at least 0; check them"
            )
        return variance
