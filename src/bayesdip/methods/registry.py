"""The methods by name, behind one signature: ``(problem, settings, progress) -> Posterior``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import FIGURE6, Shuffle, Skip
from bayesdip.noise import Laplace, Noise, Speckle
from bayesdip.operators import Downsample, Identity, Mask, Operator
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.settings import METHODS, Settings, one_of

# A small picture leaves most of the large one open, and networks fill it in each in its own way: on a
# 128x128 part of Set5's butterfly three chains of 500 steps gave 27.3 dB, each of them alone 25.4 to 26.5.
CHAINS_TO_UPSCALE = 3

# Sampled in the same time, on a part of `f16` with noise the first of these came to 31.3 dB, the second to 31.0 and
# `Shuffle` to 30.9; on half of the pixels of `montage` the second to 33.4 and the first to 32.4.
NARROW, DEEP = Skip(scales=3, width=32), Skip(scales=5, width=32)
# Pixels above which steps at full resolution are too few in the time that a picture is given: in 60 s half of the pixels of
# 512x512 came to 23 dB with the deep network.
LARGE = 2**17
# Networks that fit exact data differ more from each other than each does while it is sampled.
CHAINS_OF_EXACT = 2

Method = Callable[[Problem, Settings, Progress], Posterior]


def named(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    BayesDipError
        There is no such method.
    """
    one_of("method", name, METHODS)
    if name == "gp":
        from bayesdip.methods.gp import run

        return run
    if name == "map":
        from bayesdip.methods.map import run as fit

        return fit
    if name == "variational":
        from bayesdip.lab.methods.variational import run as variational

        return variational
    if name == "dropout":
        from bayesdip.lab.methods.dropout import run as dropout

        return dropout
    if name == "stack":
        from bayesdip.methods.stack import run as stack

        return stack
    from bayesdip.methods.sgld import run as sample

    return sample


def suited(
    operator: Operator, effort: str, options: Mapping[str, Any], noise: Noise | None = None
) -> dict[str, Any]:
    """What ``method="auto"`` stands for: the choice of method and, for ``gp``, of kernel.

    As the benchmarks of the paper's tables found (docs/benchmarks.md). Noise, missing pixels, shrunken and blurred pictures:
    the picture's own patches, and for the former two a network beside them where there is time for it. Signals with noise,
    and noise that is far from Gaussian: both, or where the data are no pixels the network. Volumes: the process, for there are no
    networks for them. An option that only one method has means that method, and samples that were asked for one that draws them.
    """

    def asked(*names: str) -> bool:
        defaults = {name: getattr(Settings, name, None) for name in names}
        return any(options.get(name, default) != default for name, default in defaults.items())

    if asked("kernel", "draws") or len(operator.input_shape) > 2:
        return {"method": "gp"}
    if asked("optimiser", "stop"):
        return {"method": "map"}
    sampling = asked("arch", "sampler", "temperature", "chains", "sample_sigma")
    drawn = bool(options.get("samples"))
    other_noise = isinstance(noise, Laplace | Speckle)
    if not isinstance(operator, Identity | Mask):
        if not (sampling or drawn or other_noise):
            return {"method": "gp", "kernel": "nonlocal"}
        several = isinstance(operator, Downsample) and not asked("chains")
        return {"method": "sgld", "chains": CHAINS_TO_UPSCALE} if several else {"method": "sgld"}
    if sampling:
        return {"method": "sgld"}
    noisy_signal = isinstance(operator, Identity) and len(operator.input_shape) == 1
    if effort == "best" or drawn or noisy_signal or other_noise:
        exact = noise is not None and noise.is_exact
        return {"method": "stack", "chains": CHAINS_OF_EXACT} if exact else {"method": "stack"}
    return {"method": "gp", "kernel": "nonlocal"}


def default_samples(method: str) -> int:
    """How many posterior samples a method keeps when nothing is said."""
    return 0 if method == "gp" else Settings.samples


def default_architecture(
    method: str, noise: Noise | None = None, operator: Operator | None = None
) -> Architecture:
    """What a method uses when no architecture is named.

    ``gp``: the paper's network for its figure 6 (2 scales, 1024 channels, 4 skip), which is all
    but infinitely wide. Sampled networks: a narrow one, deep where the data are exact. The others, and a
    large picture that is sampled in one piece: a network that works at half resolution, at a fraction of the cost.
    """
    large = method == "sgld" and operator is not None and prod(operator.input_shape) > LARGE
    if method == "gp":
        return FIGURE6
    if method in ("sgld", "stack") and not large:
        return DEEP if noise is not None and noise.is_exact else NARROW
    return Shuffle()
