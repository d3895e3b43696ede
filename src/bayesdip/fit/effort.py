"""How much work each effort stands for, and how the steps of a run are shared out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bayesdip.settings import Settings


@dataclass(frozen=True)
class Plan:
    """A run of ``steps``: Muon first, then heating, burn-in and sampling.

    Attributes
    ----------
    steps : int
    warm_up, heated, burnt_in : float
        Shares of the steps at which Muon ends, the full temperature is reached, and sampling begins
        at the latest: burn-in ends earlier where the fit has settled.
    muon_rate : float
        See ``MuonStepper``.
    learning_rate, input_noise : float
        Of Adam, for what goes by it there; see ``AdamStepper``.
    step_size : float
        Of the Langevin dynamics; see ``psgld_step``.
    """

    steps: int
    warm_up: float = 0.25
    heated: float = 0.35
    burnt_in: float = 0.45
    learning_rate: float = 0.01
    muon_rate: float = 0.02
    input_noise: float = 1 / 30
    step_size: float = 0.06


PLANS = {"fast": Plan(1100), "balanced": Plan(4000), "best": Plan(12000)}


@dataclass(frozen=True)
class PaperRecipe:
    """Cheng et al. 2019, section 5 and their released code: what ``"adam-noise"`` does."""

    steps: int = 20000
    burn_in: float = 7000 / 20000
    count_every: int = 50
    learning_rate: float = 0.01
    input_noise: float = 1 / 30
    weight_decay: float = 5e-8


PAPER = PaperRecipe()


# Several chains share the steps of an effort; fewer than these find no posterior.
FEWEST_STEPS = 400


def plan_of(settings: Settings) -> Plan:
    """The plan of the settings' effort, shared out among its chains; or as many steps as the settings say."""
    plan = PLANS[settings.effort]
    if settings.steps is not None:
        return replace(plan, steps=settings.steps)
    return replace(plan, steps=min(plan.steps, max(FEWEST_STEPS, plan.steps // settings.chains)))
