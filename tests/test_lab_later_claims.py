"""Claims 23, 25, 27, 30, 32 and 34: their methods and detectors do what they say, and their verdicts can go both ways."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.lab import cases, sampling
from bayesdip.lab.catalogue import named
from bayesdip.lab.claims import error_bars, invented, sparse, tangent, winners
from bayesdip.lab.fitting import psnr
from bayesdip.lab.methods import Linearised
from bayesdip.lab.methods.linearised import tangent_std
from bayesdip.lab.networks import skip
from bayesdip.lab.statistics import Interval, Unit, verdict
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from tiny_trials import TINY, seeded, smooth, trial


def units(table) -> dict[Unit, float]:
    return {Unit(s, str(p)): v for s, row in enumerate(table) for p, v in enumerate(row)}


def test_an_interval_over_seeds_and_pictures_is_wider_than_over_seeds_where_pictures_differ() -> None:
    table = units([[1.0, 3.0, 2.0], [1.1, 3.1, 2.1], [0.9, 2.9, 1.9]])
    both, seeds = Interval.of_units(table), Interval.of([2.0, 2.1, 1.9])
    assert both.mean == pytest.approx(2.0) and both.seeds == 3
    # Of 1, 2, 3 over pictures: standard error 1 / sqrt(3), two degrees of freedom nearly.
    assert both.half_width > 4 * seeds.half_width
    assert both.half_width == pytest.approx(4.30 / np.sqrt(3), rel=0.05)


def test_an_interval_of_one_picture_is_that_over_seeds() -> None:
    assert Interval.of_units(units([[1.0], [2.0], [3.0]])) == Interval.of([1.0, 2.0, 3.0])


def test_an_interval_over_seeds_and_pictures_covers_the_mean_of_many() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        table = 1 + rng.normal(0, 1, (3, 1)) + rng.normal(0, 1, (1, 4)) + rng.normal(0, 1, (3, 4))
        i = Interval.of_units(units(table.tolist()))
        inside.append(i.low <= 1 <= i.high)
    assert np.mean(inside) >= 0.93


class Line:
    """Stands for an energy: a picture that is linear in its two weights."""

    design = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])

    def __init__(self, weights: torch.Tensor, y: torch.Tensor, sigma: float) -> None:
        class Network(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.w = torch.nn.Parameter(weights)

            def forward(self, latent, grid):
                return (Line.design @ self.w)[None, None]

        self.network, self.latent, self.stds = Network(), None, [1.0]
        self.weights = list(self.network.parameters())
        self.problem = type("P", (), {"grid": (3,), "y": y, "operator": bd.operators.Identity((3,))})()
        self.observed = torch.tensor([[True, True, False]])
        self.variance = torch.tensor(sigma**2)


def test_a_linearised_posterior_is_exact_for_a_linear_network() -> None:
    # Weights N(0, a^2), two observed with noise: var(w_i) = 1 / (1/a^2 + 1/sigma^2), independent; the third pixel is their sum.
    sigma = 0.5
    energy = Line(torch.tensor([0.9, -1.1]), torch.tensor([[1.0, -1.2, 0.0]]), sigma)
    std, factor = tangent_std(energy, 300, seeded())
    own = 1 / (1 / factor**2 + 1 / sigma**2)
    assert std.flatten().tolist() == pytest.approx([own**0.5, own**0.5, (2 * own) ** 0.5], rel=0.15)
    assert 0.3 < factor < 3  # the weights are of size 1


def test_a_linearised_network_is_less_sure_where_pixels_are_missing() -> None:
    mask = np.zeros((16, 16), bool)
    mask[5:11, 5:11] = True
    y = smooth()[0] + 0.05 * torch.randn(1, 16, 16, generator=seeded())
    problem = Problem(y, bd.operators.Mask(torch.as_tensor(mask)), bd.noise.Gaussian(0.05))
    found = Linearised(arch=skip(TINY), steps=80, device="cpu").fit(problem, Progress())
    assert found.std is not None and found.info["directions"] == 40
    assert found.std[0, mask].mean() > found.std[0, ~mask].mean()


def test_error_bars_of_refits_are_of_the_size_of_a_fit_s_error(monkeypatch) -> None:
    """Where the estimate is the data themselves, the refits differ by fresh noise: the bars are sigma."""

    class Kept:
        def __init__(self, picture):
            self.average = picture

    monkeypatch.setattr(error_bars, "fit", lambda network, case, recipe, generator: Kept(case.y))
    monkeypatch.setattr(error_bars, "REFITS", 50)
    case = cases.denoising(smooth(), error_bars.SIGMA, seeded())
    mean, spread = error_bars.bootstrapped(case, trial())
    assert np.array_equal(mean, case.y[0, 0].numpy())
    assert spread.mean() == pytest.approx(error_bars.SIGMA, rel=0.05)


def test_a_row_is_not_made_of_an_interrupted_run(monkeypatch) -> None:
    case = cases.denoising(smooth(), 0.1, seeded())
    stopped = bd.denoise(case.y[0, 0].numpy(), 0.1, method="gp")
    monkeypatch.setattr(
        sampling, "restore", lambda *a, **k: dataclasses.replace(stopped, stopped="interrupted")
    )
    with pytest.raises(KeyboardInterrupt):
        sampling.restored(case, 0.1, bd.GP())


def test_a_wide_network_s_first_steps_are_those_that_its_kernel_predicts() -> None:
    size = dataclasses.replace(TINY, side=32, width=16, steps=100)
    found = tangent.follow(trial(size, optimiser=tangent.DESCENT, channels=256))
    assert found["missed"] < 0.6 and found["moved"] < 0.05
    assert 1 < found["taken"] < 1000


def test_a_prediction_of_a_change_that_the_flow_makes_is_that_change() -> None:
    kernel = tangent.network(16).tangent_kernel(lags=8, parametrisation="standard")
    wanted = torch.randn(1, 1, 16, 16, generator=seeded())
    made = tangent.flow(wanted[0], kernel, (tangent.TIMES[20],), start=torch.zeros(1)).means
    assert torch.allclose(tangent.predict(wanted, made, kernel), made, atol=1e-3)


def test_a_mask_keeps_as_many_weights_as_it_says_and_no_other_moves() -> None:
    case = cases.denoising(smooth(), 0.1, seeded())
    network = skip(TINY).build(1, generator=seeded(1))
    latent = network.new_input(case.grid, seeded(2))
    kept = sparse.find_mask(network, latent, case, 3, seeded(3))
    assert sum(int(m.sum()) for m in kept) == sparse._kept(case)
    sparse.fit_kept(network, latent, case, kept, 3)
    for w, mask in zip(sparse.weights_of(network), kept, strict=True):
        assert not bool(w[~mask].any()) and (not bool(mask.any()) or bool(w[mask].any()))


def test_a_mask_brings_the_fresh_network_nearer_to_the_picture() -> None:
    size = dataclasses.replace(TINY, width=8)
    case = cases.denoising(smooth(), 0.05, seeded())
    errors = {}
    for steps in (0, 150):
        network = skip(size).build(1, generator=seeded(1))
        latent = network.new_input(case.grid, seeded(2))
        kept = sparse.find_mask(network, latent, case, steps, seeded(3))
        with torch.no_grad():
            for w, mask in zip(sparse.weights_of(network), kept, strict=True):
                w.mul_(mask)
            errors[steps] = float((network(latent, case.grid) - case.y).square().mean())
    assert errors[150] < 0.8 * errors[0]


def blob(at: tuple[int, int], size: float = 2.0, height: float = 0.4) -> np.ndarray:
    rows, columns = np.mgrid[:48, :48]
    return height * np.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / (2 * size**2))


def test_structures_that_the_truth_lacks_are_counted_and_others_not() -> None:
    flat = np.full((48, 48), 0.5)
    real = flat + blob((12, 12))
    assert invented.invented(real, real) == 0
    assert invented.invented(flat, real) == 0  # lost is not invented
    assert invented.invented(real + blob((34, 34)), real) == 1
    assert invented.invented(real + blob((34, 34)) - blob((34, 12)), real) == 2
    assert invented.invented(real + blob((34, 34), height=0.05), real) == 0  # too faint to be seen
    hole = np.zeros((48, 48), bool)
    hole[:20, :20] = True
    assert invented.invented(real + blob((34, 34)), real, hole) == 0


def test_features_tell_letters_from_a_smooth_picture_and_repetition_from_none() -> None:
    x = np.arange(48)
    stripes = torch.as_tensor(0.5 + 0.4 * np.sign(np.sin(x / 2.0))[None] * np.ones((48, 1))).float()[
        None, None
    ]
    rough = torch.rand(1, 1, 48, 48, generator=seeded())
    told = {
        name: winners.features(cases.inpainting(picture, 0.0, seeded()))
        for name, picture in (("stripes", stripes), ("rough", rough), ("smooth", smooth(48)))
    }
    assert told["stripes"]["likeness"] < told["rough"]["likeness"]
    assert told["rough"]["roughness"] > told["smooth"]["roughness"]
    assert told["stripes"]["kurtosis"] > told["smooth"]["kurtosis"]


def rows_of_methods(feature_tells: bool):
    """Two kinds of pictures; the network wins on one kind by 2 dB, where the feature says so or where it does not."""
    rows = []
    for seed in range(3):
        for number in range(8):
            letters = number % 4 == 0  # two of eight: the majority is the other kind
            shown = letters if feature_tells else not letters and number % 4 == 1
            for task in winners.TASKS:
                for method in winners.METHODS:
                    value = (
                        30.0
                        + 2.0 * (method == "sgld") * letters
                        + 1.0 * (method == "patches") * (not letters)
                    )
                    rows.append(
                        {
                            "seed": seed,
                            "picture": str(number),
                            "task": task,
                            "method": method,
                            "psnr": value,
                            **dict.fromkeys(winners.FEATURES, float(shown)),
                        }
                    )
    return rows


def test_what_a_feature_tells_is_gained_and_what_it_does_not_tell_is_lost() -> None:
    told = winners.told_above_majority(rows_of_methods(True))
    assert told.interval.mean == pytest.approx(2 * 2 / 8)
    assert winners.told_above_majority(rows_of_methods(False)).interval.mean < 0


def judged(number: int, value) -> str:
    """The verdict on rows for every condition, three seeds and three pictures, whose column is ``value(condition)``."""
    (claim,) = named(str(number))
    rows = []
    for seed in range(3):
        for picture in "abc":
            for condition in claim.conditions_at(TINY):
                numbers = {column.name: value(condition) + 1e-3 * seed for column in claim.columns}
                rows.append({"seed": seed, "picture": picture, **condition, **numbers})
    return verdict(claim.judge(rows))


@pytest.mark.parametrize(
    ("number", "holds", "fails"),
    [
        (
            23,
            lambda c: 0.9 if c["method"] == error_bars.SAMPLED else 0.6,
            lambda c: 0.9,  # the cheap ones hold as well
        ),
        (
            25,
            lambda c: (0.8 if c["optimiser"] == tangent.ADAM else 0.2) + 1.0 / c["channels"],
            lambda c: (0.2 if c["optimiser"] == tangent.ADAM else 0.8) + 1.0 / c["channels"],
        ),
        (
            27,
            lambda c: 0.0 if c["mask"] in (sparse.OWN, sparse.OTHER) else -3.0,
            lambda c: -3.0 if c["mask"] in (sparse.OWN, sparse.OTHER) else 0.0,
        ),
        (
            30,
            lambda c: 30.0 if c["method"] == invented.LEFT_ALONE else 1.0,
            lambda c: 50.0,
        ),
        (
            32,
            lambda c: 28.0 if c["method"] == winners.SAMPLED else 27.0,
            lambda c: 28.0 if c["method"] == winners.BM3D else 27.0,
        ),
    ],
)
def test_a_verdict_goes_with_the_numbers_either_way(number, holds, fails) -> None:
    assert judged(number, holds) == "supported"
    assert judged(number, fails) == "refuted"


@pytest.mark.slow  # it is loaded, and compiled
def test_an_oracle_takes_bm3d_s_best_strength() -> None:
    case = cases.denoising(smooth(32), 0.1, seeded())
    assert winners._tuned(case) > psnr(case.y, case.truth) + 3


def test_a_decoder_of_one_s_own_can_be_linearised() -> None:
    """Forward mode goes through skips, norms and upsampling alike: the tangent along the gain of the output."""
    network = arch.skip(scales=2, width=4, skip=2).build(1, generator=seeded())
    z = network.new_input((16, 16), seeded(1))
    (name, last), *_ = [(n, w) for n, w in network.named_parameters()][-1:]
    step = torch.ones_like(last)

    def picture(value):
        return torch.func.functional_call(network, {name: value}, (z, (16, 16)))

    _, tangent_ = torch.func.jvp(picture, (last.detach(),), (step,))
    difference = (picture(last.detach() + 1e-2) - picture(last.detach() - 1e-2)) / 2e-2
    assert torch.allclose(tangent_, difference, atol=1e-4)
