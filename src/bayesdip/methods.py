"""The methods by name, behind one signature: ``(measurement, settings, monitor) -> Posterior``."""

from __future__ import annotations

from collections.abc import Callable

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import Shuffle, Skip
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.posterior import Posterior
from bayesdip.settings import METHODS, Settings, one_of

Method = Callable[[Measurement, Settings, Monitor], Posterior]


def named(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    BayesDipError
        There is no such method.
    """
    one_of("method", name, METHODS)
    if name == "gp":
        from bayesdip.gp.method import run

        return run
    if name == "map":
        from bayesdip.fit.map import run as fit

        return fit
    from bayesdip.fit.sgld import run as sample

    return sample


def default_architecture(method: str) -> Architecture:
    """What a method uses when no architecture is named.

    ``gp``: the paper's network for its figure 6 (2 scales, 1024 channels, 4 skip), which is all
    but infinitely wide. ``sgld`` and ``map``: a network that works at half resolution, at a
    fraction of the cost of the paper's.
    """
    return Skip(scales=2, width=1024, skip=4) if method == "gp" else Shuffle()
