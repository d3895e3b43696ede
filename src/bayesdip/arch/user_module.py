"""A network of the user's own: any PyTorch module as an architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Never

import torch
from torch import Tensor, nn

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.layers import C, Layer
from bayesdip.arch.network import GridRule, Network
from bayesdip.errors import BayesDipError, ShapeError

Factory = Callable[[int, int], nn.Module]
# Normalisations that may keep running statistics. PyTorch has no public name for these bases.
RUNNING = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
BUILT = "_built_by_bayesdip"


def from_module(
    factory: Factory,
    *,
    input_depth: int = 32,
    multiple_of: int = 1,
    input: str = "uniform",
    input_scale: float = 0.1,
    input_smoothness: float = 0.0,
    output: str = "linear",
) -> ModuleArchitecture:
    """An architecture from a function that makes a PyTorch module.

    It is fitted and sampled like the others: ``bd.restore(..., method=bd.SGLD(arch=net))``. It has a
    finite reading only: its infinite-width kernel is not known, but
    ``from_module(...).monte_carlo_kernel(grid)`` estimates it.

    Parameters
    ----------
    factory : callable
        ``factory(channels, dims)`` gives a *new* module at each call, which maps a latent input
        (1, input_depth, *grid) to a picture (1, channels, *grid). ``dims`` is the number of grid
        axes. Its initial weights are drawn on the CPU, from a seed that is drawn from the
        generator of the fit, so that they are repeatable; PyTorch's global generator is left as
        it was.
    input_depth : int
        Features of the latent input. The factory is not told: build the module's first layer for
        this number.
    multiple_of : int
        Each axis of the input's grid must be a multiple of this, such as 2^k for k halvings. The
        input is padded to such a grid, of at least twice this many pixels an axis, and the picture
        is cropped out of the output.
    input : "uniform", "normal" or "mesh"
        Distribution of the latent input, per pixel and feature. A mesh has ``dims`` features, the
        pixel's coordinates from 0 to 1.
    input_scale : float
        What the input is multiplied by.
    input_smoothness : float
        Standard deviation, in pixels, of a Gaussian that smooths the noise.
    output : "linear", "sigmoid" or "sigmoid255"
        A squashing after the module; with ``"linear"`` its output is the picture. Pictures are
        mostly in 0..1.

    Returns
    -------
    ModuleArchitecture

    Raises
    ------
    BayesDipError
        No function was given, or a setting is out of range. When the network is built: the factory
        gives no module, the same module again, one without weights, or one with dropout.

    Notes
    -----
    Batch norm normalises by the current picture, in training and in evaluation alike: its running
    statistics, and those of instance norm, are switched off. Averages over the network's past
    states would be the statistics of other pictures.

    Examples
    --------
    >>> def small(channels, dims):
    ...     return nn.Sequential(nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, channels, 1))
    >>> from_module(small).build(channels=3).new_input((20, 30)).shape
    torch.Size([1, 32, 20, 30])
    """
    if isinstance(factory, nn.Module) or not callable(factory):
        raise BayesDipError(
            f"from_module was given a {type(factory).__name__}; a function (channels, dims) that makes a new module at "
            "each call was expected: from_module(lambda channels, dims: MyNetwork(channels))."
        )
    return ModuleArchitecture(
        factory=factory,
        multiple_of=multiple_of,
        input_depth=input_depth,
        input=input,
        input_scale=input_scale,
        input_smoothness=input_smoothness,
        output=output,
    )


@dataclass(frozen=True, kw_only=True)
class ModuleArchitecture(Architecture):
    """What :func:`from_module` gives.

    Attributes
    ----------
    factory : callable
    multiple_of : int
    width : int
        Not used: the factory knows.
    """

    factory: Factory
    multiple_of: int = 1

    name: ClassVar[str] = "module"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        return ModuleLayer(self.factory, channels)

    def grid_rule(self) -> GridRule:
        return GridRule(multiple=self.multiple_of, smallest=2 * self.multiple_of)

    def build(
        self, channels: int, dims: int = 2, width: int | None = None, generator: torch.Generator | None = None
    ) -> Network:
        if width is not None:
            raise BayesDipError(
                f"A module's network was asked for with width={width}; its factory sets the width: leave it out."
            )
        return super().build(channels, dims, None, generator)

    def prior_samples(
        self,
        count: int,
        grid: Sequence[int],
        channels: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        unsquashed, pictures = replace(self, output="linear"), []
        for _ in range(count):
            network = unsquashed.build(channels, len(grid), generator=generator)
            with torch.no_grad():
                pictures.append(network(network.new_input(grid, generator), grid))
        return torch.cat(pictures)

    def describe(self) -> str:
        name = getattr(self.factory, "__qualname__", type(self.factory).__name__)
        return f"from_module({name})"

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values.

        Returns
        -------
        dict
            It cannot be read back: the factory is there by its name only.
        """
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "width"}
        return {"name": self.name, **settings, "factory": self.describe()}


@dataclass(frozen=True)
class ModuleLayer(Layer):
    """A user's module as a layer, without a covariance rule.

    Attributes
    ----------
    factory : callable
    channels : int
        Of its output.
    """

    factory: Factory
    channels: int

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        device = generator.device if generator is not None else "cpu"
        seed = int(torch.randint(2**62, (), generator=generator, device=device))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(
                seed
            )  # torch.manual_seed would touch the GPUs' generators too
            made = self.factory(self.channels, dims)
        _check(made)
        setattr(made, BUILT, True)
        for module in made.modules():
            if isinstance(module, RUNNING) and module.track_running_stats:
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
        return CheckedModule(made.float(), self.channels)

    def features(self, features_in: int, dims: int) -> int:
        return self.channels

    def covariance(self, K: C) -> Never:
        raise BayesDipError(
            "The infinite-width kernel of a network from from_module was asked for; only networks described by layers "
            "have one: estimate it with from_module(...).monte_carlo_kernel(grid, networks=100), or describe the "
            "network with bayesdip.arch."
        )


class CheckedModule(nn.Module):
    """A user's module whose output must be a picture on the grid of its input."""

    def __init__(self, module: nn.Module, channels: int) -> None:
        super().__init__()
        self.module = module
        self.channels = channels

    def forward(self, z: Tensor) -> Tensor:
        # Modules that use view expect the usual order of the axes in memory.
        picture: Tensor = self.module(z.contiguous())
        expected = (z.shape[0], self.channels, *z.shape[2:])
        if not isinstance(picture, Tensor) or tuple(picture.shape) != expected:
            found = tuple(picture.shape) if isinstance(picture, Tensor) else f"a {type(picture).__name__}"
            raise ShapeError(
                f"The module made {found} of an input of shape {tuple(z.shape)}; {expected} was expected: change the "
                "module, or give from_module the multiple_of that its strides need."
            )
        return picture


def _check(made: object) -> None:
    if not isinstance(made, nn.Module):
        raise BayesDipError(
            f"The factory of from_module gave a {type(made).__name__}; a torch.nn.Module was expected: return one."
        )
    if hasattr(made, BUILT):
        raise BayesDipError(
            "The factory of from_module gave the same module twice; a new one at each call was expected, as every chain "
            "has weights of its own: build the module inside the function."
        )
    if not any(w.requires_grad for w in made.parameters()):
        raise BayesDipError(
            "The factory of from_module gave a module without trainable weights; at least one was expected: check it."
        )
    if any(isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0 for m in made.modules()):
        raise BayesDipError(
            "The factory of from_module gave a module with dropout, whose noise no seed of the fit controls; none was "
            "expected: remove the dropout layers."
        )
