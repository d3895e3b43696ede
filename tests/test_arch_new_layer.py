"""A new layer, and a new activation, are one record each: here they are outside the package.

They are held to the same checks as the package's own, serve in an architecture of one's own, and
the kernel of that architecture is known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bayesdip as bd
from bayesdip.arch import Architecture, Conv, GridRule, Layer, Residual, Sequential
from bayesdip.arch.activations import HermiteActivation
from bayesdip.arch.covariance import Filter
from bayesdip.arch.layers import C
from bayesdip.errors import BayesDipError
from layer_rules import assert_exact_rule, assert_stationary_rule, uneven_covariance

BINOMIAL = (0.25, 0.5, 0.25)


@dataclass(frozen=True)
class BlurPool(Layer):
    """Half the pixels on every axis after a binomial blur: Zhang, ICML 2019 (arXiv 1904.11486)."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Blurring(dims)

    def covariance(self, K: C) -> C:
        return K.filtered(Filter(BINOMIAL, down=2, start=1))


class Blurring(nn.Module):
    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        for axis in range(2, 2 + self.dims):
            x = x.movedim(axis, -1)
            flat = F.pad(x.flatten(1, -2), (1, 1), mode="replicate").unflatten(1, x.shape[1:-1])
            x = sum(tap * flat[..., k : k + x.shape[-1]] for k, tap in enumerate(BINOMIAL))[..., ::2].movedim(
                -1, axis
            )
        return x


@dataclass(frozen=True)
class RandomSigns(Layer):
    """Each feature times +1 or -1 for ever: K stays, and the output is uncorrelated with the input."""

    decorrelates: ClassVar[bool] = True

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Signs(features_in, dims, generator)

    def covariance(self, K: C) -> C:
        return K


class Signs(nn.Module):
    def __init__(self, features: int, dims: int, generator: torch.Generator | None) -> None:
        super().__init__()
        signs = torch.randint(2, (features, *(1,) * dims), generator=generator).float() * 2 - 1
        self.register_buffer("signs", signs)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.signs


@dataclass(frozen=True)
class Tanh(HermiteActivation):
    """Its duals follow from its module alone."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return nn.Tanh()


@dataclass(frozen=True, kw_only=True)
class Mine(Architecture):
    """A network of the new layers."""

    name: ClassVar[str] = "mine"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        block = Residual(Sequential((Tanh(), RandomSigns())))
        return Sequential(
            (Conv(self.width), Tanh(), BlurPool(), block, bd.arch.Upsample("nearest"), Conv(channels, 1))
        )

    def grid_rule(self) -> GridRule:
        return GridRule(multiple=2, smallest=4)


NEW = [BlurPool(), RandomSigns(), Tanh(), Residual(Sequential((Tanh(), RandomSigns())))]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("layer", NEW, ids=str)
def test_stationary_rule_agrees_with_sampled_modules(layer: Layer, dims: int) -> None:
    assert_stationary_rule(layer, dims)


@pytest.mark.parametrize("grid", [(8,), (4, 6)])
@pytest.mark.parametrize("layer", NEW, ids=str)
def test_exact_rule_agrees_with_sampled_modules(layer: Layer, grid: tuple[int, ...]) -> None:
    assert_exact_rule(layer, uneven_covariance(grid), draws=300)


def test_check_of_a_rule_notices_a_wrong_one() -> None:
    @dataclass(frozen=True)
    class Wrong(BlurPool):
        def covariance(self, K: C) -> C:
            return K.filtered(Filter((0.5, 0.5), down=2))

    with pytest.raises(AssertionError):
        assert_stationary_rule(Wrong(), 1)
    with pytest.raises(AssertionError):
        assert_exact_rule(Wrong(), uneven_covariance((8,)), draws=300)


def test_shortcut_around_a_new_layer_that_does_not_decorrelate_is_refused() -> None:
    with pytest.raises(BayesDipError, match="correlated with its input"):
        Residual(BlurPool())


def test_kernel_of_ones_own_architecture_is_that_of_its_sampled_networks() -> None:
    mine = Mine(width=96, input_depth=32)
    sampled = mine.monte_carlo_kernel((32,), 150, lags=6, generator=torch.Generator().manual_seed(0))
    exact = mine.exact_covariance((32,)).averaged((7,))
    assert float(sampled.standard_error.max()) < 0.02
    assert bool(((sampled.table - exact / exact[0]).abs() < 4 * sampled.standard_error + 0.01).all())
    assert mine.kernel().quadrant((5, 5)).shape == (5, 5)
