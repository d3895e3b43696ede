"""A measurement given by a function, with or without its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.linear_map import linear
from bayesdip.operators.operator import Operator, as_grid
from bayesdip.operators.pairs import joined_parts, stacked_parts

# Largest relative error of linearity and of the dot-product test. Functions that compute in single precision
# inside stay below 1e-5; a wrong sign, scale or shift is of the order of 1.
TOLERANCE = 1e-4

Function = Callable[[Any], Any]


def from_function(
    f: Function,
    input_shape: Sequence[int],
    output_shape: Sequence[int] | None = None,
    adjoint: Function | None = None,
    *,
    input_channels: int | None = None,
    output_channels: int | None = None,
    linear: bool = True,
    batched: bool = False,
) -> Operator:
    """An operator of a function of your own.

    Parameters
    ----------
    f : callable
        From one picture, a tensor of shape (*input_shape), or (input_channels, *input_shape) where that number
        is given, to its measurements. A function of torch tensors, or of NumPy arrays; the latter needs its
        `adjoint`. Called with random pictures here, to learn what it returns.
    input_shape : sequence of int
        The picture's grid, without channels.
    output_shape : sequence of int, optional
        The grid of the measurements, without channels. By default what `f` returns.
    adjoint : callable, optional
        From measurements, shaped as `f` returns them, to pictures: ``<f(x), y> = <x, adjoint(y)>``. By default
        `f` is differentiated, at the cost of one call of it.
    input_channels : int, optional
        Channels of the picture, if `f` acts on all of them together; the first axis of what it returns is then
        channels too. None: `f` is called for every channel on its own.
    output_channels : int, optional
        Channels of the measurements. By default what `f` returns.
    linear : bool
        False for a function that is not linear: it needs no adjoint, and suits ``sgld`` and ``map`` only.
    batched : bool
        Whether `f` and `adjoint` take one more axis in front, of any length, and treat its entries alike. Saves
        time: by default they are called for one picture at a time.

    Returns
    -------
    Operator
        If `f` returns complex numbers, their real and imaginary parts are channels of the measurements: first
        all real parts, then all imaginary ones, twice as many channels as `f` returns
        (:func:`bayesdip.operators.as_pairs` brings data into this form). The adjoint fits that: its argument is joined
        to complex numbers for `adjoint`, and of what that returns the real part counts.

    Raises
    ------
    BayesDipError
        `f` is not linear, or `adjoint` is not its adjoint; a NumPy function came without an adjoint; `f` fails on a
        picture of the shape that was given.
    ShapeError
        `f` returns something of another shape than was said.

    Examples
    --------
    >>> import torch, bayesdip as bd
    >>> A = bd.operators.from_function(lambda x: x.cumsum(-1), (3,))
    >>> A.adjoint(torch.tensor([1.0, 0.0, 2.0]))
    tensor([3., 2., 2.])

    Every second frequency of a picture, as in magnetic resonance imaging:

    >>> mri = bd.operators.from_function(lambda x: torch.fft.fft2(x, norm="ortho")[::2], (8, 8))
    >>> mri
    FunctionOperator(1 channel of 8x8 -> 2 channels of 4x8)
    """
    if not linear and adjoint is not None:
        raise BayesDipError(
            "an adjoint was given with linear=False: expected one or the other; leave one out"
        )
    if output_channels is not None and input_channels is None:
        raise BayesDipError(
            f"output_channels is {output_channels} and input_channels is None: expected both or neither; "
            "give input_channels=1 for a gray picture"
        )
    grid = as_grid(input_shape)
    given = grid if input_channels is None else (input_channels, *grid)
    probe = _Probe.of(f, given, batched)
    if probe.is_numpy and adjoint is None:
        raise BayesDipError(
            "f is a function of NumPy arrays without an adjoint: expected a function of torch tensors, or an adjoint; "
            + ("give adjoint=" if linear else "write it with torch, so that it can be differentiated")
        )
    found = probe.y.shape if input_channels is None else probe.y.shape[1:]
    channels = None if input_channels is None or not probe.y.ndim else probe.y.shape[0]
    if output_shape is not None and tuple(found) != as_grid(output_shape):
        raise ShapeError(
            f"f returned shape {tuple(probe.y.shape)} and output_shape is {tuple(output_shape)}: expected the same grid"
            f"{'' if input_channels is None else ' behind the channels'}; correct one of the two"
        )
    if not found:
        raise ShapeError(
            f"f returned shape {tuple(probe.y.shape)}: expected at least one axis"
            f"{'' if input_channels is None else ' behind the channels'}; return numbers in an axis of their own"
        )
    if output_channels not in (None, channels, 2 * channels if channels and probe.y.is_complex() else None):
        raise ShapeError(
            f"f returned {channels} channels and output_channels is {output_channels}: expected the same; "
            "correct one of the two"
        )
    operator = FunctionOperator(
        probe.call(f),
        None if adjoint is None else probe.call(adjoint),
        grid,
        tuple(found),
        input_channels=input_channels,
        output_channels=channels,
        is_complex=probe.y.is_complex(),
        is_linear=linear,
    )
    if linear:
        check_linear(operator, probe.dtype)
        check_adjoint(operator, probe.dtype)
    return operator


class FunctionOperator(Operator):
    """An operator of functions on batches; :func:`from_function` and its kin build it.

    Parameters
    ----------
    f : callable
        (B, *input_shape) to (B, *output_shape), or (B, C, ...) with channels; its result may be complex.
    adjoint : callable or None
        Its adjoint on batches. None: `f` is differentiated.
    input_shape, output_shape : sequence of int
    input_channels, output_channels : int or None
        As `f` sees them. Outside, complex measurements have twice as many, and at least one.
    is_complex : bool
        Whether `f` returns complex numbers.
    is_linear : bool
    """

    def __init__(
        self,
        f: Function,
        adjoint: Function | None,
        input_shape: Sequence[int],
        output_shape: Sequence[int],
        *,
        input_channels: int | None = None,
        output_channels: int | None = None,
        is_complex: bool = False,
        is_linear: bool = True,
    ) -> None:
        self._f = f
        self._f_adjoint = adjoint
        self._has_channels = input_channels is not None
        self._is_complex = is_complex
        if is_complex:
            input_channels, output_channels = input_channels or 1, 2 * (output_channels or 1)
        super().__init__(
            input_shape, output_shape, input_channels=input_channels, output_channels=output_channels
        )
        self.is_linear = is_linear

    def forward(self, x: Tensor) -> Tensor:
        if self._f_adjoint is None:
            return self._forward(x)
        return linear(x, self._forward, self._adjoint)

    def adjoint(self, y: Tensor) -> Tensor:
        if self._f_adjoint is None:
            return super().adjoint(y)
        return linear(y, self._adjoint, self._forward)

    def _forward(self, x: Tensor) -> Tensor:
        return self._on_batch(self._f, x, self.input_channels, self.input_shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        assert self._f_adjoint is not None
        return self._on_batch(self._f_adjoint, y, self.output_channels, self.output_shape)

    def _on_batch(self, f: Function, x: Tensor, channels: int | None, grid: tuple[int, ...]) -> Tensor:
        """`f`, one of the two functions, on (..., [channels], *grid)."""
        to_data = f is self._f
        item = grid if channels is None else (channels, *grid)
        batch = x.reshape(-1, *item)
        if not to_data and self._is_complex:
            batch = joined_parts(batch, 1)
        if channels is not None and not self._has_channels:
            batch = batch.squeeze(1)
        found = as_tensor(f(batch)).to(x.device)
        if to_data and self._is_complex:
            found = stacked_parts(found if self._has_channels else found.unsqueeze(1), 1)
        elif found.is_complex():
            found = found.real  # the part of the adjoint that belongs to a real picture
        if not to_data and self._is_complex and not self._has_channels:
            found = found.unsqueeze(1)
        return found.to(x.dtype).reshape(*x.shape[: x.ndim - len(item)], *found.shape[1:])


class _Probe:
    """What is learnt about a function by calling it once.

    Attributes
    ----------
    y : Tensor
        What it returned for one picture.
    dtype : torch.dtype
        float64, or float32 if it takes no other.
    is_numpy : bool
        Whether it wants arrays.
    """

    def __init__(self, y: Tensor, dtype: torch.dtype, is_numpy: bool, batched: bool) -> None:
        self.y, self.dtype, self.is_numpy, self.batched = y, dtype, is_numpy, batched

    @classmethod
    def of(cls, f: Function, given: tuple[int, ...], batched: bool) -> _Probe:
        x = torch.randn(given, generator=_seeded(), dtype=torch.float64)
        x = x[None] if batched else x
        failure: Exception | None = None
        for dtype, is_numpy in ((torch.float64, False), (torch.float32, False), (torch.float64, True)):
            try:
                with torch.no_grad():
                    y = f(x.numpy() if is_numpy else x.to(dtype))
            except Exception as error:  # whatever it is, another kind of input may suit the function
                failure = failure or error
                continue
            if isinstance(y, np.ndarray if is_numpy else Tensor):
                return cls(as_tensor(y)[0] if batched else as_tensor(y), dtype, is_numpy, batched)
        raise BayesDipError(
            f"f failed on a picture of shape {tuple(x.shape)}, or returned neither a tensor nor an array: expected it "
            f"to take tensors or arrays of that shape and return one; correct f or input_shape"
            + (f" ({type(failure).__name__}: {failure})" if failure else "")
        ) from failure

    def call(self, f: Function) -> Function:
        """`f`, on a batch of tensors of any precision."""

        def on_one(x: Tensor) -> Tensor:
            if self.is_numpy:
                return as_tensor(f(x.detach().cpu().numpy()))
            if self.dtype == torch.float32:
                x = x.to(torch.complex64 if x.is_complex() else torch.float32)
            y = f(x)
            if not isinstance(y, Tensor):
                raise BayesDipError(
                    f"the function returned a {type(y).__name__}: expected a tensor, as it was given one; convert it"
                )
            return y

        if self.batched:
            return on_one
        return lambda batch: torch.stack([on_one(x) for x in batch])


def check_linear(operator: Operator, dtype: torch.dtype = torch.float64) -> None:
    """Raise unless ``A (u - 2 v) = A u - 2 A v`` for random u and v.

    Parameters
    ----------
    operator : Operator
    dtype : torch.dtype
        The precision to compute in.

    Raises
    ------
    BayesDipError
        If the two differ by more than `TOLERANCE` of them, or are not finite.
    """
    u, v = _random(operator.input_channels, operator.input_shape, dtype, 2)
    with torch.no_grad():
        one, two, both = operator.forward(u), operator.forward(v), operator.forward(u - 2 * v)
    error = float((both - one + 2 * two).norm())
    if not error <= TOLERANCE * float(one.norm() + two.norm()):
        raise BayesDipError(
            f"{operator!r} is not linear: expected f(u - 2 v) to be f(u) - 2 f(v), and the difference is "
            f"{error / max(float(one.norm() + two.norm()), 1e-300):.2g} of them; give linear=False, or subtract what f adds"
        )


def check_adjoint(operator: Operator, dtype: torch.dtype = torch.float64) -> None:
    """Raise unless ``<A x, y> = <x, A^T y>`` for a random x and for ``y = A x + r``, r random of the same size.

    With r alone both sides of a large operator would be small by chance, and a wrong adjoint could pass.

    Parameters
    ----------
    operator : Operator
    dtype : torch.dtype
        The precision to compute in.

    Raises
    ------
    BayesDipError
        If the two differ by more than `TOLERANCE` of ``|A x| |y|``, or the adjoint fails.
    """
    (x,) = _random(operator.input_channels, operator.input_shape, dtype, 1)
    (r,) = _random(operator.output_channels, operator.output_shape, dtype, 1)
    with torch.no_grad():
        y = operator.forward(x)
        size = float(y.norm())
        y = y + r * (size / float(r.norm()) if size > 0 else 1.0)
        one, two = float((operator.forward(x) * y).sum()), float((x * operator.adjoint(y)).sum())
    if not abs(one - two) <= TOLERANCE * max(size * float(y.norm()), 1e-300):
        raise BayesDipError(
            f"the adjoint of {operator!r} is not its adjoint: expected <f(x), y> = <x, adjoint(y)>, and for random x "
            f"and y they are {one:.6g} and {two:.6g}; correct it, or leave it out to have f differentiated"
        )


def _random(
    channels: int | None, grid: tuple[int, ...], dtype: torch.dtype, count: int
) -> tuple[Tensor, ...]:
    item = grid if channels is None else (channels, *grid)
    values = torch.randn(count * prod(item), generator=_seeded(1), dtype=torch.float64)
    return tuple(values.to(dtype).reshape(count, *item))


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
