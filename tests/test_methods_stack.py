"""The average of patches and a sampled network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.data import camera

import bayesdip as bd
from bayesdip.methods.stack import (
    CORRELATION,
    IN_NOISE,
    UsualWeight,
    average,
    calibrated,
    network_weight,
    precision_share,
    weight_of_sizes,
)
from bayesdip.result import Posterior

SMALL = "shuffle(scales=2, width=8, skip=4, shuffled=4)"


def small(steps: int | None = None, samples: int = 4) -> bd.Stack:
    return bd.Stack(sgld=bd.SGLD(arch=SMALL, steps=steps), effort="fast", samples=samples)


@pytest.fixture
def truth() -> torch.Tensor:
    return torch.rand(1, 200, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def noisy(truth: torch.Tensor, size: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return truth + size * torch.randn(truth.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("network", "patches"), [(0.1, 0.1), (0.1, 0.2), (0.05, 0.1)])
def test_weight_of_independent_errors_is_their_inverse_variance(
    truth: torch.Tensor, network: float, patches: float
) -> None:
    held_out = torch.ones(200, 200, dtype=torch.bool)
    found = network_weight(truth, noisy(truth, network, 1), noisy(truth, patches, 2), held_out)
    assert found == pytest.approx(patches**2 / (network**2 + patches**2), abs=0.01)


def test_weight_is_that_of_the_truth_though_the_data_are_noisy(truth: torch.Tensor) -> None:
    held_out = torch.ones(200, 200, dtype=torch.bool)
    y = noisy(truth, 0.3, 3)
    assert network_weight(y, noisy(truth, 0.1, 1), noisy(truth, 0.2, 2), held_out) == pytest.approx(
        0.8, abs=0.03
    )


def test_weight_without_evidence_is_one_half(truth: torch.Tensor) -> None:
    few = torch.zeros(200, 200, dtype=torch.bool)
    few[0, :2] = True
    y = noisy(truth, 5.0, 3)
    assert network_weight(y, noisy(truth, 0.1, 1), noisy(truth, 0.1, 2), few) == pytest.approx(0.5, abs=0.05)


def test_weight_stays_between_zero_and_one(truth: torch.Tensor) -> None:
    held_out = torch.ones(200, 200, dtype=torch.bool)
    assert network_weight(truth, noisy(truth, 1.0, 1), truth, held_out) == pytest.approx(0.0, abs=1e-3)
    assert network_weight(truth, truth, noisy(truth, 1.0, 1), held_out) == pytest.approx(1.0, abs=1e-2)


def test_a_weight_that_few_large_errors_decide_is_drawn_to_one_half() -> None:
    """Predictions that differ in three pixels of many, of which the network is right in two: by hand."""
    y = torch.zeros(1, 10, 10, dtype=torch.float64)
    network, patches = y.clone(), y.clone()
    patches[0, 0, :2] = -1.0
    network[0, 0, 2] = 1.0
    found = network_weight(y, network, patches, torch.ones(10, 10, dtype=torch.bool))
    variance = (2 * (1 - 2 / 3) ** 2 + (2 / 3) ** 2) / 3**2
    doubt = variance / UsualWeight().spread ** 2
    assert found == pytest.approx((2 / 3 + doubt / 2) / (1 + doubt))


def test_weight_in_noise_is_the_posterior_mean_of_a_prior_and_held_out_pixels_that_are_no_fair_sample(
    truth,
) -> None:
    held_out = torch.ones(200, 200, dtype=torch.bool)
    predictions = noisy(truth, 0.1, 1), noisy(truth, 0.2, 2)  # of which 0.8 is best
    spread, apart = IN_NOISE.spread**2, IN_NOISE.apart**2
    expected = (0.8 * spread + IN_NOISE.mean * apart) / (spread + apart)
    assert network_weight(truth, *predictions, held_out, IN_NOISE) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("network", "patches"), [(0.2, 0.2), (0.15, 0.2), (0.2, 0.15), (0.1, 0.3), (0.3, 0.1)]
)
def test_sizes_of_errors_tell_the_weight_that_least_squares_finds(
    truth: torch.Tensor, network: float, patches: float
) -> None:
    common = noisy(torch.zeros_like(truth), CORRELATION**0.5, 1)
    own = [noisy(torch.zeros_like(truth), (1 - CORRELATION) ** 0.5, k) for k in (2, 3)]
    predictions = [truth + size * (common + each) for size, each in zip((network, patches), own, strict=True)]
    found = network_weight(truth, *predictions, torch.ones(200, 200, dtype=torch.bool))
    assert weight_of_sizes(network, patches) == pytest.approx(found, abs=0.02)


def test_two_predictions_that_are_one_have_the_usual_weight(truth: torch.Tensor) -> None:
    held_out = torch.ones(200, 200, dtype=torch.bool)
    assert network_weight(truth, noisy(truth, 0.1, 1), noisy(truth, 0.1, 1), held_out) == 0.5


def test_the_share_of_a_pixel_is_that_of_independent_estimates(truth: torch.Tensor) -> None:
    left = torch.arange(200) < 100
    network = torch.where(left, 0.05, 0.2).double().expand(truth.shape)
    patches = torch.where(left, 0.2, 0.05).double().expand(truth.shape)
    everywhere = torch.ones(200, 200, dtype=torch.bool)
    share = precision_share(network, patches, everywhere)
    assert torch.allclose(share[..., :90], torch.tensor(16 / 17).double())
    assert torch.allclose(share[..., 110:], torch.tensor(1 / 17).double())
    assert not precision_share(network, patches, ~everywhere).any()


def test_a_standard_deviation_is_scaled_to_the_errors_at_hidden_pixels(truth: torch.Tensor) -> None:
    held_out = torch.rand(200, 200, generator=torch.Generator().manual_seed(3)) < 0.2
    std = 0.5 + truth
    error = 3 * noisy(torch.zeros_like(truth), 1.0, 4) * std
    assert torch.allclose(calibrated(std, error, held_out), 3 * std, rtol=0.03)
    assert not calibrated(torch.zeros_like(std), error, ~held_out).any()


def test_pixels_that_the_network_did_not_see_are_those_of_the_process() -> None:
    shape = (1, 4, 4)
    patches = Posterior(torch.zeros(shape), torch.full(shape, 0.1), torch.empty(0, *shape))
    network = Posterior(torch.ones(shape), torch.full(shape, 0.3), torch.ones(5, *shape))
    held_out = torch.zeros(4, 4, dtype=torch.bool)
    held_out[1, 2] = True
    found = average(patches, network, torch.full((4, 4), 0.25), held_out)
    assert found.std is not None
    assert float(found.mean[0, 1, 2]) == 0.0 and float(found.mean[0, 0, 0]) == 0.25
    assert float(found.std[0, 1, 2]) == pytest.approx(0.1)
    assert float(found.std[0, 0, 0]) == pytest.approx(0.15)
    assert torch.allclose(found.samples, found.mean.expand(5, *shape))


def test_front_door_restores_better_than_the_data() -> None:
    clean = camera()[100:164, 200:264].astype(np.float32)
    y = clean + 25 * np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    r = bd.denoise(y, 25.0, method=small(steps=60))
    assert np.mean((r.mean - clean) ** 2) < 0.4 * np.mean((y - clean) ** 2)
    assert r.std is not None and (r.std > 0).all()
    assert len(r.samples) > 0
    assert 0 <= r.info["network_weight"] <= 1


def test_exact_data_are_stacked_by_parts_and_stay() -> None:
    clean = camera()[100:164, 200:264]
    missing = np.random.default_rng(0).random(clean.shape) < 0.5
    r = bd.inpaint(clean, missing, method=small(steps=60))
    assert (r.mean[~missing] == clean[~missing]).all()
    assert 0 <= r.info["network_weight"] <= 1


def test_the_pixels_that_the_network_is_judged_by_are_those_of_the_held_out_error() -> None:
    """The patches' part of the mean has seen them in the end, and the calibration comes from what has not."""
    clean = camera()[100:164, 200:264].astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape).astype(np.float32)
    r = bd.denoise(noisy, 20.0, method=small(steps=60, samples=2))
    alone = bd.denoise(noisy, 20.0, method="patches", effort="fast")
    assert r.calibration is not None and alone.calibration is not None
    places = r.calibration.held_out.places
    assert (places == alone.calibration.held_out.places).all()
    assert np.allclose(r.mean.ravel()[places], alone.mean.ravel()[places], atol=1e-2)
    blind = r.calibration.held_out.mean.ravel()
    assert np.abs(blind - alone.mean.ravel()[places]).max() > 1
    assert r.held_out == pytest.approx(
        float(np.sqrt(np.mean((noisy.ravel()[places] - blind) ** 2))), rel=1e-3
    )


