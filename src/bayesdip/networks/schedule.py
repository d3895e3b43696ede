"""Schedules: how many steps each effort has, and which share of them each phase of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

# Steps of a run from which on decaying learning rates are better; in shorter ones the fit is not done when they decay. Found on
# `montage` with half of its pixels missing.
LONG = 3000


@dataclass(frozen=True)
class Schedule:
    """The phases of a run: a fit by Muon, heating, burn-in, sampling, and for noise-free data a refit.

    Noisy data need no noise on the latent input: on a crop of `f16` (256x256) Muon reaches the noise level in about 130
    steps without it and not in 200 with it, and every step that it saves is one more to sample.

    Attributes
    ----------
    steps : int
        Of the whole run, for each network.
    warm_up, heated, burnt_in : float
        Shares of the steps at which Muon ends, the full temperature is reached, and sampling begins, each at the latest.
        Muon ends at the fit `fitted`, burn-in where the fit has no trend, and the next phase begins earlier then.
    sampled : float
        Share of the steps at which sampling ends; after it the networks are refitted with the held-out pixels.
    fitted : float
        The fit (``Energy.fit``, 1 at the noise level) at which Muon ends. Heating raises it again. With a noise of 5 of
        255 (`camera`, 64x64) the mean squared residual of the samples was 1.15 noise variances after an end at 1.0,
        1.11 at 0.9 and 1.09 at 0.8. Crops of `house`, `f16` and `baboon` came out equally well at 0.8.
    decays : bool
        Whether Muon's learning rates decay.
    learning_rate : float
        Of Adam in ``method="map"``; that of Deep Image Prior.
    input_noise : float
        Standard deviation of fresh noise on the latent input at every step of Adam; that of Deep Image Prior.
    step_size : float
        Of the Langevin dynamics, ``h`` of ``psgld_step``, at a noise of 25 of 255; ``sampling.step_factor`` scales it.
        On crops of 96x96, 0.045 was 0.25 dB better on average than 0.06.
    sampled_input_noise : float
        Standard deviation of fresh noise on the latent input at every step of Muon and of the dynamics. The energy is
        then its mean over such inputs, estimated from one.
    """

    steps: int
    warm_up: float = 0.25
    heated: float = 0.33
    burnt_in: float = 0.4
    sampled: float = 1.0
    fitted: float = 0.8
    decays: bool = False
    learning_rate: float = 0.01
    input_noise: float = 1 / 30
    step_size: float = 0.045
    sampled_input_noise: float = 0.0

    def of_exact(self) -> Schedule:
        """The schedule for noise-free data: the fit takes most of the steps, and the latent input is perturbed to the end.

        Found on `montage` with half of its pixels missing: the mean improved as long as Muon went on, by at most 0.3 dB
        in sampling, and lost 0.4 dB where sampling had no noise on the input.

        Returns
        -------
        Schedule
        """
        return replace(
            self,
            warm_up=0.8,
            heated=0.82,
            burnt_in=0.85,
            fitted=0.0,
            decays=self.steps >= LONG,
            sampled_input_noise=self.input_noise,
        )

    def with_refit(self) -> Schedule:
        """For noise-free data whose held-out pixels join the training set for the last quarter of the steps.

        Returns
        -------
        Schedule
        """
        return replace(self, warm_up=0.6, heated=0.62, burnt_in=0.65, sampled=0.75)


# Steps of each effort, of one network. They are what an effort means, not optima.
SCHEDULES = {"fast": Schedule(800), "balanced": Schedule(2500), "best": Schedule(6000)}


@dataclass(frozen=True)
class PaperRecipe:
    """Cheng et al. 2019, section 5 and their released code: what ``sampler="adam-noise"`` does.

    Attributes
    ----------
    steps : int
    burn_in : float
        Share of the steps.
    count_every : int
        Steps between two counted pictures.
    learning_rate : float
    input_noise : float
        Standard deviation of fresh noise on the latent input at every step.
    weight_decay : float
    """

    steps: int = 20000
    burn_in: float = 7000 / 20000
    count_every: int = 50
    learning_rate: float = 0.01
    input_noise: float = 1 / 30
    weight_decay: float = 5e-8


PAPER = PaperRecipe()

# Several chains share the steps of an effort, but each has at least so many: with fewer, the fit is not done.
FEWEST_STEPS = 400
# Steps of Adam over those of Muon that bring a fit equally far.
ADAM_STEPS = 1.6


def schedule_of(effort: str, steps: int | None = None, chains: int = 1, *, by_adam: bool = False) -> Schedule:
    """The schedule of an effort.

    Parameters
    ----------
    effort : {"fast", "balanced", "best"}
    steps : int, optional
        For each network, instead of those of the effort.
    chains : int
        They share the steps of the effort.
    by_adam : bool
        Whether Adam alone fits.

    Returns
    -------
    Schedule
    """
    schedule = SCHEDULES[effort]
    if steps is not None:
        return replace(schedule, steps=steps)
    if by_adam:
        return replace(schedule, steps=round(ADAM_STEPS * schedule.steps))
    return replace(schedule, steps=min(schedule.steps, max(FEWEST_STEPS, schedule.steps // chains)))
