"""DeepInverse's deep image prior, for any linear operator of ours and so much time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.operators import Operator
from benchmarks.torchvision_names import make_importable

# Its convolutional decoder as its documents build it, with a quarter of the channels: a step takes a tenth of the time.
CHANNELS, CORNER = 64, 4
# Steps from which their pace is known.
FIRST_STEPS = 5


def deep_image_prior(y: Tensor, operator: Operator, shape: Sequence[int], seconds: float) -> list[Tensor]:
    """What it has after so much processor time, and after a half and a quarter of it: it should be stopped before it fits the noise.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Linear.
    shape : sequence of int
        Of the picture, (C, *grid).
    seconds : float
        Of processor time, all threads counted.

    Returns
    -------
    list of Tensor
    """
    make_importable()
    import deepinv

    physics = deepinv.physics.LinearPhysics(
        A=lambda x: operator.forward(x[0].double())[None].to(x.dtype),
        A_adjoint=lambda z: operator.adjoint(z[0].double())[None].to(z.dtype),
    )

    def restored(steps: int) -> Tensor:
        torch.manual_seed(0)
        decoder = deepinv.models.ConvDecoder(tuple(shape), (CORNER,) * (len(shape) - 1), channels=CHANNELS)
        model = deepinv.models.DeepImagePrior(
            decoder, (CHANNELS, *[CORNER] * (len(shape) - 1)), iterations=steps
        )
        found: Tensor = model(y.float()[None], physics)[0].detach().double()
        return found

    restored(1)
    began = time.process_time()
    restored(FIRST_STEPS)
    steps = max(1, int(seconds / (time.process_time() - began) * FIRST_STEPS))
    return [restored(max(1, steps // part)) for part in (1, 2, 4)]
