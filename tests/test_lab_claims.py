"""The claims' own networks, objectives and data do what the claims say of them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bayesdip import arch
from bayesdip.arch.layers import Convolution
from bayesdip.arch.network import Network
from bayesdip.lab import cases
from bayesdip.lab.claims import against_sampling, upsampling, what_is_fitted
from bayesdip.lab.fitting import Recipe, Record, descend, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.sampling import stopped_fit
from tiny_trials import TINY, seeded, smooth, trial


def test_a_fit_is_evaluated_evenly_and_at_its_end() -> None:
    case = cases.denoising(smooth(), 0.1, seeded())
    record = Record(case, steps=85, burn_in=0.5)
    for step in range(85):
        record.add(case.truth + step / 100)
    found = record.fit()
    assert found.steps == [*range(2, 85, 2), 85]
    assert float((found.sampled - case.truth).mean()) == pytest.approx(0.635, abs=1e-4)  # of steps 43 to 84
    assert found.error[0] == pytest.approx(float((case.truth + 0.01 - case.y).square().mean()), rel=1e-3)


def test_held_out_errors_say_where_to_stop_but_for_one_lucky_evaluation() -> None:
    case = cases.denoising(smooth(), 0.1, seeded())
    found = dataclasses.replace(Record(case, 1).fit(), held_out=[9, 5, 3, 2, 3, 5, 1, 6, 7])
    assert found.stop == 3


@pytest.mark.parametrize("what", [what_is_fitted.WEIGHTS, what_is_fitted.BOTH, what_is_fitted.FROZEN])
def test_only_what_is_to_be_fitted_moves(what) -> None:
    case = cases.denoising(smooth(), 0.1, seeded())
    network = skip(TINY).build(1, generator=seeded(1))
    latent = network.new_input(case.grid, seeded(2))
    fitted = what_is_fitted.to_be_fitted(network, latent, what)
    before = {name: p.detach().clone() for name, p in (*network.named_parameters(), ("latent", latent))}
    optimiser = torch.optim.Adam(fitted, 0.01)
    descend(
        lambda: (((p := network(latent, case.grid)) - case.y).square().mean(), p),
        [optimiser],
        Record(case, 3),
    )
    after = dict(network.named_parameters()) | {"latent": latent}
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    convolutions = {n: m for n, m in network.named_modules() if isinstance(m, Convolution)}
    kept = {f"{n}.{part}" for n in list(convolutions)[:-1] for part in ("weight", "bias")}
    assert ("latent" in moved) == (what != what_is_fitted.WEIGHTS)
    if what == what_is_fitted.FROZEN:
        assert not moved & kept and any(name.startswith(list(convolutions)[-1]) for name in moved)
    else:
        assert len(moved & kept) > len(kept) // 2  # a bias before a norm has no gradient


def test_salt_and_pepper_hits_its_share_black_and_white() -> None:
    truth = torch.full((1, 1, 100, 100), 0.5)
    case = what_is_fitted.with_salt_and_pepper(truth, 0.3, seeded())
    assert float((case.y == 0).float().mean()) == pytest.approx(0.15, abs=0.015)
    assert float((case.y == 1).float().mean()) == pytest.approx(0.15, abs=0.015)
    assert bool((case.y == 0.5).any()) and bool(case.observed.all())


@pytest.mark.slow
def test_outliers_are_fitted_beside_the_picture_and_not_by_it() -> None:
    size = dataclasses.replace(TINY, side=32, width=8, scales=2, steps=100)
    case = what_is_fitted.with_salt_and_pepper(smooth(32), 0.1, seeded())
    ends = {
        loss: what_is_fitted.fit_outliers(case, trial(size, loss=loss)).psnr[-1]
        for loss in (what_is_fitted.SQUARED, what_is_fitted.OUTLIERS)
    }
    assert ends[what_is_fitted.OUTLIERS] > ends[what_is_fitted.SQUARED] + 3


def inputs_of(monkeypatch, kind: str) -> tuple[list[torch.Tensor], list[torch.Tensor], cases.Case]:
    """What goes into the network in four steps, and what comes out."""
    given, made = [], []
    forward = Network.forward

    def spy(self, z, grid=None):
        given.append(z.detach().clone())
        made.append(forward(self, z, grid))
        return made[-1]

    monkeypatch.setattr(Network, "forward", spy)
    case = cases.denoising(smooth(), 0.1, seeded())
    what_is_fitted.fit_on_picture(case, kind, 4, trial(input=kind))
    return given, made, case


def test_the_output_takes_the_place_of_the_input_every_second_step(monkeypatch) -> None:
    given, made, case = inputs_of(monkeypatch, what_is_fitted.OWN)
    assert [torch.equal(z, case.y) for z in given] == [True, True, False, False]
    assert torch.equal(given[2], made[1]) and torch.equal(given[3], made[1])


def test_an_input_stays_the_data_or_is_fitted_under_noise(monkeypatch) -> None:
    given, _, case = inputs_of(monkeypatch, what_is_fitted.DATA)
    assert all(torch.equal(z, case.y) for z in given)
    monkeypatch.undo()
    given, _, case = inputs_of(monkeypatch, what_is_fitted.GUIDED)
    first, second = given[0]
    assert not torch.equal(first, second)
    assert float((first - second).abs().max()) <= what_is_fitted.SPREAD  # of an input in 0..1
    monkeypatch.undo()
    monkeypatch.setattr(what_is_fitted, "SPREAD", 0.0)
    given, _, case = inputs_of(monkeypatch, what_is_fitted.GUIDED)
    assert torch.equal(given[0][0], given[0][1])
    assert float((given[1] - given[0]).abs().max()) == pytest.approx(
        what_is_fitted.INPUT_RATE, rel=0.01
    )  # Adam's first


def test_perceptrons_without_upsampling_see_one_pixel_each() -> None:
    """Pixels of the input in another order give the picture's in that order; upsampling mixes neighbours."""
    order = torch.randperm(256, generator=seeded(3))

    def reordered(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2)[..., order].unflatten(2, (16, 16))

    for layers, alike in ((upsampling.PERCEPTRON, True), (upsampling.CONVOLUTION, False)):
        network = upsampling.network(layers, upsampling.NONE, TINY).build(1, generator=seeded(1))
        z = network.new_input((16, 16), seeded(2))
        same = torch.allclose(network(reordered(z)), reordered(network(z)), atol=1e-5)
        assert same == alike


