"""A tiny size of the lab's claims, and pictures and conditions for their tests."""

from __future__ import annotations

import torch

from bayesdip.lab.claim import Size, Trial

TINY = Size("quick", side=16, width=4, scales=1, steps=10, pictures=1, seeds=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(side: int = 16) -> torch.Tensor:
    x = torch.linspace(0, 3, side)
    return (0.5 + 0.3 * torch.sin(x[:, None] + x[None, :]))[None, None]


def trial(size: Size = TINY, **condition: object) -> Trial:
    return Trial({"picture": "camera", **condition}, 0, size)
