"""How much work each effort stands for, and how the steps of a run are shared out."""

from __future__ import annotations

from dataclasses import dataclass, replace

# Steps of a fit from which on rates that fall pay; in shorter ones they end too soon.
LONG = 3000


@dataclass(frozen=True)
class Schedule:
    """A run of ``steps``: Muon first, then heating, burn-in and sampling.

    Noisy data need no noise on the input: Muon is down at the noise's level in about 130 steps of a part of `f16`
    (256x256) without it and not in 200 with it, and every step that it does not take is one more to sample.

    Attributes
    ----------
    steps : int
    warm_up, heated, burnt_in : float
        Shares of the steps at which Muon ends, the full temperature is reached, and sampling begins,
        each at the latest: Muon ends at the `fitted` fit, burn-in where the fit has settled, and what
        follows begins earlier then.
    sampled : float
        Share of the steps at which sampling ends; from there on the networks are refitted with the held-out pixels.
    fitted : float
        The fit at which Muon ends. Heating lifts it again, above the noise's level where Muon ends at that level: with
        a noise of 5 of 255 (`camera`, 64x64) the mean squared negative_log_likelihood of the samples was 1.15 times the noise's variance
        then, 1.11 from 0.9 and 1.09 from 0.8. Parts of `house`, `f16` and `baboon` came out as good from 0.8.
    falls : bool
        Whether Muon's rates fall on its way.
    learning_rate : float
        Of Adam, where ``map`` fits by it; see ``AdamStepper``.
    input_noise : float
        Of Adam's fit; see there.
    step_size : float
        Of the Langevin dynamics, at usual noise; see ``psgld_step`` and ``fit.sgld.step_factor``.
    sampled_input_noise : float
        Standard deviation of fresh noise on the input at every step of Muon and of the dynamics. The energy is then
        the mean over such inputs, estimated from one.
    """

    steps: int
    warm_up: float = 0.25
    heated: float = 0.33
    burnt_in: float = 0.4
    sampled: float = 1.0
    fitted: float = 0.8
    falls: bool = False
    learning_rate: float = 0.01
    input_noise: float = 1 / 30
    step_size: float = 0.045
    sampled_input_noise: float = 0.0

    def of_exact(self) -> Schedule:
        """The schedule for data without noise: most of the way is the fit, and the input stays perturbed to the end.

        On `montage` with half of its pixels missing the mean got better as long as Muon went on, by no more than 0.3 dB
        while it was sampled, and lost 0.4 dB where the input was then left alone.
        """
        return replace(
            self,
            warm_up=0.8,
            heated=0.82,
            burnt_in=0.85,
            fitted=0.0,
            falls=self.steps >= LONG,
            sampled_input_noise=self.input_noise,
        )

    def with_refit(self) -> Schedule:
        """For noise-free data whose held-out pixels join the training set for the last quarter of the steps."""
        return replace(self, warm_up=0.6, heated=0.62, burnt_in=0.65, sampled=0.75)


SCHEDULES = {"fast": Schedule(800), "balanced": Schedule(2500), "best": Schedule(6000)}


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
# Where Adam fits alone it takes more steps to come as far.
ADAMS_STEPS = 1.6


def schedule_of(effort: str, steps: int | None = None, chains: int = 1, *, by_adam: bool = False) -> Schedule:
    """The schedule of an effort, shared out among chains; or of as many steps as are given."""
    schedule = SCHEDULES[effort]
    if steps is not None:
        return replace(schedule, steps=steps)
    if by_adam:
        return replace(schedule, steps=round(ADAMS_STEPS * schedule.steps))
    return replace(schedule, steps=min(schedule.steps, max(FEWEST_STEPS, schedule.steps // chains)))
