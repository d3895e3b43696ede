"""Should you buy the DIP? The answer by task, from the benchmarks, and for one's own picture, from its ranking.

A *deep image prior* (DIP) is an untrained network: ``sgld`` and ``map``, and ``stack``, which averages one with patches.
The words stand here alone: ``bayesdip compare`` ends with them, and the site's page of the answer has the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayesdip.methods.choice import DEEP

if TYPE_CHECKING:
    from bayesdip.comparison.ranking import Comparison, Entry
    from bayesdip.comparison.setup import Setup

QUESTION = "Should you buy the DIP?"
NETWORKS = ("sgld", "map", "stack")


@dataclass(frozen=True)
class Answer:
    """What holds for a task.

    Attributes
    ----------
    task : str
        In words.
    buy : {"no", "perhaps", "yes"}
        Whether to take a deep image prior.
    words : str
        The same with what to take instead.
    """

    task: str
    buy: str
    words: str


ANSWERS = {
    "noise": Answer(
        "noise",
        "no",
        "patches are better, in seconds to a minute. A network averaged with them (stack at best effort) gains 0.2 dB in many minutes.",
    ),
    "scattered": Answer(
        "scattered missing pixels",
        "no",
        "patches are better on photographs, in seconds to minutes. Letters and line drawings are the exception: take stack.",
    ),
    "holes": Answer(
        "holes",
        "perhaps",
        "a network averaged with patches and smooth filling is what is left, and no method knows what was there. Look at the "
        "standard deviation and the samples.",
    ),
    "enlarging": Answer("enlarging", "no", "patches are better, in minutes."),
    "blur": Answer(
        "blur",
        "no",
        "patches are as good, in seconds: a network averaged with them gains 0.15 dB in minutes.",
    ),
    "indirect": Answer(
        "indirect data",
        "perhaps",
        "not under a linear operator, where patches are better. Yes for a measurement that is not linear, which patches and "
        "Gaussian process do not take.",
    ),
}
TASKS = {"denoise": "noise", "upscale": "enlarging", "deblur": "blur"}


def kind_of(setup: Setup) -> str:
    """The key of :data:`ANSWERS` for a picture: missing pixels are a hole where ``auto`` takes a network."""
    if setup.task != "inpaint":
        return TASKS[setup.task]
    from scipy.ndimage import distance_transform_edt

    assert setup.missing is not None  # of this task
    return "holes" if distance_transform_edt(setup.missing).max() >= DEEP else "scattered"


def answer(comparison: Comparison) -> str:
    """For the picture of the comparison, then for its task in general."""
    general = ANSWERS[kind_of(comparison.setup)]
    return f"{QUESTION} {_own(comparison)} In general, for {general.task}: {general.buy}; {general.words}"


def _own(comparison: Comparison) -> str:
    networks = [entry for entry in comparison.applied if entry.name in NETWORKS]
    others = [entry for entry in comparison.applied if entry.name not in NETWORKS]
    if not networks or not others:
        left_out = "no network" if others else "nothing else"
        return f"Not decided for this picture: {left_out} was compared (networks: {', '.join(NETWORKS)})."
    network, other = networks[0], others[0]
    if comparison.applied[0] is network:
        if other.tied:
            return f"For this picture it makes no difference: {other.name} cannot be told apart from {network.name}; take what is quicker."
        return f"For this picture, yes: {network.name} is {_behind(other)} ahead of {other.name}."
    if network.tied:
        return f"For this picture it makes no difference: {network.name} cannot be told apart from {other.name}; take what is quicker."
    return f"For this picture, no: {network.name} is {_behind(network)} behind {other.name}."


def _behind(entry: Entry) -> str:
    assert entry.behind is not None
    return f"{entry.behind.value:.2f} dB"
