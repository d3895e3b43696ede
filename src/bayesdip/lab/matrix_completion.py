"""Matrix completion: what a picture would be if it were nothing but a matrix of low rank."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def soft_impute(y: Tensor, observed: Tensor, *, held_out: Tensor, iterations: int = 100) -> Tensor:
    """Nuclear-norm completion (Mazumder, Hastie, Tibshirani, JMLR 2010, algorithm 1).

    ``X <- S_lambda(P_observed(Y) + P_missing(X))`` with the singular values soft-thresholded by
    lambda, for ever smaller lambda, each started from the last. The lambda with the smallest
    error on held-out entries is taken, and fitted again with them.

    Parameters
    ----------
    y : Tensor, shape (M, N)
    observed : Tensor of bool, shape (M, N)
    held_out : Tensor of bool, shape (M, N)
        Observed entries that choose lambda.
    """
    fitted = observed & ~held_out
    largest = float(torch.linalg.matrix_norm((y - _mean(y, fitted)) * fitted, 2))
    path = [largest * 0.7**k for k in range(1, 16)]
    found = _path(y, fitted, path, iterations)
    errors = [float((x - y)[held_out].square().mean()) for x in found]
    best = errors.index(min(errors))
    return _path(y, observed, path[: best + 1], iterations)[-1]


def _path(y: Tensor, observed: Tensor, path: list[float], iterations: int) -> list[Tensor]:
    mean = _mean(y, observed)
    x = torch.zeros_like(y)
    found = []
    for threshold in path:
        for _ in range(iterations):
            before = x
            u, s, vt = torch.linalg.svd(torch.where(observed, y - mean, x), full_matrices=False)
            x = (u * (s - threshold).clamp_min(0.0)) @ vt
            if float((x - before).norm()) <= 1e-4 * max(float(x.norm()), 1e-12):
                break
        found.append(x + mean)
    return found


def _mean(y: Tensor, observed: Tensor) -> Tensor:
    return y[observed].mean()


def deep_factorisation(
    y: Tensor,
    observed: Tensor,
    *,
    held_out: Tensor,
    generator: torch.Generator,
    depth: int = 3,
    steps: int = 2000,
    learning_rate: float = 1e-3,
    scale: float = 1e-2,
) -> Tensor:
    """A product of ``depth`` square matrices fitted to what is observed (Arora et al., NeurIPS 2019).

    Gradient descent (by Adam) from a small start prefers low rank, the more the deeper the
    product. The step with the smallest error on held-out entries is taken.

    Parameters
    ----------
    scale : float
        Standard deviation of the product's entries at the start, about.
    """
    rows, columns = y.shape
    inner = max(rows, columns)
    sizes = [rows, *[inner] * (depth - 1), columns]
    std = scale ** (1 / depth) * inner ** (-(depth - 1) / (2 * depth))
    factors = [(std * torch.randn(a, b, generator=generator)).requires_grad_() for a, b in pairwise(sizes)]
    fitted = observed & ~held_out
    mean = _mean(y, fitted)
    optimiser = torch.optim.Adam(factors, lr=learning_rate)
    best, lowest = torch.zeros_like(y), float("inf")
    for step in range(steps):
        product = factors[0]
        for factor in factors[1:]:
            product = product @ factor
        residual = product + mean - y
        loss = residual[fitted].square().mean()
        for factor, gradient in zip(factors, torch.autograd.grad(loss, factors), strict=True):
            factor.grad = gradient
        optimiser.step()
        if step % 10 == 0 or step == steps - 1:
            error = float(residual.detach()[held_out].square().mean())
            if error < lowest:
                best, lowest = (product.detach() + mean).clone(), error
    return best
