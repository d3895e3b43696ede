"""How to restore: the choices that all methods share, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayesdip.errors import BayesDipError

if TYPE_CHECKING:
    from bayesdip.arch.architecture import Architecture
    from bayesdip.kernels.kernel import Kernel
    from bayesdip.patches.pilot import PatchKernel

METHODS = ("gp", "sgld", "stack", "map", "variational", "dropout")
EFFORTS = ("fast", "balanced", "best")
OPTIMISERS = ("sgd", "sgd+average", "sgd+weight-decay", "sgd+input", "sgd+input+average")
STOPS = ("never", "held-out", "windowed-variance", "discrepancy", "sure")
PRECISIONS = ("auto", "single")
SAMPLERS = ("psgld", "sgld", "sghmc", "cyclical", "hmc", "adam-noise")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """``value`` if it is allowed; else an error that lists what is."""
    if value not in allowed:
        raise BayesDipError(f"{name} is {value!r}: expected one of {', '.join(allowed)}")
    return value


@dataclass(frozen=True)
class Settings:
    """The choices for one restoration.

    Attributes
    ----------
    method : {"gp", "sgld", "stack", "map", "variational", "dropout"}
        Gaussian process, posterior sampling of a network, or one fitted network; to compare with:
        mean-field variational inference, Monte-Carlo dropout.
    arch : Architecture
        The network, or for ``gp`` the one whose kernel is used.
    kernel : Kernel, PatchKernel, "auto" or None
        For ``gp`` alone; None takes the architecture's own kernel, ``"auto"`` the one with the
        largest evidence.
    effort : {"fast", "balanced", "best"}
        How much work, on a scale that each method fills in.
    sampler : {"psgld", "sgld", "sghmc", "cyclical", "hmc", "adam-noise"}
        For ``sgld`` alone; all but ``"adam-noise"`` sample the posterior.
    temperature : float
        For every sampler but ``"adam-noise"``; 1 samples the posterior itself.
    chains : int
        For ``sgld`` alone: networks that are sampled at once; the samples are shared out among them.
    sample_sigma : bool
        For ``sgld`` alone: draw the size of Gaussian noise along with the weights.
    optimiser : {"sgd", "sgd+average", "sgd+weight-decay", "sgd+input", "sgd+input+average"}
        For ``map`` alone: the variants that Cheng et al. 2019 compare; see ``fit.optimise``.
    stop : {"never", "held-out", "windowed-variance", "discrepancy", "sure"} or None
        For ``map`` alone: the rule that ends the fit, see ``fit.stopping``; None goes by the data.
    samples : int
        Number of posterior samples to keep.
    draws : int or None
        For ``gp`` alone: posterior draws from which the standard deviation is estimated, at
        least ``samples``; None goes by the effort, 0 leaves the standard deviation out.
    preset : {"paper"} or None
        The recipe that decided method, architecture, sampler, steps and precision.
    steps : int or None
        For ``sgld`` and ``map``; None goes by the effort.
    precision : {"auto", "single"}
        For ``sgld`` and ``map``; ``"auto"`` takes the fastest that the device has and that fits as well.
    seed : int
        Seeds everything random; the same seed repeats a CPU run to the bit.
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; what :func:`pick_device` gives.
    """

    arch: Architecture
    method: str = "sgld"
    kernel: Kernel | PatchKernel | str | None = None
    effort: str = "balanced"
    sampler: str = "psgld"
    temperature: float = 1.0
    chains: int = 1
    sample_sigma: bool = False
    optimiser: str = "sgd+input+average"
    stop: str | None = None
    samples: int = 16
    draws: int | None = None
    preset: str | None = None
    steps: int | None = None
    precision: str = "auto"
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        one_of("method", self.method, METHODS)
        one_of("effort", self.effort, EFFORTS)
        one_of("sampler", self.sampler, SAMPLERS)
        one_of("optimiser", self.optimiser, OPTIMISERS)
        if self.stop is not None:
            one_of("stop", self.stop, STOPS)
        one_of("precision", self.precision, PRECISIONS)
        if not self.temperature >= 0:
            raise BayesDipError(
                f"temperature is {self.temperature}: expected zero or more; 1 is the posterior"
            )
        if self.chains < 1:
            raise BayesDipError(f"chains is {self.chains}: expected one or more")
        if self.sample_sigma and self.sampler == "adam-noise":
            raise BayesDipError(
                "sample_sigma was asked for with sampler 'adam-noise', which has no noise model: expected another "
                "sampler; use 'psgld'"
            )
        if self.samples < 0:
            raise BayesDipError(f"samples is {self.samples}: expected zero or more")
        if self.draws is not None and (self.draws < 0 or self.draws == 1):
            raise BayesDipError(f"draws is {self.draws}: expected 0, or at least 2 for a standard deviation")
        if self.seed < 0:
            raise BayesDipError(f"seed is {self.seed}: expected zero or more")

    def to_dict(self) -> dict[str, Any]:
        """Everything needed to repeat the run, as plain JSON values."""
        plain = {k: v for k, v in self.__dict__.items() if k not in ("arch", "kernel")}
        plain["arch"] = self.arch.to_dict()
        plain["kernel"] = self.kernel if isinstance(self.kernel, str) else self.kernel and repr(self.kernel)
        return plain


def pick_device(name: str) -> str:
    """``"auto"`` takes a CUDA device when there is one, else the CPU.

    Raises
    ------
    BayesDipError
        The device is unknown or not on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise BayesDipError(
            f"device {name!r} cannot be used here: expected auto, cpu, or a device that this machine has"
        ) from error
    return name
