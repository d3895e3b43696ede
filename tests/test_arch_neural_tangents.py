"""Our exact covariances and tangent kernels against values of the library neural-tangents.

The values come from ``benchmarks/neural_tangents_values.py``; the file says of which versions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bayesdip.arch import (
    GELU,
    Conv,
    Downsample,
    Erf,
    Layer,
    LeakyReLU,
    Residual,
    Sequential,
    Sigmoid,
    SkipConcat,
)
from bayesdip.arch.exact import of_picture
from bayesdip.arch.tangent import at_input

RECORD = json.loads((Path(__file__).parent / "data" / "neural_tangents.json").read_text())
PLAIN: dict[str, Layer] = {
    "erf": Erf(),
    "gelu": GELU(),
    "sigmoid": Sigmoid(),
    "average": Downsample("average"),
}


def ours(layers: list[list[Any]]) -> Sequential:
    built: list[Layer] = []
    for kind, *rest in layers:
        if kind == "conv":
            width, size, stride, padding, bias = rest
            built.append(Conv(width, size, stride, bias, padding))
        elif kind == "leaky_relu":
            built.append(LeakyReLU(rest[0]))
        elif kind == "residual":
            built.append(Residual(ours(rest[0])))
        elif kind == "concat":
            built.append(SkipConcat(ours(rest[0]), ours(rest[1])))
        else:
            built.append(PLAIN[kind])
    return Sequential(tuple(built))


@pytest.mark.parametrize("case", RECORD["cases"], ids=lambda case: f"{case['network']}-{case['input']}")
def test_covariance_and_tangent_kernel_are_those_of_neural_tangents(case: dict[str, Any]) -> None:
    picture = torch.tensor(RECORD["inputs"][case["input"]], dtype=torch.float64).movedim(-1, 0)
    both = ours(case["layers"]).covariance(at_input(of_picture(picture), "ntk"))
    for ours_, theirs in ((both.K.matrix, case["nngp"]), (both.theta.matrix, case["ntk"])):
        expected = torch.tensor(theirs, dtype=torch.float64).reshape(ours_.shape)
        scale = float(expected.abs().max())
        assert ours_.numpy() == pytest.approx(expected.numpy(), abs=1e-5 * scale)
