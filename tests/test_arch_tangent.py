"""The tangent kernel of an architecture against the gradients of actual wide networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bayesdip import arch
from bayesdip.arch import (
    BatchNorm,
    Conv,
    Downsample,
    Erf,
    Layer,
    LeakyReLU,
    PixelShuffle,
    Residual,
    Sequential,
    SkipConcat,
    TokenMixer,
    Upsample,
)
from bayesdip.arch.exact import of_picture, of_stationary
from bayesdip.arch.layers import PictureNorm
from bayesdip.arch.stationary import Stationary, white
from bayesdip.arch.tangent import Tangent, at_input
from bayesdip.errors import BayesDipError

INPUTS, WIDTH = 24, 128


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(*layers: Layer) -> Sequential:
    return Sequential((Conv(WIDTH, 3), LeakyReLU(0.2), *layers, Conv(1, 1)))


NETWORKS = [
    network(),
    network(Conv(WIDTH, 3, stride=2, padding="zero"), LeakyReLU(0.0), Upsample("bilinear")),
    network(Upsample("transposed"), Erf()),
    network(Downsample("lanczos"), Conv(WIDTH, 3, bias=False, padding="circular"), LeakyReLU(0.2)),
    network(SkipConcat(Sequential((Conv(96), LeakyReLU(0.2))), Conv(32, 1))),
    network(Residual(Sequential((Conv(WIDTH), Erf(), Conv(WIDTH))))),
    network(Conv(WIDTH, 1), PixelShuffle(2), LeakyReLU(0.2)),
    network(Conv(WIDTH), BatchNorm(), LeakyReLU(0.2)),
]


def gradients(layers: Layer, z: Tensor, generator: torch.Generator, plain: bool) -> Tensor:
    """``sum_w df(x)/dw df(x')/dw`` of a network with fresh weights.

    With ``plain`` the weights themselves are what is learnt, else each is divided by its scale.
    """
    module = layers.module(z.shape[1], z.ndim - 2, generator).double()
    learnt, scale = {}, {}
    for owner, m in module.named_modules():
        for name, p in m.named_parameters(recurse=False):
            if not isinstance(m, PictureNorm):
                learnt[f"{owner}.{name}"] = p.detach()
                fan_in = m.weight.numel() / len(m.weight)
                scale[f"{owner}.{name}"] = 1.0 if plain else (3 * fan_in) ** -0.5
    for m in module.modules():
        if isinstance(m, nn.LeakyReLU):
            m.inplace = False
    jacobian = torch.func.jacrev(lambda w: torch.func.functional_call(module, w, (z,))[0, 0].flatten())(
        learnt
    )
    return sum(
        (scale[name] ** 2 * (J := j.flatten(1)) @ J.T for name, j in jacobian.items()),
        torch.zeros(1).double(),
    )


@pytest.mark.parametrize("parametrisation", ["ntk", "standard"])
@pytest.mark.parametrize("layers", NETWORKS, ids=str)
def test_tangent_kernel_is_that_of_wide_networks(
    layers: Sequential, parametrisation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fixed(self: PictureNorm, x: Tensor) -> Tensor:  # the divisor, as training finds it at the start
        centred = x - x.mean(2, keepdim=True)
        return centred / (centred.detach().square().mean(2, keepdim=True) + self.epsilon).sqrt()

    monkeypatch.setattr(PictureNorm, "forward", fixed)
    z = torch.randn(1, INPUTS, 8, generator=seeded(), dtype=torch.float64)
    claimed = layers.covariance(at_input(of_picture(z[0]), parametrisation)).theta.matrix
    generator = seeded(1)
    plain = parametrisation == "standard"
    drawn = torch.stack([gradients(layers, z, generator, plain) for _ in range(40)])
    error = drawn.std(0) / 40**0.5
    scale = float(claimed.diagonal().mean())
    assert float(error.max()) < 0.06 * scale
    normalised = any(isinstance(leaf, BatchNorm) for leaf in layers.leaves())
    slack = 0.03 if normalised else 0.01  # each feature has a divisor of its own; the width is finite
    assert bool(((drawn.mean(0) - claimed).abs() < 4.5 * error + slack * scale).all())


def test_stationary_tangent_kernel_is_the_exact_one_far_from_borders() -> None:
    layers = network(Conv(WIDTH), LeakyReLU(0.1))
    K = white(1, INPUTS).added(white(1, INPUTS, 0.0, 0.4))
    stationary = layers.covariance(at_input(K, "standard")).theta
    exact = layers.covariance(at_input(of_stationary(K, (24,)), "standard")).theta
    assert exact.matrix[12, 12:16].numpy() == pytest.approx(stationary.quadrant((4,)).numpy(), rel=1e-12)


def test_covariance_travels_unchanged_beside_its_tangent_kernel() -> None:
    description = arch.skip(scales=2, width=32, upsample="transposed")
    layers = description.layers(1, 1)
    both = layers.covariance(at_input(description.latent_input.covariance(1), "ntk"))
    alone = layers.covariance(description.latent_input.covariance(1))
    assert torch.equal(both.K.quadrant((40,)), alone.quadrant((40,)))
    assert both.features == alone.features


def test_tangent_kernels_of_architectures_are_covariances_of_unit_variance() -> None:
    lag = torch.arange(80)
    for description in (arch.skip(scales=2), arch.decoder(scales=3), arch.shuffle(scales=1)):
        for parametrisation in ("ntk", "standard"):
            K = description.tangent_kernel(lags=5, dims=1, parametrisation=parametrisation)
            assert K.values.shape == (11,)
            assert float(K.values[5]) == 1.0
            assert float(torch.linalg.eigvalsh(K.quadrant((80,))[(lag[:, None] - lag).abs()]).min()) > -1e-9
            assert K.scale > 0
    wide, narrow = (arch.skip(width=w).tangent_kernel(parametrisation="standard").scale for w in (256, 128))
    assert wide > 1.5 * narrow  # weights count one by one


def test_what_has_no_tangent_kernel_is_refused() -> None:
    start: Tangent[Stationary] = at_input(white(1, 4), "ntk")
    with pytest.raises(BayesDipError, match="exact_covariance"):
        TokenMixer((8,)).covariance(start)
    with pytest.raises(BayesDipError, match="'mup'"):
        arch.skip().tangent_kernel(parametrisation="mup").quadrant((3,))