def test_what_it_takes_is_told_once_and_of_all_of_it() -> None:
    """Before the network begins, by a few of its steps that are thrown away; a budget is an upper bound."""
    clean = camera()[100:164, 200:264].astype(np.float32)

    def heard(**options: Any) -> list[bd.Snapshot]:
        found: list[bd.Snapshot] = []

        def note(snapshot: bd.Snapshot) -> None:
            found.append(snapshot)

        bd.denoise(clean, 20.0, method=small(steps=60, samples=0), callback=note, **options)
        return found

    run = heard()
    (told,) = [s for s in run if s.estimate is not None]
    assert told.estimate is not None and told.estimate.memory > 0
    assert all(s.phase != "warm-up" for s in run[: run.index(told)])
    assert [s for s in run if s.phase == "patches"][-1].remaining > 0  # the network comes after them
    assert 0.3 < told.estimate.seconds / run[-1].elapsed < 3
    (told,) = [s for s in heard(time_budget=3.0) if s.estimate is not None]
    assert told.estimate is not None and told.estimate.seconds <= 3.1


def test_stopped_at_once_it_gives_the_process_alone() -> None:
    clean = camera()[100:148, 200:248].astype(np.float32)
    r = bd.denoise(clean, 5.0, method=small(), callback=lambda snapshot: True)
    assert r.stopped == "interrupted" and "network_weight" not in r.info


def test_another_operator_is_refused_in_one_line() -> None:
    with pytest.raises(bd.BayesDipError, match="expected the identity or a mask"):
        bd.upscale(np.random.default_rng(0).random((16, 16)), 2, method=small())


@pytest.mark.parametrize("tiles", [1, 2])
def test_a_network_that_has_hardly_begun_spoils_nothing(tiles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped at the end of a tile: where no network has come to yet, patches that saw the held-out pixels would speak for it."""
    monkeypatch.setattr("bayesdip.methods.stack.TILE", 48)
    clean = camera()[100:196, 200:296].astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape).astype(np.float32)
    alone = bd.denoise(noisy, 25.0, method="patches", effort="fast")
    done = 0

    def ended(snapshot: bd.Snapshot) -> bool:
        nonlocal done
        done += snapshot.step == 40
        return done >= tiles

    r = bd.denoise(noisy, 25.0, method=small(steps=40, samples=0), callback=ended)
    assert r.stopped == "interrupted" and r.info["steps"] == 40 * tiles
    error, least = (float(np.mean((x - clean) ** 2)) for x in (r.mean, alone.mean))
    assert error < 1.03 * least
