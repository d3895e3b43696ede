"""The estimate finds the noise that was added, on arrays and tensors of any layout and type."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

import bayesdip as bd
from bayesdip.errors import ShapeError
from bayesdip.noise import Speckle, detect_clipping, estimate_looks, estimate_sigma


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- the estimate ----------------------------------------------------------------------------------


def picture(name: str) -> Tensor:
    pixels = torch.from_numpy(getattr(data, name)()).double()
    return pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)


def noisy(clean: Tensor, sigma: float | Tensor, clipped: bool = False) -> Tensor:
    y = clean + sigma * torch.randn(clean.shape, generator=seeded(7), dtype=torch.float64)
    return y.round().clamp(0, 255) if clipped else y


@pytest.mark.parametrize("clipped", [False, True], ids=["unclipped", "clipped to 8 bits"])
@pytest.mark.parametrize("sigma", [10.0, 25.0, 50.0])
@pytest.mark.parametrize(
    "name", ["camera", "astronaut", "coffee", "chelsea", "moon", "coins", "brick", "rocket"]
)
def test_estimate_finds_the_noise_on_pictures(name: str, sigma: float, clipped: bool) -> None:
    assert estimate_sigma(noisy(picture(name), sigma, clipped)) == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize("clipped", [False, True], ids=["unclipped", "clipped to 8 bits"])
@pytest.mark.parametrize("name", ["grass", "gravel"])
def test_estimate_is_not_taken_in_by_texture(name: str, clipped: bool) -> None:
    y = noisy(picture(name), 25.0, clipped)
    differences = (y[..., 1:] - y[..., :-1]).abs().median() / (2**0.5 * 0.6745)
    assert float(differences) > 27.5  # what an estimate blind to texture finds
    assert estimate_sigma(y) == pytest.approx(25.0, rel=0.1)


def test_estimate_makes_up_for_heavy_clipping() -> None:
    y = noisy(picture("astronaut"), 75.0, clipped=True)
    assert float((y - picture("astronaut")).std()) < 62  # what an estimate blind to clipping would find
    assert estimate_sigma(y) == pytest.approx(75.0, rel=0.1)


def test_estimate_follows_the_pictures_own_scale() -> None:
    y = noisy(picture("chelsea"), 25.0)
    assert estimate_sigma(y / 255 - 3) == pytest.approx(estimate_sigma(y) / 255, rel=0.02)


def test_estimate_tells_channels_apart() -> None:
    sigmas = torch.tensor([10.0, 25.0, 15.0]).view(3, 1, 1)
    y = noisy(picture("astronaut"), sigmas)
    assert estimate_sigma(y, per_channel=True) == pytest.approx((10.0, 25.0, 15.0), rel=0.1)
    assert estimate_sigma(y) == pytest.approx(float(sigmas.square().mean().sqrt()), rel=0.1)


def test_estimate_of_a_gray_picture_stored_as_colour() -> None:
    y = noisy(picture("camera"), 25.0)
    assert estimate_sigma(y.expand(3, -1, -1)) == pytest.approx(25.0, rel=0.1)


def test_estimate_is_not_diluted_by_an_empty_border() -> None:
    y = torch.zeros(1, 900, 900)
    y[:, 200:712, 200:712] = noisy(picture("camera"), 25.0, clipped=True)
    assert estimate_sigma(y) == pytest.approx(25.0, rel=0.1)


def test_estimate_passes_over_what_is_missing() -> None:
    y = noisy(picture("astronaut"), 25.0)
    seen = torch.rand(512, 512, generator=seeded()) < 0.5
    assert estimate_sigma(torch.where(seen, y, 0.0), observed=seen) == pytest.approx(25.0, rel=0.15)
    assert estimate_sigma(torch.where(seen, y, torch.nan)) == pytest.approx(25.0, rel=0.15)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 5000),
        (1, 1, 5000),
        (2, 5000, 1),
        (3, 64, 64),
        (1, 24, 24, 24),
        (7, 64, 64),
        (1, 3, 900),
        (1, 100_000),
    ],
)
def test_estimate_on_pure_noise_of_any_shape(shape: tuple[int, ...]) -> None:
    assert estimate_sigma(noisy(torch.zeros(shape), 0.1)) == pytest.approx(0.1, rel=0.06)


def test_estimate_on_a_signal_with_jumps() -> None:
    t = torch.linspace(0, 1, 2000)
    signal = (torch.sin(20 * t) + (t > 0.5))[None]
    assert estimate_sigma(noisy(signal, 0.05)) == pytest.approx(0.05, rel=0.15)


@pytest.mark.parametrize("shape", [(1, 2), (1, 3, 3), (3, 2, 5), (1, 6, 6), (3, 8, 8)])
def test_estimate_of_a_tiny_picture_is_of_the_right_size(shape: tuple[int, ...]) -> None:
    estimates = [estimate_sigma(torch.randn(shape, generator=seeded(seed))) for seed in range(60)]
    assert 0.5 < float(np.median(estimates)) < 1.5


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (1, 1), (1, 20, 20), (3, 2, 2), (2, 50)])
def test_a_constant_picture_has_no_noise(shape: tuple[int, ...]) -> None:
    assert estimate_sigma(torch.full(shape, 0.3)) == 0.0
    assert estimate_sigma(torch.full(shape, 0.3), per_channel=True) == (0.0,) * shape[0]


def test_a_clean_drawing_has_no_noise() -> None:
    assert estimate_sigma(255.0 * torch.from_numpy(data.horse())[None].double()) < 1.0


def test_a_picture_without_a_channel_axis_is_refused() -> None:
    with pytest.raises(ShapeError, match="add a channel axis"):
        estimate_sigma(torch.zeros(5))


def test_estimate_is_quick() -> None:
    y = noisy(picture("astronaut"), 25.0)
    took = []
    for _ in range(3):
        start = time.process_time()
        estimate_sigma(y)
        took.append(time.process_time() - start)
    assert min(took) < 1.0  # 0.2 s on one core; the rest is for busy machines


# --- arrays ----------------------------------------------------------------------------------------


def noisy_colour() -> np.ndarray:
    clean = data.astronaut()[:96, :96].astype(float)
    return clean + np.random.default_rng(0).normal(0, 20, clean.shape)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_estimates_take_arrays_with_their_channel_axis(axis: int) -> None:
    y = noisy_colour()
    moved = np.moveaxis(y, -1, axis)
    tensor = torch.from_numpy(np.moveaxis(y, -1, 0).copy())
    observed = np.random.default_rng(1).random(y.shape) < 0.9
    assert estimate_sigma(moved, channel_axis=axis) == estimate_sigma(tensor)
    assert estimate_sigma(tensor.movedim(0, axis), channel_axis=axis) == estimate_sigma(tensor)
    assert estimate_sigma(
        moved, channel_axis=axis, observed=np.moveaxis(observed, -1, axis)
    ) == estimate_sigma(tensor, observed=torch.from_numpy(np.moveaxis(observed, -1, 0).copy()))
    assert estimate_sigma(moved, channel_axis=axis, observed=observed[..., 0]) == pytest.approx(20, rel=0.15)
    assert estimate_looks(moved.clip(1), channel_axis=axis) == pytest.approx(estimate_looks(tensor.clip(1)))
    assert detect_clipping(moved.clip(0, 255), channel_axis=axis) == (0.0, 255.0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", ">f4", "float64"])
def test_estimates_take_any_type_of_numbers(dtype: str) -> None:
    y = noisy_colour()[..., 0].clip(20, 200).astype(dtype)
    assert estimate_sigma(y) == pytest.approx(20, rel=0.1)
    assert detect_clipping(y) == (20.0, 200.0)
    looks = (
        Speckle(4.0)
        .sample(torch.full((64, 64), 1000.0), seeded())
        .numpy()
        .astype(dtype if dtype != "uint8" else int)
    )
    assert estimate_looks(looks) == pytest.approx(4, rel=0.1)


def test_without_a_channel_axis_an_array_has_no_channels_and_a_tensor_has_them_first() -> None:
    rows = np.random.default_rng(0).normal(0, [[1.0], [9.0]], (2, 4000))
    assert estimate_sigma(torch.from_numpy(rows), per_channel=True) == pytest.approx((1.0, 9.0), rel=0.1)
    assert isinstance(estimate_sigma(rows[0]), float)
    assert detect_clipping(rows) == (-math.inf, math.inf)


def test_a_channel_axis_that_is_not_there_is_refused() -> None:
    with pytest.raises(ShapeError, match="channel_axis is 2"):
        bd.estimate_sigma(np.zeros((4, 4)), channel_axis=2)
    with pytest.raises(ShapeError, match="at least one axis beside its channels"):
        bd.estimate_sigma(np.zeros(4), channel_axis=0)
