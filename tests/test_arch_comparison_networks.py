"""The architectures of the lab: their networks, and their kernels against sampled networks."""

from __future__ import annotations

import pytest
import torch

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.errors import BayesDipError, ShapeError

ANY_SIZE = [
    arch.Flat(width=6, depth=2),
    arch.Flat(width=6, depth=3, norm=False, filter_size=5),
    arch.DeepDecoder(width=6, scales=2),
    arch.UNet(width=4, scales=2),
    arch.UNet(width=4, scales=2, pooling="average", upsample="bilinear"),
    arch.ResNet(width=6, blocks=2),
]
WITH_KERNEL = [
    arch.Flat(width=96, depth=2),
    arch.DeepDecoder(width=192, scales=2),
    arch.UNet(width=48, scales=2, pooling="average", upsample="nearest"),
    arch.UNet(width=48, scales=1, pooling="average"),
    arch.ResNet(width=96, blocks=2),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def id_of(value: object) -> str | None:
    return value.describe() if isinstance(value, Architecture) else None


@pytest.mark.parametrize("grid", [(7,), (1, 5), (12, 17)])
@pytest.mark.parametrize("description", ANY_SIZE, ids=id_of)
def test_every_network_makes_pictures_of_any_size(description: Architecture, grid: tuple[int, ...]) -> None:
    network = description.build(3, dims=len(grid), generator=seeded())
    picture = network(network.new_input(grid, seeded()), grid)
    assert picture.shape == (1, 3, *grid)
    picture.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize("description", WITH_KERNEL, ids=id_of)
def test_kernel_agrees_with_sampled_networks(description: Architecture) -> None:
    """On a finite grid with its borders, so the exact form is what sampled networks tend to."""
    sampled = description.monte_carlo_kernel((64,), 150, lags=10, generator=seeded(1))
    exact = description.exact_covariance((64,)).averaged((11,))
    error = (sampled.table - exact / exact[0]).abs()
    assert float(error.max()) < 0.02 + 4 * float(sampled.standard_error.max())
    assert float(sampled.standard_error.max()) < 0.02


@pytest.mark.parametrize("description", WITH_KERNEL, ids=id_of)
def test_stationary_kernel_agrees_with_the_middle_of_a_large_grid(description: Architecture) -> None:
    # Away from the borders; what is left are the border's share in batch norm, and the phases.
    exact = description.exact_covariance((256,)).cropped([112], [32]).averaged((8,))
    limit = float(description.exact_covariance((256,)).averaged((256,))[128:].mean())
    closed = description.kernel(dims=1)
    spread = (closed.quadrant((8,)) - closed.limit) / (1 - closed.limit)
    assert (exact - limit).div(exact[0] - limit).numpy() == pytest.approx(spread.numpy(), abs=0.05)


def test_mixer_has_on_average_the_covariance_of_its_rule() -> None:
    description = arch.Mixer(width=64, side=16, patch=2, blocks=2, hidden=64, output="linear")
    generator, pictures = seeded(2), []
    with torch.no_grad():
        for _ in range(400):
            network = description.build(8, dims=1, generator=generator)
            pictures.append(network(network.new_input((16,), generator), (16,))[0])
    f = torch.cat(pictures).double()
    sampled, exact = f.T @ f / len(f), description.exact_covariance((16,)).matrix
    scale = float(exact.diagonal().mean())
    assert float((sampled - exact).abs().max()) < 0.1 * scale


def test_mixer_is_for_pictures_up_to_its_side() -> None:
    network = arch.Mixer(width=8, side=16, patch=4, blocks=1, hidden=8).build(1, generator=seeded())
    assert network(network.new_input((13, 16)), (13, 16)).shape == (1, 1, 13, 16)
    with pytest.raises(ShapeError, match="token-mixing"):
        network(network.new_input((20, 20)), (20, 20))


def test_max_pooling_has_no_kernel_and_average_pooling_has() -> None:
    with pytest.raises(BayesDipError, match="average pooling"):
        arch.UNet(scales=2).kernel().quadrant((3, 3))
    assert arch.UNet(scales=2, pooling="average").kernel().quadrant((3, 3)).shape == (3, 3)


def test_output_of_255_is_the_one_of_1_times_255() -> None:
    pictures = []
    for output in ("sigmoid", "sigmoid255"):
        network = arch.Flat(width=4, depth=1, output=output).build(1, generator=seeded(3))
        pictures.append(network(network.new_input((8, 8), seeded(4)), (8, 8)))
    assert torch.allclose(255 * pictures[0], pictures[1])


def test_resnet_has_the_parameters_of_the_original() -> None:
    # models/resnet.py, num_blocks=2, num_channels=16, 8 input and 3 output channels, counted by hand.
    block = 2 * (16 * 16 * 9 + 2 * 16)
    expected = (8 * 16 * 9 + 16) + 2 * block + (16 * 16 * 9 + 16 + 32) + (16 * 3 * 9 + 3)
    network = arch.ResNet(width=16, blocks=2, input_depth=8).build(3)
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize("name", ["flat", "deep-decoder", "unet", "resnet", "mixer"])
def test_every_name_reads_back(name: str) -> None:
    description = arch.named(name)
    assert description.name == name
    assert arch.from_dict(description.to_dict()) == description


@pytest.mark.parametrize(
    "make",
    [
        lambda: arch.Flat(depth=0),
        lambda: arch.Flat(filter_size=4),
        lambda: arch.UNet(pooling="min"),
        lambda: arch.UNet(scales=0),
        lambda: arch.ResNet(blocks=0),
        lambda: arch.Mixer(side=10, patch=4),
        lambda: arch.DeepDecoder(upsample="cubic"),
    ],
)
def test_what_cannot_be_built_is_refused(make: object) -> None:
    with pytest.raises(BayesDipError):
        make()  # type: ignore[operator]
