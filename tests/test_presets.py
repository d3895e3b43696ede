"""A preset is a whole recipe: it decides what it names, and nothing beside it is silently dropped."""

import pytest

from bayesdip import presets
from bayesdip.arch import skip
from bayesdip.errors import BayesDipError
from bayesdip.methods import sgld
from bayesdip.networks import schedule as effort
from bayesdip.pipeline import settings_of


def test_the_papers_preset_is_the_papers_network_and_recipe():
    settings = settings_of({"preset": "paper", "seed": 3, "device": "cpu"})
    assert settings.arch == skip(scales=5, width=128, skip=4) and settings.arch.input_depth == 32
    assert (settings.method, settings.sampler, settings.precision) == ("sgld", "adam-noise", "single")
    assert effort.plan_of(settings).steps == 20_000 and settings.seed == 3
    recipe = sgld.PAPER
    assert (recipe.learning_rate, recipe.input_noise, recipe.weight_decay) == (0.01, 1 / 30, 5e-8)
    assert (recipe.burn_in * recipe.steps, recipe.count_every) == (7000, 50)


def test_defaults_and_what_agrees_may_stand_beside_a_preset():
    given = {
        "preset": "paper",
        "method": "sgld",
        "sampler": "psgld",
        "arch": None,
    }  # as the command line does
    assert settings_of(given).sampler == "adam-noise"


@pytest.mark.parametrize("other", [{"method": "gp"}, {"arch": "shuffle"}, {"sampler": "hmc"}])
def test_what_contradicts_a_preset_is_an_error(other):
    with pytest.raises(BayesDipError, match="beside preset='paper'"):
        settings_of({"preset": "paper", **other})


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(BayesDipError, match="expected one of paper"):
        settings_of({"preset": "papre"})
    assert list(presets.PRESETS) == ["paper"]
