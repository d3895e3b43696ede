"""The benchmark of the samplers: what its rows hold, what its checks ask, and that it can be taken up again."""

import pytest
from benchmarks import samplers, samplers_exact
from benchmarks.results import Results


@pytest.fixture
def tiny(monkeypatch, tiny_arch):
    monkeypatch.setattr(samplers, "SIDE", 16)
    return samplers.Amount({}, burn_in=20, plateau_steps=40, sigmas=(25,), arch=tiny_arch)


def test_a_long_run_has_a_block_for_each_burn_in_and_its_largest_change(tiny):
    results = Results("samplers", {})
    for sampler in ("psgld", "adam-noise", "psgld"):
        samplers.drift(results, sampler, tiny, 0)
    assert [row["sampler"] for row in results.rows] == ["psgld", "adam-noise"]
    blocks = results.rows[0]["mse_over_sigma2"]
    assert len(blocks) == samplers.BURN_INS
    level = sum(blocks) / len(blocks)
    assert results.rows[0]["drift"] == pytest.approx(max(abs(b / level - 1) for b in blocks))


def test_where_a_method_ends_is_kept_in_gray_levels(tiny):
    results = Results("samplers", {})
    for method in ("psgld", "adam"):
        samplers.plateau(results, method, 25, tiny, 0)
    for row in results.rows:
        assert row["mse"] == pytest.approx(row["mse_over_sigma2"] * 625)
    assert len(samplers.plateau_checks(results.rows)) == 2


def exact_row(part, **values):
    row = {"part": part, "sampler": "psgld", "mean_error": 0.01, "mean_z": 1.0}
    return row | {"variance_ratio": 1.0, "variance_error": 0.004} | values


def test_a_biased_sampler_misses_its_checks_and_an_exact_one_meets_them():
    good = samplers_exact.exact_checks([exact_row("linear")])
    assert all(check.met for check in good)
    for wrong in ({"mean_z": 5.0}, {"variance_ratio": 1.05}, {"variance_error": 0.2}):
        assert not all(check.met for check in samplers_exact.exact_checks([exact_row("linear", **wrong)]))


def test_what_is_left_at_infinite_width_comes_from_two_widths():
    """A ratio of 1 + 8 / width is a process' at infinite width; a constant 1.03 is not."""
    for ratios, met in (((1 + 8 / 256, 1 + 8 / 64), True), ((1.03, 1.03), False)):
        rows = [
            exact_row("wide", variance_ratio=ratios[0]),
            exact_row("width", width=64, variance_ratio=ratios[1]),
        ]
        assert samplers_exact.exact_checks(rows)[-1].met is met


def test_the_figure_draws_both_parts_as_svg(tiny, tmp_path):
    results = Results("samplers", {}, tmp_path / "samplers.json")
    samplers.drift(results, "psgld", tiny, 0)
    samplers.plateau(results, "psgld", 25, tiny, 0)
    samplers.plot(results)
    drawn = (tmp_path / "samplers.svg").read_text()
    assert "sampled, psgld" in drawn and "10 burn-ins" in drawn
