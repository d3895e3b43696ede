"""Coordinates of each filter bank in which gradients are nearly uncorrelated: those of Shampoo and SOAP.

A sampler's preconditioner is diagonal in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Basis:
    """Orthogonal coordinates of a filter bank, taken as a matrix: M output features by N inputs of each.

    These are the eigenbases of Shampoo (Gupta, Koren, Singer, ICML 2018) in which SOAP (Vyas et al., ICLR 2025) runs
    Adam. In an ensemble, banks (K, M, ...) have a basis each.

    Attributes
    ----------
    left : Tensor, shape (M, M) or (K, M, M)
    right : Tensor, shape (N, N) or (K, N, N)
    """

    left: Tensor
    right: Tensor

    def into(self, bank: Tensor) -> Tensor:
        """The coordinates of a bank.

        Parameters
        ----------
        bank : Tensor, shape (M, ...) or (K, M, ...)

        Returns
        -------
        Tensor, shape of `bank`
        """
        return (self.left.mT @ as_matrix(bank, self.left.ndim - 2) @ self.right).view_as(bank)

    def back(self, coordinates: Tensor) -> Tensor:
        """The bank with these coordinates.

        Parameters
        ----------
        coordinates : Tensor, shape (M, ...) or (K, M, ...)

        Returns
        -------
        Tensor, shape of `coordinates`
        """
        return (self.left @ as_matrix(coordinates, self.left.ndim - 2) @ self.right.mT).view_as(coordinates)


def as_matrix(bank: Tensor, leading: int) -> Tensor:
    """A filter bank (M, ...) as a matrix, (M, N); with one `leading` axis of an ensemble, (K, M, N)."""
    return bank.flatten(leading + 1)


def eigenbasis(outer: Tensor, inner: Tensor) -> tuple[Basis, Tensor]:
    """Coordinates in which a bank's gradients G are uncorrelated, as far as their mean products show.

    Parameters
    ----------
    outer : Tensor, shape (M, M) or (K, M, M)
        Mean of ``G G^T``.
    inner : Tensor, shape (N, N) or (K, N, N)
        Mean of ``G^T G``.

    Returns
    -------
    Basis
        The eigenvectors of the two.
    Tensor, shape (M, N) or (K, M, N)
        Mean square of the gradient in each coordinate, taken as a product of a factor for its row and one for its column:
        ``a_i b_j / sum a`` for eigenvalues a and b.
    """
    a, left = torch.linalg.eigh(outer.cpu().double())
    b, right = torch.linalg.eigh(inner.cpu().double())
    rows, columns = a.clamp_min(0), b.clamp_min(0)
    total = rows.sum(-1)[..., None, None].clamp_min(1e-300)
    squares = rows[..., :, None] * columns[..., None, :] / total
    return Basis(left.to(outer), right.to(inner)), squares.to(outer)
