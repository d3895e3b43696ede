"""The page *Prior*: a network's kernel, its spectrum, and draws of network and process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bayesdip.arch.layerwise import layerwise_covariance
from bayesdip.errors import BayesDipError
from bayesdip.gp.grid_covariance import embed
from bayesdip.studio.layer_list import architecture
from bayesdip.studio.limits import Refused
from bayesdip.studio.shown import write_png

LAGS, SIDE, DRAWS = 32, 96, 3
# A network of this width has a distribution close to that of the process already, and a draw takes tenths of a second.
MOST_WIDTH, MOST_SCALES = 128, 6
# A draw is shown black and white at so many of its standard deviations.
SHOWN = 2.5


def look_at_prior(text: str, width: int, seed: int, folder: Path) -> dict[str, Any]:
    """The kernel, its spectrum, and draws.

    Parameters
    ----------
    text : str
        The architecture, as :func:`bayesdip.studio.layer_list.architecture` reads it.
    width : int
        Of the networks that are drawn.
    seed : int
    folder : Path
        Where the draws are written, ``network0.png`` and ``process0.png`` and so on.

    Returns
    -------
    dict
        ``name``; ``kernel`` (correlation at lags 0, 1, ... along an axis), ``limit`` (at infinite lag), ``spectrum``
        (frequencies and power, from low to high), ``layers`` (label, depth and correlation of each), ``draws``.
    """
    arch = architecture(text)
    if not 1 <= width <= MOST_WIDTH:
        raise Refused(f"the width is {width}: expected 1 to {MOST_WIDTH} channels")
    if getattr(arch, "scales", 0) > MOST_SCALES:
        raise Refused(
            f"the network has {getattr(arch, 'scales', 0)} scales: expected at most {MOST_SCALES} for draws of {SIDE} pixels"
        )
    kernel = arch.kernel(LAGS, 2)
    line = kernel.quadrant((LAGS, 1)).flatten().double()
    grid = (SIDE, SIDE)
    process = embed(kernel, grid, constant=True, like=torch.zeros(1, dtype=torch.float64))
    power = embed(kernel, grid, constant=False, like=torch.zeros(1, dtype=torch.float64)).spectrum.double()
    along = power[0][: power.shape[1] // 2 + 1].clamp(min=1e-12)
    generator = torch.Generator().manual_seed(seed)
    limit = process.draw((DRAWS, 1), generator)[:, 0].numpy()
    try:
        networks = replace(arch, width=width).prior_samples(DRAWS, grid, 1, generator)[:, 0].numpy()
    except RuntimeError as error:
        raise BayesDipError(
            f"such a network cannot be built ({str(error)[:200]}): choose fewer scales"
        ) from error
    for number in range(DRAWS):
        write_png(folder / f"network{number}.png", _levels(networks[number]))
        write_png(folder / f"process{number}.png", _levels(limit[number]))
    layers = [
        {"label": stage.label, "depth": stage.depth, "kernel": _list(stage.correlation(LAGS))}
        for stage in layerwise_covariance(arch, 2)
    ]
    return {
        "name": arch.describe(),
        "kernel": _list(line / line[0]),
        "limit": float(kernel.limit / line[0]),
        "spectrum": {
            "frequency": np.linspace(0, 0.5, len(along)).tolist(),
            "power": _list(along / along.max()),
        },
        "layers": layers,
        "draws": DRAWS,
    }


def _levels(draw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    spread = float(draw.std()) or 1.0
    shown: np.ndarray[Any, Any] = np.clip((draw - draw.mean()) / (2 * SHOWN * spread) + 0.5, 0, 1)
    levels: np.ndarray[Any, Any] = np.rint(255 * shown).astype(np.uint8)
    return levels


def _list(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.flatten().tolist()]
