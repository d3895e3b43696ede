"""``bench signals`` and ``bench stopping``: what they call exact is exact, and what they keep can be taken up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks import signals, stopping
from benchmarks.results import Results

from bayesdip.networks.running_averages import Moments
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.settings import STOPS


def test_the_dense_posterior_is_that_of_the_conditional_normal_law() -> None:
    """By the precision matrix of all variables rather than by a solve over the data."""
    known = signals.pose(0)
    seen = known.problem.operator.observed.expand(1, signals.LENGTH)[0]
    noise = known.problem.noise
    assert isinstance(noise, Gaussian) and isinstance(noise.sigma, float)
    jitter = 1e-6 * torch.eye(signals.LENGTH, dtype=torch.float64)
    precision = torch.linalg.inv(known.covariance + jitter) + torch.diag(seen.double() / noise.sigma**2)
    covariance = torch.linalg.inv(precision)
    mean = covariance @ torch.where(seen, known.problem.y[0], 0.0) / noise.sigma**2
    torch.testing.assert_close(known.mean, mean, rtol=0, atol=1e-3 * known.scale)
    torch.testing.assert_close(known.std, covariance.diagonal().sqrt(), rtol=0, atol=2e-3 * known.scale)


def test_wide_fresh_networks_have_the_covariance_of_the_process() -> None:
    found = signals.prior(signals.pose(0).at(128), 128, 16, 0)
    assert found["covariance_error"] < 2 * found["monte_carlo"] + 0.02


def test_each_width_has_a_process_of_its_own_for_its_biases() -> None:
    known = signals.pose(0)
    same = known.at(1024)
    torch.testing.assert_close(same.mean, known.mean)
    torch.testing.assert_close(same.std, known.std)
    assert known.at(8).scale > 1.02 * known.scale  # the bias has the variance 1 / (3 width)


def test_only_the_weights_of_the_process_are_sampled() -> None:
    problem = signals.network_problem(signals.pose(0), 8, torch.Generator().manual_seed(0))
    assert len(problem.weights) == len(problem.stds)
    for weight, std in zip(problem.weights, problem.stds, strict=True):
        if weight.ndim == 3:
            assert std == pytest.approx((3 * weight.shape[1] * weight.shape[2]) ** -0.5)
        assert float(weight.detach().abs().max()) <= 3**0.5 * std + 1e-6  # uniform, of that deviation
    assert isinstance(problem.problem.operator, Mask)


def test_halves_of_a_chain_make_the_whole() -> None:
    values = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    halves = (Moments(), Moments())
    for i, value in enumerate(values):
        halves[i >= 10].add(value)
    mean, std, chance = signals.together(*halves)
    torch.testing.assert_close(mean, values.mean(0))
    torch.testing.assert_close(std, values.std(0))
    torch.testing.assert_close(chance, (values[:10].mean(0) - values[10:].mean(0)) / 2)


def test_signals_keeps_rows_and_draws_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(signals.WIDTHS, "fast", (4, 8))
    monkeypatch.setitem(signals.STEPS, "fast", 40)
    monkeypatch.setitem(signals.NETWORKS, "fast", 4)
    file, lines = tmp_path / "signals.json", []
    for _ in range(2):
        results = Results("signals", {}, file, lines.append)
        results.take_up()
        signals.bench_signals(results, "fast", 0)
    kept = json.loads(file.read_text())
    assert [row["part"] for row in kept["rows"]].count("posterior") == 2
    assert kept["summary"]["width"] == 8
    assert sum(line.startswith("part posterior") for line in lines) == 2  # taken up, not measured again
    assert (tmp_path / "signals.svg").read_text().count("<svg") == 1


def test_stopping_keeps_what_every_rule_gave_and_draws_its_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stopping.STEPS, "fast", 10)
    file = tmp_path / "stopping.json"
    results = Results("stopping", {}, file)
    stopping.bench_stopping(results, None, "fast", 0, ("camera",), side=16)
    rows = [row for row in json.loads(file.read_text())["rows"] if row["part"] == "rule"]
    assert [row["rule"] for row in rows if row["set"] == "rules"] == list(STOPS)
    oracle = next(row for row in results.rows if row["part"] == "oracle")
    for row in rows:
        if row["set"] == "rules":
            assert row["loss"] == pytest.approx(oracle["psnr"] - row["psnr"])
    assert {row["recipe"] for row in rows if row["set"] == "recipes"} == {
        "sgd",
        "sgd+average",
        "sgd+weight-decay",
        "sgd+input",
        "sgd+input+average",
    }
    assert (tmp_path / "stopping.svg").exists()
