"""How the covariance changes on its way through a network, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from torch import Tensor

from bayesdip.arch.combinators import Residual, Sequential, SkipConcat
from bayesdip.arch.description import Description
from bayesdip.arch.layers import Layer
from bayesdip.arch.stationary import Stationary


@dataclass(frozen=True)
class Stage:
    """The covariance after one layer.

    Attributes
    ----------
    depth : int
        How many branches the layer lies in.
    label : str
        The layer and its settings.
    covariance : Stationary
        Of its output.
    """

    depth: int
    label: str
    covariance: Stationary

    def correlation(self, lags: int) -> Tensor:
        """Correlation along the first axis; zero where there is no variance.

        Parameters
        ----------
        lags : int
            How many lags ``0, 1, ...``, in pixels.

        Returns
        -------
        Tensor, float64, shape (lags,)
        """
        line = self.covariance.quadrant((lags, *[1] * (self.covariance.dims - 1))).flatten()
        return line / line[0] if line[0] > 0 else line


def layerwise_covariance(arch: Description, dims: int = 2) -> Iterator[Stage]:
    """The covariance from the input to the output, before its squashing.

    Parameters
    ----------
    arch : Architecture
    dims : int
        Axes of the grid.

    Yields
    ------
    Stage
        One for the input, then one for each layer; branches come before their joint.

    Raises
    ------
    BayesDipError
        A layer has no stationary rule.
    """
    K = arch.latent_input.covariance(dims)
    yield Stage(0, f"input: {arch.latent_input.kind} noise", K)
    yield from _stages(arch.layers(1, dims), K, 0)


def _stages(layer: Layer, K: Stationary, depth: int) -> Iterator[Stage]:
    if isinstance(layer, Sequential):
        for one in layer.layers:
            yield from _stages(one, K, depth)
            K = one.covariance(K)
        return
    branches = {SkipConcat: ("skip", "main"), Residual: ("main",)}.get(type(layer), ())
    for branch in branches:
        inner = getattr(layer, branch)
        if inner is not None:
            yield from _stages(inner, K, depth + 1)
    yield Stage(depth, _label(layer), layer.covariance(K))


def _label(layer: Layer) -> str:
    """``Conv 16 3 2``: the record's name and its plain settings."""
    settings = [getattr(layer, f.name) for f in fields(layer)]  # type: ignore[arg-type]
    plain = [
        f"{s:g}" if isinstance(s, float) else str(s) for s in settings if isinstance(s, int | float | str)
    ]
    return " ".join([type(layer).__name__, *(p for p in plain if p not in ("True", "False"))])
