"""What several test files share: small known pictures and quick schedules."""

import dataclasses

import numpy as np
import pytest
import torch


@pytest.fixture
def quick(monkeypatch):
    """Every effort in a few steps, for tests of behaviour rather than of quality."""
    from bayesdip.networks.schedule import SCHEDULES

    for name, schedule in SCHEDULES.items():
        monkeypatch.setitem(SCHEDULES, name, dataclasses.replace(schedule, steps=40))


@pytest.fixture
def tiny_arch():
    from bayesdip import arch

    return arch.skip(scales=2, width=8, skip=2)


def smooth_picture(shape=(32, 32), channels=None):
    """A smooth picture with values in about 0..1."""
    axes = np.meshgrid(*[np.linspace(0, 3, n) for n in shape], indexing="ij")
    gray = 0.5 + 0.4 * np.sin(sum((i + 1) * a for i, a in enumerate(axes)))
    if channels is None:
        return gray
    return np.stack([np.roll(gray, 3 * c, axis=0) for c in range(channels)], axis=-1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers in double precision."""
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return random(*shape, seed=seed).numpy()


def complex_array(*shape: int) -> np.ndarray:
    return array(*shape) + 1j * array(*shape, seed=1)
