"""The benchmark of the exact Gaussian process: its yardsticks are right, and its rows are what they say."""

import json
import math
import sys
import xml.etree.ElementTree as ElementTree
from functools import partial

import numpy as np
import psutil
import pytest
import torch
from benchmarks import gp, gp_calibration, gp_figure6, gp_growth, gp_solve
from benchmarks import solve_worker as one_solve
from benchmarks.catalogue import Request, run_benchmark
from benchmarks.problems import (
    HOLE,
    Transforms,
    camera,
    kernel_named,
    missing_pixels,
    psnr_missing,
    shipped,
)
from benchmarks.reference_solver import JITTER, plain_solve
from benchmarks.results import Results
from benchmarks.targets import Check

from bayesdip.errors import BayesDipError
from bayesdip.gp import choose
from bayesdip.gp.dense import dense_covariance
from bayesdip.kernels import RBF, Matern12, Matern32
from conftest import smooth_picture

TINY = gp.Plan(
    solve={"side": 32, "repeats": 1, "draws": 4, "names": ("skip2",)},
    iterations={"side": 24, "hole_side": 32, "names": ("skip2", "matern32"), "shares": (0.5,)},
    growth={"sides": (24, 32), "other_sides": (16,), "methods": ("network", "dense")},
    coverage={"side": 16, "repetitions": 8, "draws": 16, "names": ("matern32",)},
    ranks={"side": 12, "repetitions": 32, "draws": 7, "names": ("matern32",)},
)


@pytest.fixture
def tiny(monkeypatch):
    """The benchmark at sizes of a moment, in this process."""
    monkeypatch.setitem(gp.PLANS, "fast", TINY)
    monkeypatch.setattr(gp_growth, "in_own_process", lambda spec, limit: list(one_solve.measure(**spec))[-1])


def memory():
    return Results("test", {}, environment={})


