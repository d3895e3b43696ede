"""The named architectures: their networks on any grid, and their kernels against sampled networks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.errors import BayesDipError, ShapeError

SMALL = [
    arch.skip(width=8),
    arch.decoder(width=8, scales=3),
    arch.shuffle(width=8, shuffled=4),
    arch.skip(width=8, scales=2, filter_size=5, skip=0, norm=False, mixing=False, output="linear"),
    arch.skip(width=8, scales=2, upsample="transposed", downsample="lanczos", padding="zero"),
    arch.skip(
        width=8, scales=2, upsample="nearest", downsample="average", input="normal", input_smoothness=1.5
    ),
    arch.skip(width=8, scales=0),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def id_of(value: object) -> str | None:
    return value.describe() if isinstance(value, Architecture) else None


@pytest.mark.parametrize("grid", [(1,), (7,), (50,), (1, 1), (1, 7), (3, 3), (5, 33)])
@pytest.mark.parametrize("description", SMALL, ids=id_of)
def test_every_network_makes_pictures_of_any_size(description: Architecture, grid: tuple[int, ...]) -> None:
    for channels in (1, 3, 7):
        network = description.build(channels, dims=len(grid), generator=seeded())
        picture = network(network.new_input(grid, seeded()), grid)
        assert picture.shape == (1, channels, *grid)
        picture.square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize("description", SMALL, ids=id_of)
def test_inputs_of_any_size_are_taken(description: Architecture) -> None:
    network = description.build(2, dims=2, generator=seeded())
    factor = network.grid_rule.magnification
    for grid in [(1, 1), (2, 9), (13, 6)]:
        z = torch.rand(2, 32, *grid, generator=seeded())
        assert network(z).shape == (2, 2, factor * grid[0], factor * grid[1])


def test_three_dimensional_grids_work() -> None:
    network = arch.skip(width=4, scales=1).build(1, dims=3, generator=seeded())
    assert network(network.new_input((3, 4, 5), seeded()), (3, 4, 5)).shape == (1, 1, 3, 4, 5)


def test_picture_is_cut_from_the_middle_of_the_padded_input() -> None:
    network = arch.skip(width=8, scales=2).build(1, generator=seeded())
    z = network.new_input((21, 17), seeded())
    assert z.shape == (1, 32, 24, 20)
    whole = network(z)
    assert torch.equal(network(z, (21, 17)), whole[:, :, 1:22, 1:18])


def test_same_seed_gives_the_same_weights_input_and_picture() -> None:
    def picture(seed: int) -> torch.Tensor:
        generator = seeded(seed)
        network = arch.shuffle(width=8).build(3, generator=generator)
        return network(network.new_input((20, 30), generator), (20, 30))

    state = torch.random.get_rng_state()
    first = picture(1)
    assert torch.equal(first, picture(1))
    assert not torch.equal(first, picture(2))
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator must not be touched"


def test_skip_has_the_parameters_of_the_original() -> None:
    # 2,217,831 is what the denoising notebook of the authors of Deep Image Prior prints for
    # 5 scales of 128 features, 4 skip features, 32 input features and three channels.
    network = arch.skip(scales=5, width=128, skip=4).build(3)
    assert sum(p.numel() for p in network.parameters()) == 2_217_831


def test_weights_start_as_pytorch_starts_them() -> None:
    torch.manual_seed(0)
    reference = torch.nn.Conv2d(32, 64, 3)
    ours = arch.Conv(64, 3).module(32, 2, seeded())
    for name in ("weight", "bias"):
        a, b = getattr(ours, name).detach(), getattr(reference, name).detach()
        assert a.shape == b.shape
        assert float(a.abs().max()) <= 1 / (32 * 9) ** 0.5
        assert float(a.std()) == pytest.approx(float(b.std()), rel=0.15 if name == "bias" else 0.02)


def test_network_is_the_same_in_training_and_evaluation() -> None:
    network = arch.skip(width=8, scales=2).build(1, generator=seeded())
    z = network.new_input((16, 16), seeded())
    assert torch.equal(network.train()(z), network.eval()(z))
    assert not list(network.buffers())


def test_pictures_of_a_batch_do_not_see_each_other() -> None:
    network = arch.skip(width=8, scales=2).build(1, generator=seeded())
    a, b = network.new_input((16, 16), seeded(1)), 5 * network.new_input((16, 16), seeded(2))
    assert torch.allclose(network(torch.cat((a, b)))[:1], network(a), atol=1e-5)


@pytest.mark.parametrize("smoothness", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_input_noise_has_the_covariance_it_claims(kind: str, smoothness: float) -> None:
    description = arch.skip(input=kind, input_smoothness=smoothness, input_scale=2.0)
    z = description.latent_input.draw((200,), 40, seeded()).double()
    K = description.latent_input.covariance(1).quadrant((12,))
    sampled = torch.stack([(z[..., :188] * z[..., t : t + 188]).mean() for t in range(12)])
    assert sampled.numpy() == pytest.approx(K.numpy(), abs=0.015 * float(K[0]))
    variance = 4 / 12 if kind == "uniform" else 4.0
    mean = 1.0 if kind == "uniform" else 0.0
    if smoothness:
        lag = np.arange(12)
        expected = mean**2 + variance * np.exp(-(lag**2) / (4 * smoothness**2))
        assert K.numpy() == pytest.approx(expected, abs=1e-3 * variance)


def variogram(f: torch.Tensor, lags: list[tuple[int, ...]], margin: int = 16) -> torch.Tensor:
    """Half the mean square of f(x) - f(x + t), which no mean of a finite window spoils."""
    length = f.shape[2] - 2 * margin - 8
    rows = []
    for lag in lags:
        here, there = f, f
        for axis, t in enumerate(lag):
            here = here.narrow(axis + 2, margin, length)
            there = there.narrow(axis + 2, margin + t, length)
        rows.append((here - there).square().mean() / 2)
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("description", "dims", "size"),
    [
        (arch.skip(scales=2, width=64), 2, 192),
        (arch.skip(scales=2, width=128), 1, 1024),
        (arch.skip(scales=2, width=128, upsample="nearest", downsample="average"), 1, 1024),
        (arch.skip(scales=2, width=128, downsample="lanczos", slope=0.0, skip=32), 1, 1024),
        (arch.skip(scales=1, width=128, input_smoothness=2.0, mixing=False), 1, 1024),
        (arch.decoder(scales=2, width=128), 1, 1024),
        (arch.shuffle(scales=1, width=256, shuffled=64), 1, 1024),
    ],
    ids=id_of,
)
def test_kernel_agrees_with_sampled_networks(description: Architecture, dims: int, size: int) -> None:
    """Of the last features, whose covariance the output has times a constant.

    At a finite width, on a finite grid (at its borders the variance is larger, and batch
    norm sees that), and with the phases of upsampling averaged, it cannot be exact: 0.03
    of the variance at any lag is what is asked for.
    """
    lags = [(t, *(0,) * (dims - 1)) for t in range(9)] + [(t, t) for t in range(1, 4) if dims == 2]
    features = arch.Sequential(description.layers(1, dims).layers[:-1])
    K = features.covariance(description.latent_input.covariance(dims))
    table = K.quadrant((9,) * dims)
    spread = float(K.variance) - K.limit
    expected = torch.stack([K.variance - table[lag] for lag in lags]) / spread

    generator = seeded(3)
    drawn = []
    for _ in range(20 if dims == 1 else 6):
        network = description.build(1, dims, generator=generator)
        network.body = features.module(description.input_depth, dims, generator)
        with torch.no_grad():
            drawn.append(variogram(network(network.new_input((size,) * dims, generator)).double(), lags))
    sampled = torch.stack(drawn).mean(0) / spread
    assert sampled.numpy() == pytest.approx(expected.numpy(), abs=0.03)


def test_kernel_has_unit_variance_and_lag_zero_in_the_middle() -> None:
    for dims in (1, 2):
        K = arch.skip(scales=2, width=1024).kernel(lags=9, dims=dims)
        assert K.values.shape == (19,) * dims
        assert float(K.values[(9,) * dims]) == 1.0
        assert torch.equal(K.values, K.values.flip(0))
        assert float(K.values.min()) >= 0


def test_kernel_is_known_at_thousands_of_lags() -> None:
    K = arch.skip(scales=5).kernel()
    table = K.quadrant((2048, 2048))
    assert torch.equal(table[:65, :65], K.values[64:, 64:])
    assert float(table[-1, 0]) == pytest.approx(K.limit)


def test_kernel_is_a_covariance() -> None:
    for description in SMALL:
        K = description.kernel().quadrant((150,))
        lag = torch.arange(150)
        assert float(torch.linalg.eigvalsh(K[(lag[:, None] - lag).abs()]).min()) > -1e-10


def test_more_scales_reach_farther() -> None:
    halves = [
        int((arch.skip(scales=s).kernel(lags=200, dims=1).values[200:] > 0.6).sum()) for s in (1, 2, 3, 4)
    ]
    assert halves == sorted(set(halves))


def test_without_norm_pictures_drift_to_constants() -> None:
    assert arch.skip(scales=3, norm=False).kernel().limit > 0.95 > arch.skip(scales=3).kernel().limit


@pytest.mark.parametrize("description", SMALL, ids=id_of)
def test_settings_survive_a_round_trip_through_json(description: Architecture) -> None:
    assert arch.from_dict(json.loads(json.dumps(description.to_dict()))) == description


def test_descriptions_name_what_was_changed() -> None:
    assert arch.skip().describe() == "skip()"
    assert arch.skip(scales=2, skip=8).describe() == "skip(scales=2, skip=8)"
    assert [arch.named(name).name for name in arch.names()] == arch.names()


def test_build_width_overrides_the_description() -> None:
    network = arch.skip(width=128, scales=1).build(1, width=6)
    assert network.arch == arch.skip(width=6, scales=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: arch.named("vgg"),
        lambda: arch.skip(depth=3),
        lambda: arch.skip(scales=-1),
        lambda: arch.skip(width=0),
        lambda: arch.skip(filter_size=4),
        lambda: arch.skip(upsample="cubic"),
        lambda: arch.skip(downsample="max"),
        lambda: arch.skip(input="mesh", input_smoothness=1.0),
        lambda: arch.skip(input_scale=0.0),
        lambda: arch.skip(output="tanh"),
        lambda: arch.skip(padding="mirror"),
        lambda: arch.skip(scales=1, width=4).build(0),
        lambda: arch.skip(scales=1, width=4).build(1, dims=4),
    ],
)
def test_unknown_settings_are_refused_by_name(make: object) -> None:
    with pytest.raises(BayesDipError):
        make()  # type: ignore[operator]


def test_unknown_architecture_is_refused_with_the_list() -> None:
    with pytest.raises(BayesDipError, match=r"'vgg'.*skip, decoder, shuffle"):
        arch.named("vgg")


def test_wrong_inputs_are_refused() -> None:
    network = arch.skip(width=4, scales=1).build(1)
    for call in (
        lambda: network.new_input((4,)),
        lambda: network.new_input((0, 4)),
        lambda: network(torch.zeros(1, 3, 8, 8)),
        lambda: network(torch.zeros(1, 32, 8)),
        lambda: network(torch.zeros(1, 32, 8, 8), (9, 8)),
    ):
        with pytest.raises(ShapeError):
            call()
