"""A basis for the filters of each convolution, in which the curvatures are all but independent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Basis:
    """Orthogonal coordinates of a filter bank, taken as a matrix: M features by N inputs of each.

    Stacked banks (K, M, ...) have a basis each.

    Attributes
    ----------
    left : Tensor, shape (M, M) or (K, M, M)
    right : Tensor, shape (N, N) or (K, N, N)
    """

    left: Tensor
    right: Tensor

    def into(self, bank: Tensor) -> Tensor:
        """The coordinates of a bank, in its shape."""
        return (self.left.mT @ as_matrix(bank, self.left.ndim - 2) @ self.right).view_as(bank)

    def back(self, coordinates: Tensor) -> Tensor:
        """The bank with these coordinates."""
        return (self.left @ as_matrix(coordinates, self.left.ndim - 2) @ self.right.mT).view_as(coordinates)


def as_matrix(bank: Tensor, stacked: int) -> Tensor:
    """A filter bank as a matrix, (M, N); with one axis `stacked` before it, (K, M, N)."""
    return bank.flatten(stacked + 1)


def eigenbasis(outer: Tensor, inner: Tensor) -> tuple[Basis, Tensor]:
    """Where a bank's gradients G are uncorrelated, as far as their mean products tell.

    Parameters
    ----------
    outer : Tensor, shape (M, M) or (K, M, M)
        Mean of ``G G^T``.
    inner : Tensor, shape (N, N) or (K, N, N)
        Mean of ``G^T G``.

    Returns
    -------
    Basis
        The eigenvectors of the two (Gupta, Koren, Singer, *Shampoo*, ICML 2018; Vyas et al., *SOAP*, ICLR 2025).
    Tensor, shape (M, N) or (K, M, N)
        Mean square of the gradient in each coordinate, if it is a product of what its row and its column say:
        ``a_i b_j / sum a`` for eigenvalues a and b.
    """
    a, left = torch.linalg.eigh(outer.cpu().double())
    b, right = torch.linalg.eigh(inner.cpu().double())
    rows, columns = a.clamp_min(0), b.clamp_min(0)
    total = rows.sum(-1)[..., None, None].clamp_min(1e-300)
    squares = rows[..., :, None] * columns[..., None, :] / total
    return Basis(left.to(outer), right.to(inner)), squares.to(outer)
