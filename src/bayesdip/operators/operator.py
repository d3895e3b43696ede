"""What a measurement is, and how two of them compose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import as_tensor, like_given
from bayesdip.errors import BayesDipError, ShapeError

Verb = Callable[[Any, Tensor], Tensor]


def _checked(verb: Verb) -> Verb:
    """`verb`, "forward" or "adjoint" of an operator, with its input and output checked, and taking arrays too."""

    @wraps(verb)
    def apply(self: Operator, x: Tensor) -> Tensor:
        if verb.__name__ == "forward":
            given = (self.input_channels, self.input_shape)
            expected = (self.output_channels, self.output_shape)
        else:
            if not self.is_linear:
                raise BayesDipError(
                    f"{self!r} is not linear: expected a linear operator where an adjoint is needed; use the method "
                    "sgld or map, which need the forward map only"
                )
            given = (self.output_channels, self.output_shape)
            expected = (self.input_channels, self.input_shape)
        name = f"{type(self).__name__}.{verb.__name__}"
        values = as_tensor(x)
        if values.is_complex():
            raise BayesDipError(
                f"{name} was given {values.dtype}: expected real numbers; give real and imaginary parts as "
                "channels (operators.as_pairs)"
            )
        if not values.is_floating_point():
            values = values.double()
        _check(values, *given, f"{name} was given", "build the operator for the picture's grid, or crop it")
        found = verb(self, values)
        _check(found, *expected, f"{name} returned", "correct what it computes, or the operator's shapes")
        return like_given(found, x)

    return apply


class Operator(ABC):
    """A map ``A`` from a picture to measurements, before the noise.

    Subclass it with ``forward`` alone, or with ``forward`` and ``adjoint``. Both are then checked (shapes in and
    out) and take NumPy arrays as well as tensors, without a line of yours; integers are taken as float64. An
    adjoint that is not given is found by differentiating ``forward``.

    Parameters
    ----------
    input_shape, output_shape : sequence of int
        The grids of the picture and of the measurements, without channels.
    input_channels, output_channels : int, optional
        For an operator that acts on channels: how many the picture has, and how many the measurements
        have. Both or neither. None: every channel alike, whatever their number.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
    input_channels, output_channels : int or None
    is_linear : bool
        True, unless a subclass says otherwise. What is not linear has no adjoint, and suits the methods
        ``sgld`` and ``map`` only; ``forward`` must then be differentiable by torch.

    Raises
    ------
    ShapeError
        If a grid is empty.
    BayesDipError
        If one of the numbers of channels is missing, or less than 1.

    Examples
    --------
    A camera that adds neighbouring pixels of a row:

    >>> import torch, bayesdip as bd
    >>> class Pairs(bd.operators.Operator):
    ...     def __init__(self, shape):
    ...         super().__init__(shape, (*shape[:-1], shape[-1] // 2))
    ...     def forward(self, x):
    ...         return x[..., 0::2] + x[..., 1::2]
    >>> A = Pairs((2, 4))
    >>> A.adjoint(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 1., 2., 2.],
            [3., 3., 4., 4.]])
    """

    is_linear: bool = True

    def __init__(
        self,
        input_shape: Sequence[int],
        output_shape: Sequence[int],
        *,
        input_channels: int | None = None,
        output_channels: int | None = None,
    ) -> None:
        self.input_shape = as_grid(input_shape)
        self.output_shape = as_grid(output_shape)
        if (input_channels is None) != (output_channels is None) or 0 in (input_channels, output_channels):
            raise BayesDipError(
                f"input_channels is {input_channels} and output_channels {output_channels}: expected two numbers of at "
                "least 1, or neither; give how many channels the picture has, and how many the measurements"
            )
        self.input_channels = input_channels
        self.output_channels = output_channels

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("forward", "adjoint"):
            if name in vars(cls):
                setattr(cls, name, _checked(vars(cls)[name]))

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``A x``, the measurements without noise.

        Parameters
        ----------
        x : Tensor or array, shape (..., *input_shape), or (..., input_channels, *input_shape)

        Returns
        -------
        Tensor or array, as given, shape (..., *output_shape), or (..., output_channels, *output_shape)
            Of the device and dtype of `x`.

        Raises
        ------
        ShapeError
            If the last axes of `x` do not fit.
        BayesDipError
            If `x` is complex.
        """

    @_checked
    def adjoint(self, y: Tensor) -> Tensor:
        """``A^T y``, so that ``<A x, y> = <x, A^T y>``; by differentiating ``forward`` unless overridden.

        Parameters
        ----------
        y : Tensor or array, shape (..., *output_shape), or (..., output_channels, *output_shape)

        Returns
        -------
        Tensor or array, as given, shape (..., *input_shape), or (..., input_channels, *input_shape)

        Raises
        ------
        ShapeError
            If the last axes of `y` do not fit.
        BayesDipError
            If the operator is not linear, `y` is complex, or torch cannot differentiate ``forward``.
        """
        grid = self.input_shape if self.input_channels is None else (self.input_channels, *self.input_shape)
        axes = len(self.output_shape) + (self.output_channels is not None)
        differentiable = y.requires_grad and torch.is_grad_enabled()
        with torch.enable_grad():
            # Of a linear map every point has the same derivative.
            x = y.new_zeros((*y.shape[: y.ndim - axes], *grid)).requires_grad_()
            found = self.forward(x)
        if not found.requires_grad:
            raise BayesDipError(
                f"{self!r} has no adjoint and torch cannot differentiate its forward map: expected torch operations "
                "from input to output; write it with them, or give the adjoint"
            )
        (gradient,) = torch.autograd.grad(found, x, y, create_graph=differentiable, materialize_grads=True)
        return gradient

    @property
    def observed(self) -> Tensor:
        """Which outputs are real measurements: bool, (*output_shape) or (C, *output_shape), on the CPU."""
        return self.observed_given(torch.ones(self.input_shape, dtype=torch.bool))

    def observed_given(self, inputs: Tensor) -> Tensor:
        """Which outputs are real measurements, when only some of the inputs are.

        An output that mixes several inputs counts as measured: the mask below it sets the lost ones to a
        known zero. Operators that keep pixels apart override this.

        Parameters
        ----------
        inputs : Tensor of bool, shape (*input_shape) or (C, *input_shape)

        Returns
        -------
        Tensor of bool, shape (*output_shape) or (C, *output_shape)
        """
        return torch.ones(self.output_shape, dtype=torch.bool)

    def with_held_out(self, held_out: Tensor) -> Operator:
        """The same measurement with more outputs declared missing.

        Parameters
        ----------
        held_out : Tensor or array of bool, shape (*output_shape) or (C, *output_shape)
            True where an output is to be left out.

        Returns
        -------
        Operator

        Raises
        ------
        ShapeError
            If `held_out` does not fit.
        """
        from bayesdip.operators.pixelwise import Mask  # Mask is itself an Operator

        return Mask(held_out, shape=self.output_shape) @ self

    def __matmul__(self, inner: Operator) -> Operator:
        """``A @ B`` applies B first."""
        return Compose(self, inner)

    def __repr__(self) -> str:
        taken = _words(self.input_shape, self.input_channels)
        return f"{type(self).__name__}({taken} -> {_words(self.output_shape, self.output_channels)})"


