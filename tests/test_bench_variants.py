"""What is done to a network for the frontier: each against what it says it is."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from benchmarks import steps, variants
from benchmarks.catalogue import Request, run_benchmark
from benchmarks.frontier import Separable

from bayesdip import arch
from bayesdip.errors import BayesDipError
from bayesdip.methods.map import pose
from bayesdip.networks.energy import Energy
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.settings import Settings

SMALL = Settings(arch=arch.skip(scales=2, width=8, skip=2), effort="fast", device="cpu", precision="single")


def given(missing: float = 0.0, side: int = 24) -> Problem:
    y = torch.rand(1, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gone = torch.rand(side, side, generator=torch.Generator().manual_seed(1)) < missing
    if missing:
        return Problem(y * ~gone, Mask(gone), Gaussian(0.0))
    return Problem(y, Identity((side, side)), Gaussian(25 / 255))


def problem_of(kind: type[Energy], **more: object) -> Energy:
    return variants._as(kind, pose(given(), SMALL)[0], **more)


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_each_gives_a_picture_and_leaves_exact_pixels_as_they_are(variant: str, missing: float) -> None:
    data = given(missing)
    mean = variants.restore(variant, data, SMALL, 20)
    assert mean.shape == data.y.shape and bool(mean.isfinite().all())
    if missing:
        known = data.operator.observed
        assert torch.allclose(mean[:, known].double(), data.y[:, known], atol=1e-6)


def test_total_variation_of_a_ramp_is_its_height_in_every_row() -> None:
    ramp = torch.linspace(0, 1, 24).expand(1, 24, 24)
    smooth = problem_of(variants.Smooth, weight=3.0)
    plain = Energy.negative_log_likelihood(smooth, ramp)
    assert float(smooth.negative_log_likelihood(ramp) - plain) == pytest.approx(
        3 * 24, rel=0.03
    )  # and the root's 1e-6


def test_what_a_denoiser_gives_draws_by_the_square_of_the_distance() -> None:
    towards = torch.zeros(1, 24, 24)
    drawn = problem_of(variants.Denoised, towards=towards)
    picture = torch.full((1, 24, 24), variants.DENOISER_STD)
    assert float(
        drawn.negative_log_likelihood(picture) - Energy.negative_log_likelihood(drawn, picture)
    ) == pytest.approx(24 * 24 / 2)


def test_a_mirrored_picture_is_what_the_network_makes_of_the_mirrored_input() -> None:
    mirrored = problem_of(variants.Mirrored, draws=torch.Generator().manual_seed(0))
    turns = ([], [-2], [-1], [-2, -1])
    expected = [mirrored.network(mirrored.code.flip(axes), (24, 24))[0].flip(axes) for axes in turns]
    seen = set()
    for _ in range(40):
        picture = mirrored.picture()
        seen |= {i for i, each in enumerate(expected) if torch.allclose(picture, each, atol=1e-5)}
    assert seen == {0, 1, 2, 3}


def test_what_the_input_shows_is_not_what_the_loss_sees() -> None:
    settings = replace(SMALL, arch=replace(SMALL.arch, input_depth=1))
    plain, generator = pose(given(), settings)
    unseeing = variants._as(variants.Unseeing, plain, draws=torch.Generator().manual_seed(0))
    shown = variants._as(variants.Unseeing, plain, draws=torch.Generator().manual_seed(0))._drawn()
    assert float(shown.double().mean()) == pytest.approx(1 - variants.UNSEEN, abs=0.06)
    picture, negative_log_likelihood, *_ = unseeing.evaluate(0.0, generator)
    code = torch.zeros_like(plain.code)
    code[0, :, :24, :24] = plain.problem.y * shown
    assert torch.allclose(picture, plain.network(code, (24, 24))[0], atol=1e-6)
    unseen = replace(plain, observed=~shown).negative_log_likelihood(picture)
    assert float(negative_log_likelihood) == pytest.approx(float(unseen) / variants.UNSEEN, rel=1e-5)


def test_half_of_the_resolution_is_the_mean_of_what_is_known_of_each_block() -> None:
    data = given(0.5, side=8)
    coarse = variants.halved(data)
    known = data.operator.observed
    for row in range(4):
        for column in range(4):
            block = (slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
            assert bool(coarse.operator.observed.expand(4, 4)[row, column]) == bool(known[block].any())
            if known[block].any():
                mean = data.y[0][block][known[block]].mean()
                assert float(coarse.y[0, row, column]) == pytest.approx(float(mean))
    whole = variants.halved(given(side=8))
    assert isinstance(whole.noise, Gaussian) and whole.noise.sigma == pytest.approx(25 / 255 / 2)


def test_separable_networks_have_fewer_weights_and_a_kernel() -> None:
    separable, full = Separable(scales=2, width=16), arch.skip(scales=2, width=16)
    count = [sum(w.numel() for w in network.build(1).parameters()) for network in (separable, full)]
    assert count[0] < count[1] / 3
    assert float(separable.kernel().quadrant((1, 1))[0, 0]) > 0


def test_variants_are_problems_with_something_more() -> None:
    own = {f.name for f in fields(Energy)}
    for kind in (variants.Mirrored, variants.Smooth, variants.Denoised, variants.Unseeing):
        assert own < {f.name for f in fields(kind)}


def test_steps_are_timed_in_turns_and_a_way_that_fails_is_told(tmp_path, monkeypatch) -> None:
    def fail(target: Energy) -> None:
        target.network.body.register_forward_pre_hook(lambda *_: 1 / 0)

    ways = {name: way for name, way in steps.WAYS.items() if name != "compiled"}
    monkeypatch.setattr(steps, "WAYS", {**ways, "broken": steps.Way(fail)})
    monkeypatch.setitem(steps.SIDES, "fast", (16,))
    threads = torch.get_num_threads()
    results = run_benchmark("steps", Request(None, {}), tmp_path / "steps.json", lambda line: None)
    rows = {row["way"]: row for row in results.rows}
    assert rows.pop("broken")["failed"] == "ZeroDivisionError"
    assert set(rows) == set(ways) and all(row["seconds"] > 0 for row in rows.values())
    assert rows["as it is"]["as_it_is"] == 1 and torch.get_num_threads() == threads


def test_without_a_single_step_there_is_one_clear_line(monkeypatch) -> None:
    def fail(target: Energy) -> None:
        target.network.body.register_forward_pre_hook(lambda *_: 1 / 0)

    monkeypatch.setattr(steps, "WAYS", {"as it is": steps.Way(fail)})
    monkeypatch.setitem(steps.SIDES, "fast", (16,))
    with pytest.raises(BayesDipError, match="no step could be taken at 16x16"):
        run_benchmark("steps", Request(None, {}), None, lambda line: None)
