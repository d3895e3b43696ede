"""Measurements of other libraries: matrices, and linear operators of SciPy and PyLops."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.function import FunctionOperator, check_adjoint, check_linear
from bayesdip.operators.linear_map import Constant
from bayesdip.operators.operator import Operator, as_grid


def from_matrix(
    matrix: Any,
    input_shape: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    *,
    input_channels: int | None = None,
    output_channels: int | None = None,
) -> Operator:
    """An operator of a matrix.

    Parameters
    ----------
    matrix : array, Tensor, or SciPy sparse matrix or array, shape (m, n)
        Real or complex. It multiplies a picture that is flattened row by row (C order), channels first.
    input_shape : sequence of int, optional
        The picture's grid, of n entries; with `input_channels`, of n / input_channels. By default one axis.
    output_shape : sequence of int, optional
        The grid of the measurements, of m entries, or m / output_channels. By default one axis.
    input_channels, output_channels : int, optional
        For a matrix that acts on channels: how many the picture has, and how many the rows of the matrix stand for.
        `output_channels` is 1 by default. Without them every channel is multiplied on its own.

    Returns
    -------
    Operator
        A complex matrix gives the real parts of all channels, then the imaginary parts: twice as many channels
        outside, see :func:`from_function`.

    Raises
    ------
    ShapeError
        The shapes do not fit the matrix.
    BayesDipError
        The matrix is not finite.

    Examples
    --------
    >>> import numpy as np, bayesdip as bd
    >>> A = bd.operators.from_matrix(np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]), (2, 2))
    >>> A.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([3., 7.])
    """
    shape: tuple[int, ...]
    if sparse.issparse(matrix):
        rows = cast(Any, matrix).tocsr()
        forward, adjoint = sparse_products(rows)
        entries, shape = as_tensor(rows.data), rows.shape
    else:
        entries = as_tensor(matrix)
        if entries.ndim != 2:
            raise ShapeError(
                f"the matrix has shape {tuple(entries.shape)}: expected two axes, (measurements, pixels); reshape it"
            )
        shape = tuple(entries.shape)
        forward, adjoint = _dense_products(entries)
    if not entries.isfinite().all():
        raise BayesDipError(
            "the matrix has entries that are NaN or infinite: expected numbers; clean it first"
        )
    return _flat(
        forward,
        adjoint,
        _Shapes.of(shape, input_shape, output_shape, input_channels, output_channels),
        is_complex=entries.is_complex(),
    )


def from_scipy(
    operator: Any,
    input_shape: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    *,
    input_channels: int | None = None,
    output_channels: int | None = None,
) -> Operator:
    """An operator of a ``scipy.sparse.linalg.LinearOperator``, or of anything that has what it has.

    Computed by NumPy on the CPU, whatever device the tensors are on. Its derivative is its adjoint, so that every
    method can use it.

    Parameters
    ----------
    operator : LinearOperator, shape (m, n)
        Its ``matvec`` (or ``matmat``) is the forward map, its ``rmatvec`` (or ``rmatmat``) the adjoint. Complex ones
        as in :func:`from_matrix`.
    input_shape, output_shape : sequence of int, optional
        As in :func:`from_matrix`.
    input_channels, output_channels : int, optional
        As in :func:`from_matrix`.

    Returns
    -------
    Operator

    Raises
    ------
    ShapeError
        The shapes do not fit the operator.
    BayesDipError
        It has no ``rmatvec``, or that is not its adjoint, or it is not linear.

    Examples
    --------
    >>> import numpy as np, bayesdip as bd
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> A = bd.operators.from_scipy(aslinearoperator(np.array([[1.0, -1.0, 0.0]])))
    >>> A.adjoint(np.array([2.0]))
    array([ 2., -2.,  0.])
    """
    found = _flat(
        lambda x: operator.matmat(x.detach().cpu().numpy().T).T,
        lambda y: operator.rmatmat(y.detach().cpu().numpy().T).T,
        _Shapes.of(operator.shape, input_shape, output_shape, input_channels, output_channels),
        is_complex=np.issubdtype(operator.dtype, np.complexfloating),
    )
    check_linear(found)
    try:
        check_adjoint(found)
    except (NotImplementedError, TypeError, AttributeError) as error:
        raise BayesDipError(
            f"{operator!r} has no adjoint ({type(error).__name__}: {error}): expected one; give rmatvec to the "
            "LinearOperator"
        ) from error
    return found


def from_pylops(
    operator: Any, *, input_channels: int | None = None, output_channels: int | None = None
) -> Operator:
    """An operator of PyLops, its grids being the operator's ``dims`` and ``dimsd``.

    Parameters
    ----------
    operator : pylops.LinearOperator
    input_channels : int, optional
        For an operator that acts on channels, which are then the first of its ``dims``.
    output_channels : int, optional
        Channels of the measurements, which are then the first of its ``dimsd``. By default it has one, and ``dimsd`` is
        the grid.

    Returns
    -------
    Operator
        As of :func:`from_scipy`.

    Raises
    ------
    ShapeError
        The first axis of ``dims`` or ``dimsd`` is not of that many channels.
    BayesDipError
        As from :func:`from_scipy`.
    """
    before, after = tuple(operator.dims), tuple(operator.dimsd)
    for name, channels, dims in (("input", input_channels, before), ("output", output_channels, after)):
        if channels is not None and (len(dims) < 2 or dims[0] != channels):
            raise ShapeError(
                f"{name}_channels is {channels} and the operator has {dims}: expected channels to be its first axis, "
                "and a grid behind them; give the operator such dims and dimsd"
            )
    before = before if input_channels is None else before[1:]
    after = after if output_channels is None else after[1:]
    return from_scipy(operator, before, after, input_channels=input_channels, output_channels=output_channels)


class _Shapes:
    """The grids and channels of an operator of a matrix (m, n)."""

    def __init__(
        self,
        given: tuple[int, ...],
        taken: tuple[int, ...],
        channels_in: int | None,
        channels_out: int | None,
    ) -> None:
        self.input_shape, self.output_shape = given, taken
        self.input_channels, self.output_channels = channels_in, channels_out

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        input_shape: Sequence[int] | None,
        output_shape: Sequence[int] | None,
        input_channels: int | None,
        output_channels: int | None,
    ) -> _Shapes:
        if output_channels is not None and input_channels is None:
            raise BayesDipError(
                f"output_channels is {output_channels} and input_channels is None: expected both or neither; "
                "give input_channels=1 for a gray picture"
            )
        if input_channels is not None:
            output_channels = output_channels or 1
        rows, columns = shape
        return cls(
            _grid("input", input_shape, columns, input_channels, "columns"),
            _grid("output", output_shape, rows, output_channels, "rows"),
            input_channels,
            output_channels,
        )


def _grid(
    name: str, shape: Sequence[int] | None, size: int, channels: int | None, lines: str
) -> tuple[int, ...]:
    """The grid of `size` entries in all; by default one axis."""
    grid = as_grid((max(1, size // (channels or 1)),) if shape is None else shape)
    if prod(grid) * (channels or 1) != size:
        times = "" if channels is None else f" times {channels} channels"
        raise ShapeError(
            f"{name}_shape is {grid}{times} and the matrix has {size} {lines}: expected as many entries as {lines}; "
            f"give {name}_shape and {name}_channels that fit"
        )
    return grid


def _flat(
    forward: Callable[[Tensor], Any], adjoint: Callable[[Tensor], Any], shapes: _Shapes, *, is_complex: bool
) -> FunctionOperator:
    """The operator of two functions of flattened pictures, (B, n) to (B, m) and back."""

    def shaped(
        f: Callable[[Tensor], Any], channels: int | None, grid: tuple[int, ...]
    ) -> Callable[[Tensor], Tensor]:
        item = grid if channels is None else (channels, *grid)
        return lambda x: as_tensor(f(x.flatten(1))).reshape(len(x), *item)

    return FunctionOperator(
        shaped(forward, shapes.output_channels, shapes.output_shape),
        shaped(adjoint, shapes.input_channels, shapes.input_shape),
        shapes.input_shape,
        shapes.output_shape,
        input_channels=shapes.input_channels,
        output_channels=shapes.output_channels,
        is_complex=is_complex,
    )


def _dense_products(matrix: Tensor) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """``A x`` and ``A^H y`` of rows x and y."""
    held = Constant(matrix.to(torch.complex128 if matrix.is_complex() else torch.float64))

    def like(x: Tensor) -> Tensor:
        return held.on(
            x.device, torch.promote_types(x.dtype, torch.complex32) if matrix.is_complex() else x.dtype
        )

    return lambda x: x.to(like(x).dtype) @ like(x).T, lambda y: y @ like(y).conj()


def sparse_products(matrix: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """``A x`` and ``A^H y`` of rows x and y, of a SciPy sparse matrix in CSR form, on the device of the input."""
    one, other = _compressed(matrix), _compressed(matrix.conj().T.tocsr())

    def product(held: Constant, x: Tensor) -> Tensor:
        # There are no sparse products in half precision on the CPU.
        dtype = torch.promote_types(x.dtype, torch.complex64 if held.value.is_complex() else torch.float32)
        return (held.on(x.device, dtype) @ x.to(dtype).T).T

    return lambda x: product(one, x), lambda y: product(other, y)


def _compressed(matrix: Any) -> Constant:
    starts, columns = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
    values = torch.from_numpy(
        matrix.data.astype(np.complex128 if np.iscomplexobj(matrix.data) else np.float64)
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return Constant(
            torch.sparse_csr_tensor(starts, columns, values, size=matrix.shape, check_invariants=False)
        )
