"""How layers are put together: one after another, side by side, or around a shortcut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bayesdip.arch.activations import Activation
from bayesdip.arch.layers import BatchNorm, C, Conv, Layer
from bayesdip.errors import BayesDipError


@dataclass(frozen=True)
class Sequential(Layer):
    """Layers one after another; their rules follow each other likewise.

    Attributes
    ----------
    layers : tuple of Layer
    """

    layers: tuple[Layer, ...]

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        modules: list[nn.Module] = []
        before: Layer | None = None
        for layer in self.layers:
            module = layer.module(features_in, dims, generator)
            if isinstance(module, nn.LeakyReLU) and isinstance(before, Conv | BatchNorm):
                module.inplace = True  # nobody else reads that tensor, backward passes included
            modules.append(module)
            features_in, before = layer.features(features_in, dims), layer
        return nn.Sequential(*modules)

    def features(self, features_in: int, dims: int) -> int:
        for layer in self.layers:
            features_in = layer.features(features_in, dims)
        return features_in

    def covariance(self, K: C) -> C:
        for layer in self.layers:
            K = layer.covariance(K)
        return K

    def leaves(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer.leaves()


@dataclass(frozen=True)
class SkipConcat(Layer):
    """Two branches over one input, their features side by side (the skip's first).

    The convolution that follows has independent weights for all of them, so with a and b
    features the branches count by their shares:

        K'(t) = (a K_a(t) + b K_b(t)) / (a + b)

    A batch norm of the concatenation normalises feature by feature, which is the same as
    one at the end of each branch. It belongs there: at infinite width K' is an average
    over features that differ, and normalising the average would not normalise each.

    Attributes
    ----------
    main : Layer
    skip : Layer, optional
        No second branch when None.
    """

    main: Layer
    skip: Layer | None = None

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        if self.skip is None:
            return self.main.module(features_in, dims, generator)
        skip = self.skip.module(features_in, dims, generator)
        return Concatenation(skip, self.main.module(features_in, dims, generator))

    def features(self, features_in: int, dims: int) -> int:
        skip = self.skip.features(features_in, dims) if self.skip is not None else 0
        return skip + self.main.features(features_in, dims)

    def covariance(self, K: C) -> C:
        main = self.main.covariance(K)
        return main if self.skip is None else main.joined(self.skip.covariance(K))

    def leaves(self) -> Iterator[Layer]:
        if self.skip is not None:
            yield from self.skip.leaves()
        yield from self.main.leaves()


class Concatenation(nn.Module):
    """The module of :class:`SkipConcat`."""

    def __init__(self, skip: nn.Module, main: nn.Module) -> None:
        super().__init__()
        self.skip = skip
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = _SideBySide.apply(self.skip(x), self.main(x))  # type: ignore[no-untyped-call]
        return joined


class _SideBySide(torch.autograd.Function):
    """Two pictures' features side by side, whose gradients lie densely in memory.

    Those of ``torch.cat`` are windows into one tensor. With the features innermost they have
    gaps, on which a batch norm's backward pass takes ten times as long.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return torch.cat((a, b), dim=1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.features = [x.shape[1] for x in inputs]

    @staticmethod
    def jvp(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat((a, b), dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        # A product keeps the order of the axes and closes the gaps.
        parts = torch.split(gradient, ctx.features, dim=1)
        return tuple(part * 1 for part in parts)


@dataclass(frozen=True)
class Residual(Layer):
    """The input added to what a branch makes of it.

    After its last activation the branch must have a layer that decorrelates, such as a
    convolution: its weights are independent and symmetric about zero, which makes the output
    uncorrelated with the input:

        K'(t) = K(t) + K_main(t)

    Attributes
    ----------
    main : Layer
        The branch; it gives as many features as it takes.

    Raises
    ------
    BayesDipError
        The output of the branch is correlated with its input, or has another number of features.
    """

    main: Layer

    def __post_init__(self) -> None:
        uncorrelated = False
        for leaf in self.main.leaves():
            uncorrelated = leaf.decorrelates or (uncorrelated and not isinstance(leaf, Activation))
        if not uncorrelated:
            raise BayesDipError(
                f"The branch of a Residual is {self.main}, whose output is correlated with its input; a "
                "convolution after the last activation was expected: put the activation outside."
            )

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        if self.main.features(features_in, dims) != features_in:
            raise BayesDipError(
                f"The branch of a Residual makes {self.main.features(features_in, dims)} features of "
                f"{features_in}; the same number was expected: change its last convolution."
            )
        return Shortcut(self.main.module(features_in, dims, generator))

    def covariance(self, K: C) -> C:
        return K.added(self.main.covariance(K))

    def leaves(self) -> Iterator[Layer]:
        yield from self.main.leaves()


class Shortcut(nn.Module):
    """The module of :class:`Residual`."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        main: Tensor = self.main(x)
        return x + main