class Compose(Operator):
    """``outer @ inner``: `inner` acts first.

    It is linear if both are. Where one of the two acts on every channel alike, the numbers of channels are
    those of the other.

    Parameters
    ----------
    outer, inner : Operator

    Raises
    ------
    ShapeError
        If what `inner` gives is not what `outer` takes.
    """

    def __init__(self, outer: Operator, inner: Operator) -> None:
        if outer.input_shape != inner.output_shape or (
            None not in (outer.input_channels, inner.output_channels)
            and outer.input_channels != inner.output_channels
        ):
            raise ShapeError(
                f"{outer!r} cannot follow {inner!r}: it takes {_words(outer.input_shape, outer.input_channels)} and is "
                f"given {_words(inner.output_shape, inner.output_channels)}; build the outer operator for that shape"
            )
        alike = inner.input_channels is None
        super().__init__(
            inner.input_shape,
            outer.output_shape,
            input_channels=outer.input_channels if alike else inner.input_channels,
            output_channels=inner.output_channels if outer.output_channels is None else outer.output_channels,
        )
        self.outer = outer
        self.inner = inner
        self.is_linear = outer.is_linear and inner.is_linear

    def forward(self, x: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def observed_given(self, inputs: Tensor) -> Tensor:
        return self.outer.observed_given(self.inner.observed_given(inputs))

    def with_held_out(self, held_out: Tensor) -> Operator:
        return Compose(self.outer.with_held_out(held_out), self.inner)

    def __repr__(self) -> str:
        return f"{self.outer!r} @ {self.inner!r}"


class InUnits(Operator):
    """``A(shift + scale u) / scale``: an operator that is not linear, for pictures and data in units of `scale`.

    One that is linear is its own, but for the shift.

    Parameters
    ----------
    operator : Operator
    scale : float
        More than 0.
    shift : float
    """

    def __init__(self, operator: Operator, scale: float, shift: float = 0.0) -> None:
        super().__init__(
            operator.input_shape,
            operator.output_shape,
            input_channels=operator.input_channels,
            output_channels=operator.output_channels,
        )
        self.operator = operator
        self.scale = scale
        self.shift = shift
        self.is_linear = operator.is_linear and shift == 0

    def forward(self, x: Tensor) -> Tensor:
        return self.operator.forward(self.shift + self.scale * x) / self.scale

    def observed_given(self, inputs: Tensor) -> Tensor:
        return self.operator.observed_given(inputs)

    def __repr__(self) -> str:
        return repr(self.operator)


def as_grid(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape` as a tuple of at least one positive int."""
    grid = tuple(int(n) for n in shape)
    if not grid or min(grid) < 1:
        raise ShapeError(
            f"shape is {grid}: expected one or more lengths of at least 1; give the picture's grid"
        )
    return grid


def _check(x: Tensor, channels: int | None, grid: tuple[int, ...], what: str, advice: str) -> None:
    """Raise unless the last axes of `x` are ([channels], *grid)."""
    expected = grid if channels is None else (channels, *grid)
    if tuple(x.shape[-len(expected) :]) != expected:
        axes = " (channels first)" if channels is not None else ""
        raise ShapeError(
            f"{what} shape {tuple(x.shape)}: expected the last axes to be {expected}{axes}; {advice}"
        )


def _words(shape: tuple[int, ...], channels: int | None = None) -> str:
    grid = "x".join(str(n) for n in shape)
    return grid if channels is None else f"{channels} channel{'s' * (channels != 1)} of {grid}"
