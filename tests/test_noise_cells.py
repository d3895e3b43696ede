"""The noise of mosaics: channels that are known on regular lattices, where no two neighbours are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip.noise import estimate_sigma
from bayesdip.noise.cells import Cells
from bayesdip.operators import Mosaic

XTRANS = np.array(
    [
        [1, 0, 1, 1, 2, 1],
        [2, 1, 2, 0, 1, 0],
        [1, 0, 1, 1, 2, 1],
        [1, 2, 1, 1, 0, 1],
        [0, 1, 0, 2, 1, 2],
        [1, 2, 1, 1, 0, 1],
    ]
)


def seen_by(pattern, shape):
    return Mosaic(shape, pattern).seen


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG", XTRANS], ids=["Bayer", "another Bayer", "X-Trans"])
@pytest.mark.parametrize("shape", [(192, 192), (193, 206)])
def test_white_noise_of_a_mosaic_is_estimated_by_channel(pattern, shape):
    seen = seen_by(pattern, shape)
    rng = np.random.default_rng(0)
    rows, columns = np.indices(shape) / 40
    levels = np.array([4.0, 8.0, 12.0])[:, None, None]
    noisy = 100 + 50 * np.sin(rows) * np.cos(columns) + levels * rng.standard_normal((3, *shape))
    found = estimate_sigma(torch.from_numpy(np.where(seen, noisy, 0.0)), observed=seen, per_channel=True)
    assert found == pytest.approx(levels.ravel(), rel=0.15)


def test_packing_keeps_what_is_seen_and_unpacking_puts_it_back():
    seen = seen_by("RGGB", (9, 12))
    cells = Cells.of(seen)
    values = torch.arange(3.0 * 9 * 12).reshape(3, 9, 12)
    packed = cells.packed(values)
    assert cells.side == 2 and packed.shape == (4, 4, 6)
    assert set(packed.flatten().tolist()) == set(values[:, :8][seen[:, :8]].tolist())
    flags = packed > 150
    assert torch.equal(cells.unpacked(flags)[:, :8], (seen & (values > 150))[:, :8])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_scattered_pixels_and_holes_have_no_cells(share):
    scattered = torch.rand((3, 64, 64), generator=torch.Generator().manual_seed(0)) > share
    hole = torch.ones((1, 64, 64), dtype=torch.bool)
    hole[:, 20:40, 20:40] = False
    assert (
        Cells.of(scattered) is None and Cells.of(hole) is None and Cells.of(torch.ones(1, 8, 8) > 0) is None
    )


def test_a_noisy_mosaic_is_restored_as_well_with_the_noise_estimated_as_with_it_told():
    clean = data.coffee()[100:196, 150:246].astype(float)
    seen = np.moveaxis(seen_by("RGGB", clean.shape[:2]).numpy(), 0, -1)
    noisy = np.where(seen, clean + 15 * np.random.default_rng(0).standard_normal(clean.shape), 0.0)
    errors = [
        np.square(bd.inpaint(noisy, ~seen, sigma=sigma, channel_axis=-1, effort="fast").mean - clean).mean()
        for sigma in ("auto", 15.0, 0.0)
    ]
    assert errors[0] < 1.07 * errors[1] < 0.6 * errors[2]
