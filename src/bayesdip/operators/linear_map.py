"""Linear maps whose derivative is known: the derivative of ``A x`` is ``A``, its transposed map the adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def linear(x: Tensor, forward: Map, adjoint: Map) -> Tensor:
    """``forward(x)``, differentiable as often as wanted, whatever `forward` does inside.

    Parameters
    ----------
    x : Tensor
    forward, adjoint : callable
        A linear map and its adjoint; neither is differentiated.
    """
    return cast(Tensor, _Linear.apply(x, forward, adjoint))  # type: ignore[no-untyped-call]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: Map, adjoint: Map) -> Tensor:
        ctx.maps = forward, adjoint
        return forward(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        forward, adjoint = ctx.maps
        return linear(grads[0], adjoint, forward), None, None


class Constant:
    """A tensor kept on the CPU, with a copy for each device and dtype that asked for one.

    Parameters
    ----------
    value : Tensor
    """

    def __init__(self, value: Tensor) -> None:
        self.value = value.detach().cpu()
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def on(self, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        """The value there; by default of its own dtype."""
        key = (device, dtype or self.value.dtype)
        if key not in self._copies:
            self._copies[key] = self.value.to(*key)
        return self._copies[key]
