"""Kernel values of the library neural-tangents, for the tests to agree with.

Not part of the package, and its dependencies are not the package's. In an environment of its own:

    pip install neural-tangents==0.6.5 jax==0.4.30 jaxlib==0.4.30 "numpy<2" "scipy<1.14"
    python benchmarks/neural_tangents_values.py tests/data/neural_tangents.json

Every network is a list of layers, which this script builds with ``stax`` and the test with
``bayesdip.arch``. Weights have variance 1 / (3 fan_in), biases 1 / (3 fan_in), PyTorch's
defaults; the tangent kernel is that of the NTK parametrisation.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

import neural_tangents as nt  # noqa: E402
from neural_tangents import stax  # noqa: E402

WIDTH = 64
LEAKY, RELU, ERF, GELU, SIGMOID = ["leaky_relu", 0.2], ["leaky_relu", 0.0], ["erf"], ["gelu"], ["sigmoid"]


def conv(size: int = 3, stride: int = 1, padding: str = "zero", bias: bool = True) -> list[object]:
    return ["conv", WIDTH, size, stride, padding, bias]


NETWORKS: dict[str, list[list[object]]] = {
    "one convolution": [conv()],
    "without bias, around a torus": [conv(3, 1, "circular", False)],
    "filter of five, then of one": [conv(5), conv(1)],
    "stride 2": [conv(3, 2), RELU, conv(1)],
    "ReLU, three deep": [conv(), RELU, conv(), RELU, conv(), RELU, conv(1)],
    "leaky ReLU": [conv(), LEAKY, conv(3, 1, "circular"), LEAKY, conv(1)],
    "erf": [conv(), ERF, conv(), ERF, conv(1)],
    "GELU": [conv(), GELU, conv(), GELU, conv(1)],
    "sigmoid": [conv(), SIGMOID, conv(1)],
    "average pooling": [conv(), LEAKY, ["average"], conv(), LEAKY, conv(1)],
    "residual": [conv(), ["residual", [LEAKY, conv(), ERF, conv()]], LEAKY, conv(1)],
    "concatenation": [conv(), LEAKY, ["concat", [conv(), RELU], [conv(1), LEAKY]], conv(1)],
}
GRIDS = {"line": (7, 4), "line of even length": (8, 4), "picture": (4, 6, 3)}


def build(layers: list[list[object]], features: int, dims: int) -> tuple[object, int]:
    """A ``stax`` layer, and how many features it puts out."""
    parts = []
    for kind, *rest in layers:
        if kind == "conv":
            width, size, stride, padding, bias = rest
            fan_in = features * size**dims
            parts.append(
                stax.Conv(
                    width,
                    (size,) * dims,
                    (stride,) * dims,
                    "CIRCULAR" if padding == "circular" else "SAME",
                    W_std=3**-0.5,
                    b_std=(3 * fan_in) ** -0.5 if bias else None,
                    parameterization="ntk",
                )
            )
            features = width
        elif kind == "leaky_relu":
            parts.append(stax.ABRelu(rest[0], 1.0))
        elif kind == "erf":
            parts.append(stax.Erf())
        elif kind == "gelu":
            parts.append(stax.Gelu(approximate=False))
        elif kind == "sigmoid":
            parts.append(stax.ElementwiseNumerical(jax.nn.sigmoid, deg=80))
        elif kind == "average":
            parts.append(stax.AvgPool((2,) * dims, (2,) * dims, "VALID"))
        elif kind == "residual":
            branch, _ = build(rest[0], features, dims)
            parts += [stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum()]
        elif kind == "concat":
            (a, n), (b, m) = (build(branch, features, dims) for branch in rest)
            assert n == m, "neural-tangents weighs its branches alike"
            parts += [stax.FanOut(2), stax.parallel(a, b), stax.FanInConcat(-1)]
            features = n + m
    return stax.serial(*parts), features


def values(layers: list[list[object]], x: np.ndarray) -> dict[str, list[float]]:
    """Both kernels between all pixels of ``x`` (*grid, features), row by row."""
    dims = x.ndim - 1
    (_, _, kernel_fn), _ = build(layers, x.shape[-1], dims)
    both = kernel_fn(x[None], None, None, diagonal_spatial=False)
    if both.is_reversed:  # every convolution turns the order of the spatial axes around
        both = both.reverse()
    out = {}
    for name in ("nngp", "ntk"):
        table = np.asarray(getattr(both, name))[0, 0]  # (H, H, W, W): each axis beside its twin
        table = table.transpose(*range(0, 2 * dims, 2), *range(1, 2 * dims, 2))
        out[name] = [float(f"{v:.9g}") for v in table.ravel()]
    return out


def main(path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = {name: np.round(rng.standard_normal(shape), 3) for name, shape in GRIDS.items()}
    cases = []
    for network, layers in NETWORKS.items():
        kinds = json.dumps(layers)
        # Strides and pooling need the length for which the two libraries begin at the same pixel.
        grids = ["line"] if '3, 2, "zero"' in kinds else ["line of even length", "picture"]
        for grid in grids:
            cases.append(
                {"network": network, "layers": layers, "input": grid, **values(layers, inputs[grid])}
            )
    versions = {
        "neural-tangents": nt.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    record = {"versions": versions, "inputs": {k: v.tolist() for k, v in inputs.items()}, "cases": cases}
    path.write_text(json.dumps(record, separators=(",", ":")).replace('{"network"', '\n{"network"') + "\n")
    print(f"{len(cases)} cases, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
