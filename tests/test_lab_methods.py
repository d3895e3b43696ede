"""What the claims are measured with: fits, matrix completion, bases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesdip import arch
from bayesdip.errors import FileError
from bayesdip.lab import bases, cases, matrix_completion, pictures
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.operators import Downsample

SMALL = arch.skip(scales=1, width=8, skip=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def low_rank(side: int, rank: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(side, rank, generator=generator) @ torch.randn(rank, side, generator=generator)


def smooth(batch: int = 1) -> torch.Tensor:
    x = torch.linspace(0, 3, 16)
    waves = [0.5 + 0.4 * torch.sin((k + 1) * x[:, None] + x[None, :]) for k in range(batch)]
    return torch.stack(waves)[:, None]


def test_a_fit_follows_the_data_and_says_so() -> None:
    case = cases.denoising(smooth(), 0.05, seeded())
    found = fit(SMALL, case, Recipe(80), seeded(1))
    assert found.error[-1] < 0.1 * found.error[0]
    assert found.best > 20 and found.steps[-1] == 80
    assert len(found.psnr) == len(found.steps) == len(found.error)
    assert found.psnr[-1] == pytest.approx(psnr(found.picture, case.truth), abs=1e-3)


def test_held_out_and_missing_values_do_not_reach_the_fit() -> None:
    case = cases.inpainting(smooth(), 0.3, seeded()).hold_out(0.2, seeded(1))
    assert not bool((case.observed & case.held_out).any())
    held_out = ~case.observed
    spoilt = cases.Case(case.y.masked_fill(held_out, 9.0), case.observed, case.truth, case.held_out)
    clean, other = (fit(SMALL, p, Recipe(5), seeded(2)).picture for p in (case, spoilt))
    assert torch.equal(clean, other)


def test_pictures_of_one_network_have_latent_inputs_of_their_own() -> None:
    case = cases.denoising(smooth(2), 0.02, seeded())
    found = fit(SMALL, case, Recipe(80), seeded(1))
    assert found.picture.shape == (2, 1, 16, 16)
    own, swapped = (psnr(p, case.truth) for p in (found.picture, found.picture.flip(0)))
    assert own > swapped + 5


def test_a_sigmoid_to_255_fits_the_same_picture_as_one_to_1() -> None:
    # Adam does not see the scale of the loss, but for its epsilon.
    case = cases.denoising(smooth(), 0.05, seeded())
    wide = arch.skip(scales=1, width=8, skip=2, output="sigmoid255")
    a = fit(SMALL, case, Recipe(20), seeded(1))
    b = fit(wide, case, Recipe(20, peak=255.0), seeded(1))
    assert torch.allclose(a.picture, b.picture, atol=5e-3)
    assert b.error[0] == pytest.approx(a.error[0], rel=1e-3)


def test_noise_on_the_input_and_on_the_weights_is_repeatable_and_felt() -> None:
    case = cases.denoising(smooth(), 0.05, seeded())
    plain = fit(SMALL, case, Recipe(5), seeded(1)).picture
    for recipe in (Recipe(5, input_noise=0.1), Recipe(5, weight_noise=True), Recipe(5, optimiser="descent")):
        first, second = (fit(SMALL, case, recipe, seeded(1)).picture for _ in range(2))
        assert torch.equal(first, second) and not torch.equal(first, plain)


def test_sampled_mean_leaves_out_the_burn_in() -> None:
    seen: list[torch.Tensor] = []
    case = cases.denoising(smooth(), 0.05, seeded())
    recipe = Recipe(10, burn_in=0.5)
    found = fit(SMALL, case, recipe, seeded(1), watch=lambda step, picture: seen.append(picture.clone()))
    assert torch.allclose(found.sampled.float(), torch.stack(seen[5:]).mean(0), atol=1e-6)
    assert torch.allclose(found.std.float(), torch.stack(seen[5:]).std(0), atol=1e-5)


def test_an_operator_measures_every_picture() -> None:
    truth = smooth(2)
    operator = Downsample((16, 16), 2)
    case = cases.measured_by(operator, truth)
    assert torch.equal(case.y[1], operator.forward(truth[1]))
    assert torch.equal(case.forward(truth), case.y)


def test_soft_impute_completes_a_matrix_of_low_rank() -> None:
    truth = low_rank(40, 2, seeded(0))
    seen = torch.rand(truth.shape, generator=seeded(1)) < 0.6
    held_out = seen & (torch.rand(truth.shape, generator=seeded(2)) < 0.1)
    found = matrix_completion.soft_impute(truth * seen, seen, held_out=held_out)
    assert float((found - truth)[~seen].norm() / truth[~seen].norm()) < 0.05


def test_deep_factorisation_completes_a_matrix_of_low_rank() -> None:
    truth = low_rank(24, 1, seeded(0))
    seen = torch.rand(truth.shape, generator=seeded(1)) < 0.7
    held_out = seen & (torch.rand(truth.shape, generator=seeded(2)) < 0.1)
    found = matrix_completion.deep_factorisation(
        truth * seen, seen, held_out=held_out, generator=seeded(3), steps=1500, learning_rate=3e-3
    )
    assert float((found - truth)[~seen].norm() / truth[~seen].norm()) < 0.2


def test_nothing_thresholded_leaves_the_picture() -> None:
    y = np.random.default_rng(0).normal(size=(33, 48))
    assert bases.dct_threshold(y, 0.0) == pytest.approx(y)
    for mother in ("haar", "db4", "bior4.4"):
        assert bases.wavelet_threshold(y, 0.0, mother) == pytest.approx(y)


def test_one_wave_needs_one_coefficient_and_one_edge_few_of_haar() -> None:
    n = np.arange(32)
    wave = np.cos(np.pi * (n[:, None] + 0.5) * 5 / 32) * np.ones(32)
    noisy = wave + 0.1 * np.random.default_rng(0).normal(size=wave.shape)
    edge = (n[:, None] >= 16) * np.ones(32)
    rough = edge + 0.1 * np.random.default_rng(1).normal(size=wave.shape)
    for truth, y, better in ((wave, noisy, "dct"), (edge, rough, "haar")):
        errors = {
            "dct": np.mean((bases.dct_threshold(y, 0.4) - truth) ** 2),
            "haar": np.mean((bases.wavelet_threshold(y, 0.4, "haar") - truth) ** 2),
        }
        assert min(errors, key=errors.__getitem__) == better
        assert errors[better] < 1e-3


def test_foreground_is_where_the_edges_are() -> None:
    truth = np.zeros((40, 40))
    truth[:, 20:] = 1.0
    mask = bases.foreground(truth, share=0.3)
    assert mask[:, 18:22].all() and not mask[:, :10].any()
    assert bases.psnr_within(truth + 0.1 * mask, truth, ~mask) > 90
    assert bases.psnr_within(truth * 0.9, truth, truth > 0) == pytest.approx(20)


def test_oracle_takes_the_threshold_of_the_smallest_error() -> None:
    truth = np.zeros((4, 4))
    found = bases.best_threshold(lambda t: truth + (t - 1.9), truth, sigma=1.0)
    assert found == pytest.approx(truth + 0.1)


def test_pictures_are_gray_square_and_in_range() -> None:
    for name in pictures.names(4, None):
        picture = pictures.gray(name, 48)
        assert picture.shape == (1, 48, 48)
        assert 0 <= float(picture.min()) < float(picture.max()) <= 1
    with pytest.raises(FileError, match="pixels"):
        pictures.gray("camera", 600)
