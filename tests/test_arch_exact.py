"""The exact covariance on small grids: against sampled modules and networks, and against the stationary one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.arch import (
    GELU,
    BatchNorm,
    Conv,
    Downsample,
    Erf,
    Layer,
    LeakyReLU,
    PixelShuffle,
    Residual,
    Sequential,
    Sigmoid,
    SkipConcat,
    TokenMixer,
    Upsample,
)
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.covariance import Filter
from bayesdip.arch.exact import Exact, of_picture, of_stationary
from bayesdip.arch.stationary import white
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.patches.pilot import Cosine
from layer_rules import assert_exact_rule, sampled_moment, uneven_covariance

FEATURES = 48
LINE, SQUARE = (8,), (4, 6)

CASES: list[Layer] = [
    Conv(48, 3),
    Conv(48, 5, stride=2, bias=False),
    Conv(48, 3, padding="zero"),
    Conv(48, 3, stride=2, padding="circular"),
    BatchNorm(),
    LeakyReLU(0.2),
    Erf(),
    Sigmoid(),
    GELU(),
    Cosine(),
    Sequential((Cosine(), BatchNorm())),  # no Gaussian, and a phase of its own for each feature
    Downsample("stride"),
    Downsample("average"),
    Downsample("lanczos"),
    Upsample("nearest"),
    Upsample("bilinear"),
    Upsample("transposed"),
    PixelShuffle(2),
    SkipConcat(Conv(24), Sequential((Downsample("average"), Upsample("nearest")))),
    Residual(Sequential((LeakyReLU(0.2), Conv(FEATURES)))),
    Sequential((BatchNorm(), LeakyReLU(0.0))),
    Sequential((Upsample("transposed"), BatchNorm(), LeakyReLU(0.2), Conv(48, 3))),
    Sequential((PixelShuffle(2), BatchNorm(), LeakyReLU(0.2))),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("grid", [LINE, SQUARE])
@pytest.mark.parametrize("layer", CASES, ids=str)
def test_exact_rule_agrees_with_sampled_modules_at_every_pair_of_pixels(
    layer: Layer, grid: tuple[int, ...]
) -> None:
    assert_exact_rule(layer, uneven_covariance(grid))


@pytest.mark.parametrize("grid", [LINE, SQUARE])
def test_token_mixing_agrees_with_sampled_modules_on_average(grid: tuple[int, ...]) -> None:
    layer = Residual(TokenMixer(grid, hidden=64))
    K = uneven_covariance(grid)
    out = layer.covariance(K)
    mean, error = sampled_moment(layer, K, draws=800)
    assert float(((mean - out.matrix).abs() / error).max()) < 5.5
    assert float((out.matrix - K.matrix).diagonal().min()) > 0.05


@pytest.mark.parametrize("layer", [c for c in CASES if "BatchNorm" not in str(c)], ids=str)
@pytest.mark.parametrize("dims", [1, 2])
def test_exact_covariance_in_the_middle_averaged_over_phases_is_the_stationary_one(
    layer: Layer, dims: int
) -> None:
    size = 40 if dims == 1 else 16
    smooth = white(dims, FEATURES).filtered(Filter((0.5, 0.7, 0.5))).added(white(dims, FEATURES, 0.0, 0.3))
    stationary = layer.covariance(smooth)
    exact = layer.covariance(of_stationary(smooth, (size,) * dims))
    n = exact.grid[0]
    middle = n // 2 // 2 * 2 - 2  # an even place: every phase counts the same
    for lag in [(0,) * dims, (1,) * dims, (2,) + (1,) * (dims - 1)]:
        values = []
        for phase in np.ndindex((2,) * dims):
            here = tuple(middle + p for p in phase)
            values.append(exact.table[here + tuple(h + t for h, t in zip(here, lag, strict=True))])
        assert float(torch.stack(values).mean()) == pytest.approx(
            float(stationary.quadrant((3,) * dims)[lag]), abs=1e-10
        )


@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.parametrize(
    "layer", [*map(Downsample, ("stride", "average", "lanczos")), *map(Upsample, ("nearest", "bilinear"))]
)
def test_filter_matrix_is_the_module_on_each_pixel(layer: Layer, size: int) -> None:
    recorded: list[Filter] = []

    class Recorder:
        def filtered(self, filter: Filter) -> None:
            recorded.append(filter)

    layer.covariance(Recorder())  # type: ignore[type-var]
    columns = layer.module(1, 1)(torch.eye(size, dtype=torch.float64)[:, None])[:, 0]
    assert recorded[0].matrix(size).T.numpy() == pytest.approx(columns.numpy(), abs=1e-12)


def test_batch_norm_averages_over_the_scale_of_each_picture() -> None:
    K = uneven_covariance((5,))
    norm = BatchNorm(epsilon=0.1)
    x = torch.randn(200_000, 5, generator=seeded(), dtype=torch.float64) @ torch.linalg.cholesky(K.matrix).T
    f = norm.module(1, 1).double()(x[:, None])[:, 0].detach()
    expected = norm.covariance(K)
    assert expected.matrix.numpy() == pytest.approx((f.T @ f / len(f)).numpy(), abs=0.012)
    g = torch.relu(f)
    after = LeakyReLU(0.0).covariance(expected)
    assert after.matrix.numpy() == pytest.approx((g.T @ g / len(g)).numpy(), abs=0.012)


def test_batch_norm_of_an_upsampled_activation_knows_that_it_is_no_gaussian() -> None:
    layers = Sequential((LeakyReLU(0.0), Upsample("bilinear"), BatchNorm()))
    K = uneven_covariance((4,))
    x = torch.randn(200_000, 4, generator=seeded(), dtype=torch.float64) @ torch.linalg.cholesky(K.matrix).T
    f = layers.module(1, 1).double()(x[:, None])[:, 0].detach()
    got = layers.covariance(K).matrix
    assert got.numpy() == pytest.approx((f.T @ f / len(f)).numpy(), abs=0.012)
    assert torch.equal(got, layers.covariance(K).matrix), "its quadrature is the same at every call"


def test_lag_average_is_the_mean_over_pairs() -> None:
    K = uneven_covariance((4, 5))
    table = K.averaged((3, 4))
    for s, t in [(0, 0), (2, 3), (1, 0)]:
        pairs = [
            K.table[a, b, a + i, b + j]
            for i in {s, -s}
            for j in {t, -t}
            for a in range(4)
            for b in range(5)
            if 0 <= a + i < 4 and 0 <= b + j < 5
        ]
        assert float(table[s, t]) == pytest.approx(float(torch.stack(pairs).mean()))


def network_moment(
    description: Architecture, grid: tuple[int, ...], draws: int
) -> tuple[Tensor, Tensor, Exact]:
    """Second moment of the last features (those that the output mixes), its error, and what is claimed."""
    dims, generator = len(grid), seeded(2)
    layers = description.layers(1, dims)
    assert isinstance(layers, Sequential)
    features = Sequential(layers.layers[:-1])
    K = description.latent_input.exact(grid)
    total = squares = torch.zeros(1, dtype=torch.float64)
    for _ in range(draws):
        z = description.latent_input.draw(grid, generator=generator)
        with torch.no_grad():
            y = features.module(z.shape[1], dims, generator)(z)[0].flatten(1).double()
        moment = y.T @ y / len(y)
        total, squares = total + moment, squares + moment.square()
    mean = total / draws
    return mean, ((squares / draws - mean.square()) / (draws - 1)).sqrt(), features.covariance(K)


WIDE = {"width": 128, "input_depth": 128}


@pytest.mark.parametrize(
    ("description", "grid"),
    [
        (arch.skip(scales=1, **WIDE), (16,)),
        (arch.skip(scales=1, **WIDE), (6, 6)),
        (arch.skip(scales=2, upsample="transposed", downsample="average", **WIDE), (24,)),
        (arch.skip(scales=2, norm=False, padding="zero", **WIDE), (24,)),
        (arch.skip(scales=2, downsample="lanczos", input_smoothness=1.0, **WIDE), (24,)),
        (arch.shuffle(scales=1, shuffled=64, **WIDE), (12,)),
        (arch.decoder(scales=2, padding="circular", **WIDE), (6,)),
    ],
    ids=lambda v: v.describe() if isinstance(v, Architecture) else None,
)
def test_exact_covariance_agrees_with_sampled_networks(
    description: Architecture, grid: tuple[int, ...]
) -> None:
    mean, error, K = network_moment(description, grid, draws=300)
    scale = float(K.variance.mean())
    assert float(error.max()) < 0.04 * scale
    assert bool(((mean - K.matrix).abs() < 4.5 * error + 0.003 * scale).all())


def test_exact_covariance_is_of_the_padded_network_and_cut_from_its_middle() -> None:
    description = arch.skip(scales=1, width=16)
    whole, part = description.exact_covariance((8,)), description.exact_covariance((7,))
    assert part.matrix.numpy() == pytest.approx(whole.matrix[:7, :7].numpy())
    assert description.exact_covariance((3, 5)).table.shape == (3, 5, 3, 5)


def test_given_picture_makes_a_kernel_between_its_patches() -> None:
    picture = torch.rand(1, 3, 9, generator=seeded())
    K = Conv(8, 3, bias=False).covariance(of_picture(picture[0]))
    padded = torch.nn.functional.pad(picture, (1, 1), mode="reflect")[0].double()
    patches = torch.stack([padded[:, i : i + 3].flatten() for i in range(9)])
    assert K.matrix.numpy() == pytest.approx((patches @ patches.T / 9 / 3).numpy())
    description = arch.skip(scales=1, width=16, input_depth=3)
    conditional = description.exact_covariance((9,), picture)
    assert not torch.allclose(conditional.matrix, description.exact_covariance((9,)).matrix)
    with pytest.raises(ShapeError, match="input_depth"):
        description.exact_covariance((9,), picture[:, :2])
    with pytest.raises(ShapeError, match="new_input"):
        description.exact_covariance((11,), picture)


def test_mesh_input_is_the_coordinates_and_has_an_exact_covariance_only() -> None:
    description = arch.skip(scales=1, width=8, input="mesh", input_scale=1.0)
    network = description.build(1, generator=seeded())
    z = network.new_input((4, 6))
    assert z.shape == (1, 2, 4, 6)
    assert z[0, 0, :, 3].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert z[0, 1, 2].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert network(z).shape == (1, 1, 4, 6)
    K = description.exact_covariance((4, 6))
    assert torch.allclose(K.matrix, description.exact_covariance((4, 6), z).matrix)
    assert float(K.variance.max() / K.variance.min()) > 1.05
    with pytest.raises(BayesDipError, match="exact_covariance"):
        description.kernel().quadrant((4, 4))


def test_token_mixing_has_an_exact_form_only_and_is_for_its_grid() -> None:
    layer = TokenMixer((4, 4))
    with pytest.raises(BayesDipError, match="exact_covariance"):
        layer.covariance(white(2, 8))
    with pytest.raises(ShapeError, match=r"\(4, 4\)"):
        layer.covariance(of_stationary(white(2, 8), (4, 5)))
    with pytest.raises(ShapeError, match=r"\(4, 4\)"):
        layer.module(8, 2)(torch.zeros(1, 8, 5, 4))


def test_exact_covariance_has_no_negative_eigenvalue() -> None:
    for description in (arch.skip(scales=2, width=16), arch.shuffle(scales=1, width=16)):
        assert float(torch.linalg.eigvalsh(description.exact_covariance((12, 8)).matrix).min()) > -1e-9
