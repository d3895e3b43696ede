"""Measurements of DeepInverse: its physics as operators.

Nothing of the library is imported: a physics is known by its methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bayesdip.errors import ShapeError
from bayesdip.operators.function import from_function
from bayesdip.operators.operator import Operator
from bayesdip.operators.pairs import joined_parts, stacked_parts
from bayesdip.operators.pixelwise import Identity, Mask

# A grid has at most so many axes.
MOST_AXES = 3
COMPLEX = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}


def from_deepinv(
    physics: Any, input_shape: Sequence[int], *, input_channels: int | None = None, is_complex: bool = False
) -> Operator:
    """An operator of a physics of DeepInverse: its ``A`` and, if it is linear, its ``A_adjoint``.

    Parameters
    ----------
    physics : deepinv.physics.Physics
        Its noise model is not used. Measurements that are no tensor of channels and one to three axes, such as a list of
        tensors or a vector, are one channel of one axis here: the parts one after the other.
    input_shape : sequence of int
        The picture's grid, without channels.
    input_channels : int, optional
        Channels of the picture as the physics takes it. None: the physics is given every channel on its own, as a picture
        of one channel.
    is_complex : bool
        Whether the physics takes complex pictures, whose real parts and then imaginary parts are channels here: twice as many
        as `input_channels`, which is then given.

    Returns
    -------
    Operator
        A :class:`Mask`, or :class:`Identity`, where the physics is one. Not linear if the physics has no ``A_adjoint``, or
        has one but is no ``LinearPhysics``.

    Raises
    ------
    BayesDipError
        The physics fails on a picture of that shape, is not linear though it should be, or ``A_adjoint`` is not its adjoint.
    ShapeError
        It returns something of another form.
    """
    linear = is_linear(physics)
    if input_channels is None:
        if is_complex:
            raise ShapeError(
                "is_complex was given without input_channels: expected both; say how many channels the physics takes"
            )
        return from_function(
            lambda x: _single(_called(physics.A, x.unsqueeze(1))),
            input_shape,
            adjoint=(lambda y: _single(_called(physics.A_adjoint, y.unsqueeze(1)))) if linear else None,
            linear=linear,
            batched=True,
        )
    form: list[Form] = []

    def forward(x: Tensor) -> Tensor:
        found = _called(physics.A, joined_parts(x, 1) if is_complex else x)
        form[:] = [Form.of(found)]
        return form[0].joined(found)

    def adjoint(y: Tensor) -> Tensor:
        found = _called(physics.A_adjoint, form[0].parted(y))
        return stacked_parts(found, 1) if is_complex else found

    operator = from_function(
        forward,
        input_shape,
        adjoint=adjoint if linear else None,
        input_channels=2 * input_channels if is_complex else input_channels,
        linear=linear,
        batched=True,
    )
    return as_mask(operator) if linear else operator


def is_linear(physics: Any) -> bool:
    """Whether a physics says that it is linear: some that are not have an ``A_adjoint`` too, for a start of their solvers."""
    names = {owner.__name__ for owner in type(physics).__mro__}
    return hasattr(physics, "A_adjoint") and ("LinearPhysics" in names or "Physics" not in names)


class Form:
    """The form of a physics' measurements: a tensor, or a list of them.

    Parameters
    ----------
    shapes : list of tuple of int
        Of each part, without the batch.
    dtypes : list of torch.dtype
    is_list : bool
    """

    def __init__(self, shapes: list[tuple[int, ...]], dtypes: list[torch.dtype], is_list: bool) -> None:
        self.shapes, self.dtypes, self.is_list = shapes, dtypes, is_list
        self._list: type = list

    @classmethod
    def of(cls, y: Any) -> Form:
        """The form of measurements (B, ...)."""
        parts = [y] if isinstance(y, Tensor) else list(y)
        found = cls(
            [tuple(part.shape[1:]) for part in parts],
            [part.dtype for part in parts],
            not isinstance(y, Tensor),
        )
        found._list = type(y)
        return found

    @property
    def is_flat(self) -> bool:
        """Whether the parts are laid one after the other, as one channel of one axis."""
        return self.is_list or not 1 < len(self.shapes[0]) <= 1 + MOST_AXES

    def joined(self, y: Any) -> Tensor:
        """(B, C, *grid) of measurements of this form."""
        if not self.is_flat:
            assert isinstance(y, Tensor)
            return y
        return torch.cat([part.flatten(1) for part in (y if self.is_list else [y])], 1).unsqueeze(1)

    def parted(self, y: Tensor) -> Any:
        """The inverse of :meth:`joined`."""
        if not self.is_flat:
            return y
        sizes = [max(1, int(torch.Size(shape).numel())) for shape in self.shapes]
        parts = [
            (part if dtype.is_complex or not part.is_complex() else part.real).reshape(len(y), *shape)
            for part, shape, dtype in zip(
                torch.split(y.squeeze(1), sizes, 1), self.shapes, self.dtypes, strict=True
            )
        ]
        return self._list(parts) if self.is_list else parts[0]


def as_mask(operator: Operator) -> Operator:
    """The operator, or the mask or identity that it is: methods know more to do with these."""
    if (operator.output_channels, operator.output_shape) != (operator.input_channels, operator.input_shape):
        return operator
    shape = (operator.input_channels or 1, *operator.input_shape)
    random = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        kept = operator.forward(torch.ones(shape, dtype=torch.float64))
        answer = operator.forward(random)
    seen = kept == 1
    if not bool((seen | (kept == 0)).all()) or not torch.allclose(answer, random * seen, atol=1e-6):
        return operator
    if not bool(seen.any()):
        return operator
    return Identity(operator.input_shape) if bool(seen.all()) else Mask(~seen, shape=operator.input_shape)


def _called(f: Callable[[Any], Any], given: Any) -> Any:
    """``f(given)`` where the physics' own tensors are, and in their precision."""
    owner = getattr(f, "__self__", None)
    own = [*owner.buffers(), *owner.parameters()] if isinstance(owner, torch.nn.Module) else []
    own = [part for part in own if part.is_floating_point() or part.is_complex()]
    if not own:
        return f(given)
    precision = max((part.real.dtype for part in own), key=lambda dtype: torch.finfo(dtype).bits)

    def cast(part: Tensor) -> Tensor:
        return part.to(own[0].device, COMPLEX[precision] if part.is_complex() else precision)

    return f(cast(given) if isinstance(given, Tensor) else type(given)([cast(part) for part in given]))


def _single(y: Any) -> Any:
    """`y` without its channel axis, of length one."""
    if isinstance(y, Tensor) and y.ndim > 1 and y.shape[1] != 1:
        raise ShapeError(
            f"the physics made {y.shape[1]} channels of one: expected one; give input_channels=1"
        )
    return y.squeeze(1) if isinstance(y, Tensor) else y