@pytest.mark.parametrize("kernel", [kernel_named("skip2"), Matern12(5.0)])
def test_the_plain_version_equals_dense_cholesky(kernel):
    side = 24
    gone = missing_pixels(0.5, side)
    b = torch.where(gone, 0.0, camera(side)[0].double() - 0.5)
    found = plain_solve(kernel, ~gone, b, tol=1e-10)
    known = ~gone.flatten()
    K = dense_covariance(kernel, (side, side), constant=False)[known][:, known]
    K.diagonal().add_(JITTER * float(kernel.quadrant((1, 1))))
    expected = torch.cholesky_solve(b[~gone][:, None], torch.linalg.cholesky(K))[:, 0]
    torch.testing.assert_close(found.x[~gone], expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
    assert not found.x[gone].any() and found.residual <= 1e-10


def test_all_parts_run_and_their_rows_are_kept(tiny, tmp_path):
    file = tmp_path / "gp.json"
    results = run_benchmark("gp", Request(None, {"effort": "fast", "seed": 0}), file, lambda line: None)
    kept = json.loads(file.read_text())
    assert {row["part"] for row in kept["rows"]} == {"solve", "iterations", "growth", "coverage", "ranks"}
    assert kept["summary"]["met"] + kept["summary"]["missed"] == len(kept["summary"]["checks"]) > 0
    assert all({"what", "measured", "asked", "met"} == set(check) for check in kept["summary"]["checks"])
    (solve,) = [row for row in kept["rows"] if row["part"] == "solve"]
    assert solve["ratio"] == pytest.approx(solve["seconds"] / solve["plain_seconds"])
    assert solve["residual"] <= 1e-3 and solve["plain_residual"] <= 1e-3
    assert solve["rms_difference"] < 0.01  # both found the same picture
    assert ElementTree.parse(tmp_path / "gp-growth.svg").getroot().tag.endswith("svg")
    told = []
    again = run_benchmark("gp", Request(None, {"effort": "fast", "seed": 0}), file, told.append)
    assert again.rows == json.loads(json.dumps(results.rows))
    assert not any(line.startswith("part ") for line in told)  # nothing was measured again


def test_a_part_has_a_benchmark_of_its_own(tiny):
    results = run_benchmark(
        "gp-iterations", Request(None, {"effort": "fast", "seed": 0}), None, lambda line: None
    )
    assert {(row["kernel"], row["missing"]) for row in results.rows} == {
        (kernel, missing) for kernel in ("skip2", "matern32") for missing in (0.5, HOLE)
    }
    assert all(row["iterations"] <= row["pairs"] for row in results.rows)


def test_an_unknown_effort_is_refused():
    with pytest.raises(BayesDipError, match="balanced"):
        gp.bench_gp(memory(), None, "most")


def test_figure6_has_the_kernels_and_the_trained_networks(tmp_path, quick, monkeypatch):
    two = partial(choose, candidates=("rbf", "matern32"))  # all of them take a while
    monkeypatch.setattr("bayesdip.methods.gp.choose", two)
    folder = tmp_path / "fig6"
    folder.mkdir()
    picture = smooth_picture((24, 24)).astype(np.float32)
    np.savez(
        folder / "inpainting64.npz", image=picture, missing=np.random.default_rng(0).random((24, 24)) < 0.5
    )
    results = memory()
    gp_figure6.kernels(results, tmp_path)
    gp_figure6.networks(results, tmp_path, widths=(4, 8), steps=20)
    assert [row.get("kernel", row.get("width")) for row in results.rows] == ["skip2", "rbf", "auto", 4, 8]
    assert min(row["psnr"] for row in results.rows if "kernel" in row) > 30  # a smooth picture is easy
    assert "lengthscale" in results.rows[1]["how"] and "evidence" in results.rows[2]["how"]
    assert len(gp_figure6.figure6_checks(results.rows)) == 4


@pytest.mark.parametrize("method", ["smooth", "dense", "gpytorch", "gpytorch-grid"])
def test_all_methods_of_the_growth_plot_solve_the_same_problem(method):
    if method.startswith("gpytorch"):
        pytest.importorskip("gpytorch")
    picture, gone = camera(512)[:, 200:224, 200:224], missing_pixels(0.5, 24)
    mean = one_solve.METHODS[method](picture, gone)
    exact = one_solve.dense(picture, gone)
    # Interpolation has an error of its own.
    near = 0.01 if method == "gpytorch-grid" else 1e-3
    assert float((mean - exact).square().mean().sqrt()) < near


def test_the_growth_plot_measures_blocks_above_one_block_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(
        gp_growth, "in_own_process", lambda spec, limit: asked.append(spec["side"]) or {"x": 1}
    )
    results = memory()
    gp_growth.growth(results, sides=(512, 1024, 2048), methods=("blocks",))
    assert asked == [2048]
    picture, gone = camera(512)[:, 200:224, 200:224], missing_pixels(0.5, 24)
    torch.testing.assert_close(
        one_solve.blocks(picture, gone), one_solve.network(picture, gone), atol=0.01, rtol=0
    )


def test_dense_comparison_is_the_posterior_mean_of_the_common_problem():
    picture, gone = camera(512)[:, 200:212, 200:212], missing_pixels(0.5, 12)
    K = one_solve.VARIANCE * dense_covariance(RBF(one_solve.LENGTHSCALE), (12, 12))
    known = ~gone.flatten()
    C = K[known][:, known] + one_solve.SIGMA**2 * torch.eye(int(known.sum()))
    y = picture.flatten()[known].double() - one_solve.MEAN
    expected = one_solve.MEAN + K[:, known] @ torch.linalg.solve(C, y)
    torch.testing.assert_close(one_solve.dense(picture, gone).flatten(), expected)


def test_memory_is_that_of_a_process_of_its_own():
    outcome = gp_growth.in_own_process({"method": "dense", "side": 32}, 60)
    n = 32 * 32 // 2
    # The covariance of the known pixels, its factor, and not much besides.
    assert 8 * n**2 <= outcome["peak_bytes"] <= 100 * 8 * n**2
    assert outcome["runs"] >= 1 and outcome["psnr"] > 20


def test_a_method_that_fails_says_why_and_ends_its_line(monkeypatch):
    assert "no_method" in gp_growth.in_own_process({"method": "no_method", "side": 8}, 60)["why"]
    assert "more than 0.1 s" in gp_growth.in_own_process({"method": "dense", "side": 8}, 0.1)["why"]
    monkeypatch.setattr(gp_growth, "MEMORY_SHARE", 1e-9)
    assert "GiB" in gp_growth.in_own_process({"method": "dense", "side": 8}, 60)["why"]
    asked = []
    monkeypatch.setattr(
        gp_growth, "in_own_process", lambda spec, limit: asked.append(spec) or {"failed": True, "why": "x"}
    )
    results = memory()
    gp_growth.growth(results, other_sides=(16, 32, 64), methods=("dense",))
    gp_growth.growth(results, other_sides=(16, 32, 64), methods=("dense",))
    assert [spec["side"] for spec in asked] == [16]


def test_without_gpytorch_its_lines_are_left_out(monkeypatch):
    monkeypatch.setattr(gp_growth, "find_spec", lambda name: None)
    told = []
    results = Results("test", {}, None, told.append, environment={})
    gp_growth.growth(results, methods=("gpytorch", "gpytorch-grid"))
    assert not results.rows and len(told) == 2 and "not installed" in told[0]


def test_growth_checks_see_more_than_n_log_n_and_too_much_memory():
    def rows(power):
        return [
            {
                "part": "growth",
                "method": "network",
                "side": side,
                "seconds": 1e-6 * (side**2) ** power * math.log(side**2),
                "copies": 30.0 if side == 512 else 20.0,
            }
            for side in (64, 256, 512, 1024)
        ]

    whole, step, memory_used = gp_growth.growth_checks(rows(1.0))
    assert whole.measured == pytest.approx(1.0) and whole.met and step.met
    assert memory_used.measured == 30 and not memory_used.met
    whole, step, _ = gp_growth.growth_checks(rows(1.4))
    assert whole.measured == pytest.approx(16**0.4) and not whole.met
    assert step.measured == pytest.approx(4**0.4) and not step.met


def test_intervals_are_found_too_narrow_where_the_prior_is_too_smooth(monkeypatch):
    results = memory()
    gp_calibration.coverage(results, side=20, repetitions=60, draws=200, names=["matern32"])
    for row in results.rows:
        assert row["missing90"] == pytest.approx(0.9, abs=max(0.02, 5 * row["missing90_error"]))
    right = gp_calibration.restored
    monkeypatch.setattr(
        gp_calibration, "restored", lambda y, gone, kernel, **more: right(y, gone, RBF(3.0), **more)
    )
    wrong = memory()
    gp_calibration.coverage(wrong, side=20, repetitions=60, draws=200, names=["matern32"])
    assert all(row["missing90"] < 0.8 for row in wrong.rows)
    assert not any(check.met for check in gp_calibration.coverage_checks(wrong.rows))


def test_ranks_are_uniform_and_are_not_under_another_prior(monkeypatch):
    results = memory()
    gp_calibration.ranks(results, side=12, repetitions=128, draws=15, names=["matern32"])
    assert all(sum(row["counts"]) == 128 for row in results.rows)
    assert all(check.met for check in gp_calibration.ranks_checks(results.rows))
    right = gp_calibration.restored
    monkeypatch.setattr(
        gp_calibration, "restored", lambda y, gone, kernel, **more: right(y, gone, Matern32(1.0), **more)
    )
    wrong = memory()
    gp_calibration.ranks(wrong, side=12, repetitions=128, draws=15, names=["matern32"])
    assert not any(check.met for check in gp_calibration.ranks_checks(wrong.rows))


def test_pictures_from_the_prior_have_its_covariance():
    gone = missing_pixels(0.5, 6)
    generator = torch.Generator().manual_seed(0)
    truth, y = gp_calibration.prior_pictures(Matern32(4.0), gone, 20000, generator)
    sampled = truth.flatten(1).T @ truth.flatten(1) / len(truth)
    torch.testing.assert_close(sampled, dense_covariance(Matern32(4.0), (6, 6)), atol=0.05, rtol=0)
    assert not y[:, gone].any()
    assert float((y - truth)[:, ~gone].std()) == pytest.approx(gp_calibration.SIGMA, rel=0.02)


def test_ranks_fall_into_equal_bins():
    rank = torch.arange(32).repeat(8)
    assert gp_calibration.in_bins(rank, 31).tolist() == [16] * 16
    assert gp_calibration.in_bins(torch.zeros(3, dtype=torch.long), 31).tolist() == [3]


def test_transforms_are_counted_by_picture():
    pictures = torch.zeros(3, 2, 8, 8)
    with Transforms() as counted:
        modes = torch.fft.rfftn(pictures, (16, 16), (-2, -1))
        torch.fft.irfftn(modes, (16, 16), (-2, -1))
        torch.fft.rfftn(torch.zeros(8, 8))
    assert counted.pairs == 7


def test_the_solvers_transforms_are_its_iterations_and_few_more():
    picture, gone = camera(32), missing_pixels(0.5, 32)
    with Transforms() as counted:
        found = gp_solve.ours(picture, gone, kernel_named("skip2"))
    assert found.iterations < counted.pairs <= found.iterations + 6


def test_masks_have_the_exact_share_and_the_hole_is_a_square():
    for share in (0.01, 0.5, 0.99):
        assert int(missing_pixels(share, 40).sum()) == round(share * 1600)
    hole = missing_pixels(HOLE, 40)
    assert int(hole.sum()) == 400 and bool(hole[10:30, 10:30].all())


def test_a_large_camera_is_mirrored_without_a_seam():
    large = camera(1030)
    assert large.shape == (1, 1030, 1030)
    assert torch.equal(large[:, :512, :512], camera(512))
    assert torch.equal(large[0, 511], large[0, 512]) and torch.equal(large[0, :, 1023], large[0, :, 1024])


def test_psnr_counts_missing_pixels_alone():
    picture, gone = torch.full((1, 4, 4), 0.5), missing_pixels(0.5, 4)
    mean = torch.where(gone, 0.6, 9.0)[None]
    assert psnr_missing(mean, picture, gone) == pytest.approx(20.0, abs=1e-5)


def test_every_shipped_kernel_can_be_named():
    assert {"skip2", "skip5", "decoder", "shuffle", "rbf", "matern32"} <= set(shipped())
    for name in shipped():
        assert float(kernel_named(name).quadrant((1, 1))) == pytest.approx(1.0)
    with pytest.raises(BayesDipError, match="not stationary"):
        kernel_named("nonlocal")


def test_a_check_keeps_its_bounds():
    assert Check("x", 60.0, most=60).met and not Check("x", 61.0, most=60).met
    assert Check("x", 1.0, least=0.5).met and not Check("x", 0.4, least=0.5).met
    assert not Check("x", math.nan, most=1).met
    assert "missed" in str(Check("x", 2.0, most=1)) and "at most 1" in str(Check("x", 2.0, most=1))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_counts_what_was_freed():
    before = one_solve.peak_bytes()
    more = before - psutil.Process().memory_info().rss + 2**26
    block = torch.ones(more // 4)
    del block
    assert before + 2**25 < one_solve.peak_bytes() < before + 2**28