@pytest.mark.parametrize("layers", upsampling.LAYERS)
def test_upsampling_is_the_one_thing_that_differs_in_kind(layers) -> None:
    size = dataclasses.replace(TINY, scales=3)
    fixed, learnt, none = (upsampling.network(layers, kind, size) for kind in upsampling.UPSAMPLINGS)
    assert (fixed.grid_rule().magnification, none.grid_rule().magnification) == (8, 1)
    assert dataclasses.replace(learnt, upsample="bilinear") == fixed
    assert isinstance(none, arch.Flat) and none.width == fixed.width


def test_a_rule_ends_a_fit_and_gives_its_picture() -> None:
    case = cases.denoising(smooth(), 0.1, seeded())
    network = arch.skip(scales=1, width=8, skip=2)
    picture, steps = stopped_fit(network, case, 0.1, trial(), rule="discrepancy", steps=600)
    left = float((picture - case.y).square().mean().sqrt())
    assert steps < 600 and left <= 0.1
    assert picture.shape == case.truth.shape


def test_a_fit_is_stopped_where_its_held_out_error_is_smallest() -> None:
    case = cases.denoising(smooth(), 0.1, seeded()).hold_out(0.2, seeded(1))
    size = dataclasses.replace(TINY, steps=80)
    picture = against_sampling.stopped(case, trial(size), seeded(2))
    found = fit(skip(size), case, Recipe(80), seeded(2))
    assert psnr(picture, case.truth) == found.psnr[found.stop]


def test_a_mean_of_one_chain_is_that_chain_and_four_fits_are_of_four_networks() -> None:
    found = {m: against_sampling.average(trial(sigma=50, method=m)) for m in ("one chain", "4 fits")}
    assert found["one chain"]["psnr"] == found["one chain"]["single"]
    assert found["4 fits"]["psnr"] > found["4 fits"]["single"]
