"""``bayesdip kernel`` and ``bayesdip sample``: look at a prior before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import typer

from bayesdip import arch as archs
from bayesdip.arch.layerwise import layerwise_covariance
from bayesdip.errors import BayesDipError
from bayesdip.gp.grid_covariance import embed
from bayesdip.io import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_LAGS = 8
SPECTRUM_LAGS = 64


def show_kernel(name: str, lags: int, dims: int, output: Path | None, *, force: bool, as_json: bool) -> None:
    """Print the kernel and how each layer changed it; plot it to ``output``."""
    arch = archs.named(name)
    _check_dims(dims)
    if lags < 1:
        raise BayesDipError(f"lags is {lags}: expected at least 1")
    if output is not None:
        _check_figure(output)
    kernel = arch.kernel(lags, dims)
    stages = list(layerwise_covariance(arch, dims))
    power = embed(kernel, (SPECTRUM_LAGS,) * dims, constant=False, like=torch.zeros(1)).spectrum.double()
    power = power[(0,) * (dims - 1)]  # along the last axis
    if output is not None:
        from bayesdip.report.figures import kernel_figure

        _save(kernel_figure(arch.describe(), kernel.values.numpy(), power.numpy(), stages, 32), output, force)
    if as_json:
        facts: dict[str, Any] = {"arch": arch.to_dict(), "lags": lags, "values": kernel.values.tolist()}
        facts["layers"] = [
            {"layer": s.label, "depth": s.depth, "correlation": s.correlation(SHOWN_LAGS).tolist()}
            for s in stages
        ]
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"{arch.describe()}: covariance at infinite width, {dims}-D, before the output's squashing\n")
    typer.echo(f"{'lag':>36s} " + " ".join(f"{t:6d}" for t in range(SHOWN_LAGS)))
    for stage in stages:
        row = " ".join(f"{v:6.3f}" for v in stage.correlation(SHOWN_LAGS).tolist())
        typer.echo(f"{'  ' * stage.depth + stage.label:36.36s} {row}")
    line = kernel.quadrant((SHOWN_LAGS, *[1] * (dims - 1))).flatten().tolist()
    typer.echo(
        f"\n{'kernel':36s} " + " ".join(f"{v:6.3f}" for v in line) + f"   at infinity {kernel.limit:.3f}"
    )
    if output is not None:
        typer.echo(f"figure: {output}")


def show_samples(
    name: str, count: int, size: int, dims: int, width: int | None, seed: int, output: Path, *, force: bool
) -> None:
    """Draw from the network and from the Gaussian process of the same kernel, side by side."""
    arch = archs.named(name)
    _check_dims(dims)
    if count < 1 or size < 2:
        raise BayesDipError(
            f"count is {count} and size is {size}: expected at least 1 draw of 2 pixels a side"
        )
    _check_figure(output)
    grid = (size,) * dims
    generator = torch.Generator().manual_seed(seed)
    draws = [_network_draw(arch, grid, width, generator) for _ in range(count)]
    process = embed(arch.kernel(dims=dims), grid, constant=True, like=torch.zeros(1, dtype=torch.float64))
    limit = process.draw((count, 1), generator)[:, 0].numpy()
    from bayesdip.report.figures import draws_figure

    shown = width or arch.width
    rows = [(f"network, width {shown}", np.stack(draws)), ("Gaussian process", limit)]
    _save(draws_figure(f"{arch.describe()}, before the output's squashing", rows), output, force)
    typer.echo(f"{count} draws of each, {' x '.join(map(str, grid))}: {output}")


def _network_draw(
    arch: archs.Architecture, grid: tuple[int, ...], width: int | None, generator: torch.Generator
) -> Any:
    """One output of a fresh network, before its squashing."""
    network = archs.from_dict(arch.to_dict() | {"output": "linear"}).build(1, len(grid), width, generator)
    with torch.no_grad():
        return network(network.new_input(grid, generator), grid)[0, 0].numpy()


def _check_dims(dims: int) -> None:
    if dims not in (1, 2):
        raise BayesDipError(f"dims is {dims}: expected 1 (signals) or 2 (pictures)")


def _check_figure(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BayesDipError(f"{path} has an ending that no figure has: expected .png, .svg or .pdf")


def _save(figure: Figure, path: Path, force: bool) -> None:
    with atomic_write(path, force) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150)
