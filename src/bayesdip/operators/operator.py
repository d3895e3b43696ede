"""What a linear measurement is, and how two of them compose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError


class Operator(ABC):
    """A linear map ``A`` from a picture's grid to a grid of measurements.

    The grids carry no channels: an operator acts on the last ``len(input_shape)`` axes and
    treats whatever stands before them (channels, batches) alike. Device and dtype follow
    the input.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        The grids of the picture and of the measurements.
    """

    def __init__(self, input_shape: Sequence[int], output_shape: Sequence[int]) -> None:
        self.input_shape = as_grid(input_shape)
        self.output_shape = as_grid(output_shape)

    def forward(self, x: Tensor) -> Tensor:
        """``A x``: (..., *input_shape) to (..., *output_shape).

        Raises
        ------
        ShapeError
            If the last axes of `x` are not ``input_shape``.
        """
        check_grid(self, x, self.input_shape, "forward")
        return self._forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """``A^T y``: (..., *output_shape) to (..., *input_shape); <A x, y> = <x, A^T y>.

        Raises
        ------
        ShapeError
            If the last axes of `y` are not ``output_shape``.
        """
        check_grid(self, y, self.output_shape, "adjoint")
        return self._adjoint(y)

    @property
    def observed(self) -> Tensor:
        """Which outputs are real measurements: bool, (*output_shape) or (C, *output_shape), on the CPU."""
        return self.observed_given(torch.ones(self.input_shape, dtype=torch.bool))

    def observed_given(self, inputs: Tensor) -> Tensor:
        """Which outputs are real measurements, when only `inputs` (bool) of the inputs are.

        An output that mixes several inputs counts as measured, for a mask below it sets the
        lost ones to a known zero. Operators that keep pixels apart say otherwise.
        """
        return torch.ones(self.output_shape, dtype=torch.bool)

    def with_held_out(self, held_out: Tensor) -> Operator:
        """The same measurement with more outputs declared missing, to be held out.

        Parameters
        ----------
        held_out : Tensor of bool, broadcastable to (C, *output_shape)
            True where an output is to be held_out.
        """
        from bayesdip.operators.pixelwise import Mask  # Mask is itself an Operator

        return Mask(held_out, shape=self.output_shape) @ self

    def __matmul__(self, inner: Operator) -> Operator:
        """``A @ B`` applies B first."""
        return Compose(self, inner)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_words(self.input_shape)} -> {_words(self.output_shape)})"

    @abstractmethod
    def _forward(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _adjoint(self, y: Tensor) -> Tensor: ...


class Compose(Operator):
    """``outer @ inner``: `inner` acts first.

    Raises
    ------
    ShapeError
        If what `inner` gives is not what `outer` takes.
    """

    def __init__(self, outer: Operator, inner: Operator) -> None:
        if outer.input_shape != inner.output_shape:
            raise ShapeError(
                f"{outer!r} cannot follow {inner!r}: it takes {_words(outer.input_shape)} and is given "
                f"{_words(inner.output_shape)}; build the outer operator for that shape"
            )
        super().__init__(inner.input_shape, outer.output_shape)
        self.outer = outer
        self.inner = inner

    def _forward(self, x: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def observed_given(self, inputs: Tensor) -> Tensor:
        return self.outer.observed_given(self.inner.observed_given(inputs))

    def with_held_out(self, held_out: Tensor) -> Operator:
        return Compose(self.outer.with_held_out(held_out), self.inner)

    def __repr__(self) -> str:
        return f"{self.outer!r} @ {self.inner!r}"


def as_grid(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape` as a tuple of at least one positive int."""
    grid = tuple(int(n) for n in shape)
    if not grid or min(grid) < 1:
        raise ShapeError(
            f"shape is {grid}: expected one or more lengths of at least 1; give the picture's grid"
        )
    return grid


def check_grid(operator: Operator, x: Tensor, grid: tuple[int, ...], verb: str) -> None:
    """Raise unless the last axes of `x` are `grid` and it holds floating-point numbers."""
    if tuple(x.shape[-len(grid) :]) != grid:
        raise ShapeError(
            f"{type(operator).__name__}.{verb} was given shape {tuple(x.shape)}: expected the last axes to be "
            f"{grid}; build the operator for the picture's grid, or crop the picture"
        )
    if not x.is_floating_point():
        raise BayesDipError(
            f"{type(operator).__name__}.{verb} was given {x.dtype}: expected floating point; convert it with .float()"
        )


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
