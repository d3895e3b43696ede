"""What ``method="auto"`` stands for, and how options become those of a method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.arch import Shuffle, skip
from bayesdip.methods.sgld import DEEP, NARROW
from bayesdip.networks.schedule import PAPER
from bayesdip.noise import Gaussian, Laplace, Noise, Speckle
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator
from bayesdip.problem import Problem

HOLES = torch.zeros(8, 8, dtype=torch.bool)
HOLES[2, 3] = True
BLUR = Blur((8, 8), torch.ones(3, 3) / 9)


def problem(operator: Operator, noise: Noise | None = None) -> Problem:
    y = torch.rand(1, *operator.output_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Problem(y, operator, noise or Gaussian(0.1))


@pytest.mark.parametrize(
    ("operator", "effort", "method"),
    [
        (Identity((8, 8)), "fast", "patches"),
        (Identity((8, 8)), "best", "stack"),
        (Identity((8,)), "balanced", "stack"),
        (Mask(HOLES, (8, 8)), "balanced", "patches"),
        (Mask(HOLES, (8, 8)), "best", "stack"),
        (Downsample((8, 8), 2), "best", "patches"),
        (BLUR, "fast", "patches"),
        (Blur((4, 4, 4), torch.ones(3, 3, 3) / 27), "fast", "gp"),
        (Identity((4, 4, 4)), "best", "gp"),
    ],
)
def test_operator_and_effort_decide(operator: Any, effort: str, method: str) -> None:
    choice = bd.methods.choose(problem(operator), effort)
    assert choice.method.name == method and choice.why


@pytest.mark.parametrize(("operator", "method"), [(Identity((8, 8)), "stack"), (BLUR, "sgld")])
def test_who_asks_for_samples_gets_a_method_that_draws_them(operator: Any, method: str) -> None:
    choice = bd.methods.choose(problem(operator), samples=True)
    assert choice.method.name == method and "samples" in choice.why


@pytest.mark.parametrize("noise", [Laplace(0.1), Speckle(4.0)])
def test_noise_far_from_gaussian_is_for_a_network(noise: Any) -> None:
    assert bd.methods.choose(problem(Identity((8, 8)), noise)).method.name == "stack"
    assert bd.methods.choose(problem(BLUR, noise)).method.name == "sgld"


def test_an_operator_that_is_not_linear_is_for_a_network_alone() -> None:
    square = bd.operators.from_function(lambda x: x**2, (8, 8), linear=False)
    assert bd.methods.choose(problem(square)).method.name == "sgld"
    for method in (bd.Patches(), bd.GP()):
        with pytest.raises(bd.BayesDipError, match="not linear"):
            method.check(problem(square))


def test_upscaling_samples_several_networks_in_the_steps_of_one() -> None:
    several = bd.methods.choose(problem(Downsample((8, 8), 2)), samples=True).method
    assert isinstance(several, bd.SGLD) and several.chains == 3
    one, three = (
        method.schedule(problem(Identity((8, 8)))).steps for method in (bd.SGLD(), bd.SGLD(chains=3))
    )
    assert 3 * three == pytest.approx(one, abs=3)


def test_exact_data_have_deep_networks_and_several_of_them_where_patches_stand_beside() -> None:
    holes = Mask(HOLES, (8, 8))
    exact, noisy = problem(holes, Gaussian(0.0)), problem(holes, Gaussian(0.1))
    best = bd.methods.choose(exact, "best").method.resolved(exact)
    assert isinstance(best, bd.Stack) and (best.sgld.chains, best.sgld.arch) == (2, DEEP)
    best = bd.methods.choose(noisy, "best").method.resolved(noisy)
    assert isinstance(best, bd.Stack) and (best.sgld.chains, best.sgld.arch) == (1, NARROW)
    assert bd.SGLD().resolved(exact).arch == DEEP
    assert bd.SGLD().resolved(problem(holes, Gaussian((0.0, 0.1)))).arch == NARROW
    assert bd.MAP().resolved(exact).arch == Shuffle()
    large = problem(Identity((512, 512)))
    assert bd.SGLD().resolved(large).arch == Shuffle()
    assert bd.Stack().resolved(large).sgld.arch == NARROW  # in tiles


def test_the_paper_s_recipe_is_that_of_its_code() -> None:
    paper = bd.SGLD.paper(seed=3)
    assert paper.arch == skip(scales=5, width=128, skip=4) and paper.arch.input_depth == 32
    assert (paper.sampler, paper.precision, paper.seed) == ("adam-noise", "single", 3)
    assert paper.schedule(problem(Identity((8, 8)))).steps == 20_000
    assert (PAPER.learning_rate, PAPER.input_noise, PAPER.weight_decay) == (0.01, 1 / 30, 5e-8)
    assert (PAPER.burn_in * PAPER.steps, PAPER.count_every) == (7000, 50)


@pytest.mark.parametrize(
    "wrong",
    [
        {"effort": "lazy"},
        {"seed": -1},
        {"chains": 0},
        {"samples": -1},
        {"temperature": -1.0},
        {"sampler": "hmc"},
        {"precision": "half"},
        {"steps": 0},
        {"sampler": "adam-noise", "sample_sigma": True},
    ],
)
def test_an_option_out_of_its_range_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(bd.BayesDipError, match=next(iter(wrong))):
        bd.SGLD(**wrong)


def test_options_of_the_stack_s_network_go_to_its_network() -> None:
    stack = bd.methods.create("stack", chains=3, samples=4, effort="fast")
    assert isinstance(stack, bd.Stack)
    assert (stack.sgld.chains, stack.samples, stack.effort) == (3, 4, "fast")
    with pytest.raises(bd.BayesDipError, match=r"kernel=.*belongs to gp"):
        bd.methods.create("stack", kernel="rbf")


def test_every_method_writes_its_options_as_json() -> None:
    import json

    for kind in bd.methods.METHODS.values():
        method = kind().resolved(problem(Identity((8, 8))))
        assert json.loads(json.dumps(method.to_dict()))["method"] == kind.name


def test_the_restoration_says_what_ran_and_why() -> None:
    image = np.random.default_rng(0).normal(100, 10, (16, 16))
    r = bd.denoise(image, 10)
    assert r.method == "patches" == r.settings["method"] and "patches" in r.why
    assert r.info["model"] == "chain of group filters"
    asked = bd.denoise(image, 10, method="gp")
    assert asked.method == "gp" and "as asked for" in asked.why
