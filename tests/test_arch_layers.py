"""Every layer's covariance rule against a Monte-Carlo estimate from its own module."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from bayesdip.arch.activations import GELU, Erf, LeakyReLU, Sigmoid
from bayesdip.arch.combinators import Residual, Sequential, SkipConcat
from bayesdip.arch.covariance import autocorrelation
from bayesdip.arch.layers import BatchNorm, Conv, Depthwise, Gain, Identity, Layer
from bayesdip.arch.padding import pad_reflecting
from bayesdip.arch.resampling import Downsample, MaxPool, PixelShuffle, Upsample
from bayesdip.arch.stationary import Stationary, white
from bayesdip.arch.token_mixing import TokenMixer
from bayesdip.arch.user_module import ModuleLayer
from bayesdip.errors import BayesDipError
from bayesdip.patches.pilot import Cosine
from layer_rules import FEATURES, assert_stationary_rule

CASES: list[Layer] = [
    Identity(),
    Gain(3.0),
    Conv(12, 3),
    Conv(12, 5, stride=2, bias=False),
    Conv(12, 1, padding="zero"),
    Conv(12, 3, padding="circular"),
    Depthwise(5),
    Depthwise(3, stride=2, padding="circular"),
    BatchNorm(),
    LeakyReLU(0.2),
    LeakyReLU(0.0),
    Erf(),
    Sigmoid(),
    GELU(),
    Cosine(),
    Downsample("stride"),
    Downsample("average"),
    Downsample("lanczos"),
    Upsample("nearest"),
    Upsample("bilinear"),
    Upsample("transposed"),
    Sequential((Conv(FEATURES), PixelShuffle(2))),
    PixelShuffle(2),
    SkipConcat(Conv(24), Sequential((Downsample("average"), Upsample("nearest")))),
    SkipConcat(Conv(8), None),
    Residual(Sequential((LeakyReLU(0.2), Conv(FEATURES)))),
    Sequential((Conv(12), Upsample("nearest"), BatchNorm())),
    Sequential((PixelShuffle(2), BatchNorm())),  # each picture has other means of its phases
    Sequential((PixelShuffle(2), BatchNorm(), LeakyReLU(0.2))),
    Sequential((Upsample("transposed"), BatchNorm(), LeakyReLU(0.0))),
]


def concrete_records(base: type) -> set[type]:
    found = set()
    for cls in base.__subclasses__():
        found |= concrete_records(cls)
        if not inspect.isabstract(cls) and cls.__module__.startswith("bayesdip."):
            found.add(cls)
    return found


def test_every_layer_record_has_a_case() -> None:
    assert {type(case) for case in CASES} | {TokenMixer, MaxPool, ModuleLayer} == concrete_records(Layer)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("layer", CASES, ids=str)
def test_covariance_rule_agrees_with_sampled_modules(layer: Layer, dims: int) -> None:
    assert_stationary_rule(layer, dims)


@pytest.mark.parametrize(
    "layer", [LeakyReLU(0.2), LeakyReLU(0.0), Erf(), Sigmoid(), GELU(), Cosine()], ids=str
)
def test_dual_of_the_derivative_is_the_derivative_of_the_dual(layer: LeakyReLU) -> None:
    # d/dc E[phi(u) phi(v)] = E[phi'(u) phi'(v)] at a covariance c (Price's theorem).
    c = torch.tensor([-0.8, -0.2, 0.0, 0.5, 1.2], dtype=torch.float64, requires_grad=True)
    variances = torch.full_like(c, 0.9), torch.full_like(c, 2.3)
    layer.dual(c, *variances).sum().backward()
    assert c.grad is not None
    accuracy = 1e-9 if isinstance(layer, LeakyReLU | Erf | Cosine) else 1e-6
    got = layer.dual_of_derivative(c.detach(), *variances)
    assert got.numpy() == pytest.approx(c.grad.numpy(), abs=accuracy)


@pytest.mark.parametrize("layer", [LeakyReLU(0.2), LeakyReLU(0.0), Erf(), Sigmoid(), GELU()], ids=str)
def test_dual_equals_two_dimensional_quadrature(layer: LeakyReLU) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(300)
    nodes, weights = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    phi = layer.module(1, 1)
    accuracy = 1e-3 if isinstance(layer, LeakyReLU) else 1e-9  # of the quadrature, at a kink and without
    for su, sv, rho in [
        (1.0, 1.0, 0.0),
        (1.0, 1.0, 0.6),
        (0.5, 2.0, -0.7),
        (1.7, 1.7, 0.95),
        (1.3, 1.3, 1.0),
    ]:
        u = su * nodes[:, None]
        v = sv * (rho * nodes[:, None] + (1 - rho**2) ** 0.5 * nodes[None, :])
        expected = (weights[:, None] * weights * phi(u) * phi(v)).sum()
        variances = torch.tensor([su**2, sv**2], dtype=torch.float64)
        got = layer.dual(torch.tensor(rho * su * sv, dtype=torch.float64), *variances)
        assert float(got) == pytest.approx(float(expected), abs=accuracy)


def test_leaky_relu_keeps_the_second_moment_of_white_input_apart() -> None:
    K = LeakyReLU(0.0).covariance(white(1, 4))
    assert float(K.variance) == pytest.approx(0.5)
    assert K.limit == pytest.approx(1 / (2 * np.pi))


def test_upsampling_keeps_a_constant_and_transposed_convolution_alternates() -> None:
    constant = white(2, 8, variance=0.0, mean=1.0)
    for kind in ("nearest", "bilinear"):
        assert Upsample(kind).covariance(constant).quadrant((5, 5)).numpy() == pytest.approx(np.ones((5, 5)))
    far = Upsample("transposed").covariance(constant).quadrant((6, 6))
    assert float(far[4, 4]) > 4 * float(far[4, 5]) > 0
    assert float(far[4, 5]) == float(far[5, 5])


def test_resampling_equals_the_dense_phase_average() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(9, generator=generator, dtype=torch.float64)
    K = Stationary(
        torch.tensor(autocorrelation(factor.tolist()), dtype=torch.float64), torch.zeros(1).double(), 1
    )
    n, taps = 40, [0.25, 0.75, 0.75, 0.25]
    lag = torch.arange(n)
    dense = K.quadrant((n,))[(lag[:, None] - lag).abs()]
    up = torch.zeros(2 * n, n, dtype=torch.float64)
    for k in range(n):
        for j, tap in enumerate(taps):
            if 0 <= 2 * k + j - 1 < 2 * n:
                up[2 * k + j - 1, k] += tap
    exact = up @ dense @ up.T
    averaged = [(exact[30, 30 + t] + exact[31, 31 + t]) / 2 for t in range(20)]
    stationary = Upsample("bilinear").covariance(K).quadrant((20,))
    assert stationary.numpy() == pytest.approx(torch.stack(averaged).numpy(), abs=1e-12)


def test_concatenation_of_different_periods_is_known_at_every_lag() -> None:
    main = Sequential((Conv(6), Upsample("transposed")))
    K = SkipConcat(main, Sequential((Conv(2, 1), Upsample("nearest")))).covariance(white(1, 4, mean=1.0))
    a = main.covariance(white(1, 4, mean=1.0)).quadrant((50,))
    b = Sequential((Conv(2, 1), Upsample("nearest"))).covariance(white(1, 4, mean=1.0)).quadrant((50,))
    assert K.quadrant((50,)).numpy() == pytest.approx(((6 * a + 2 * b) / 8).numpy())


def test_batch_norm_uses_the_current_picture_in_training_and_evaluation() -> None:
    norm = BatchNorm().module(3, 2)
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 30.0):
        x = scale * torch.randn(2, 3, 9, 8, generator=generator) + scale
        trained = norm.train()(x)
        assert torch.equal(norm.eval()(x), trained)
        assert trained.mean((2, 3)).abs().max() < 1e-5
        assert trained.var((2, 3), correction=0).sub(1).abs().max() < 1e-3
        assert torch.allclose(norm(x[:1]), trained[:1], atol=1e-5)
    assert not list(norm.buffers())


def test_pixel_shuffle_is_torchs_with_the_features_of_a_group_apart() -> None:
    x = torch.randn(2, 6, 5)
    flat = PixelShuffle(2).module(6, 1)(x)
    assert torch.equal(flat[0, 1, 6:8], x[0, [1, 4], 3])
    square = torch.randn(2, 8, 3, 4)
    regrouped = square.reshape(2, 4, 2, 3, 4).transpose(1, 2).reshape(2, 8, 3, 4)
    shuffled = PixelShuffle(2).module(8, 2)(square)
    assert torch.equal(shuffled, torch.nn.functional.pixel_shuffle(regrouped, 2))


def test_the_gradients_of_a_concatenation_are_torchs_and_lie_densely() -> None:
    concatenation = SkipConcat(Identity(), Identity()).module(3, 2)
    x = torch.randn(1, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    parts = [torch.randn_like(x, requires_grad=True) for _ in range(2)]
    concatenation.skip, concatenation.main = Given(parts[0]), Given(parts[1])
    weight = torch.randn(1, 6, 4, 5).contiguous(memory_format=torch.channels_last)
    found = torch.autograd.grad((concatenation(x) * weight).sum(), parts)
    for gradient, expected in zip(found, weight.split(3, dim=1), strict=True):
        assert torch.equal(gradient, expected)
        assert gradient.is_contiguous(memory_format=torch.channels_last)


class Given(torch.nn.Module):
    """Whatever goes in, that tensor comes out."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        self.tensor = tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tensor


@pytest.mark.parametrize("shape", [(7,), (5, 6), (1, 4), (3, 3)])
def test_reflecting_any_amount_equals_numpy(shape: tuple[int, ...]) -> None:
    x = torch.randn(1, 2, *shape)
    before, after = [3] * len(shape), [8] * len(shape)
    expected = np.pad(x.numpy(), [(0, 0), (0, 0), *zip(before, after, strict=True)], mode="reflect")
    assert np.array_equal(pad_reflecting(x, before, after).numpy(), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv(0),
        lambda: Conv(4, size=2),
        lambda: Conv(4, padding="mirror"),
        lambda: Upsample("cubic"),
        lambda: Downsample("max"),
        lambda: Residual(Sequential((Conv(4), LeakyReLU()))),
        lambda: Residual(Identity()),
        lambda: Residual(Conv(5)).module(4, 2),
        lambda: PixelShuffle(2).module(6, 2),
    ],
)
def test_what_cannot_be_built_is_refused(make: object) -> None:
    with pytest.raises(BayesDipError):
        make()  # type: ignore[operator]
