"""Channels that differ: in their noise, or in what is missing of them."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.ndimage import convolve

import bayesdip as bd
from benchmarks.field_cases.case import RMS, Case
from benchmarks.field_cases.far_holes import satellite_stripes
from benchmarks.field_cases.simple import Array, biharmonic, eight_bits, non_local_means
from benchmarks.field_cases.source import crop, generator

KIND = "channels that differ"


def two_channel_microscopy(scored: int) -> Case:
    """A bright channel with noise of 1200 and a dim one with 25, 16 bits."""
    rng = generator(40)
    cell = crop("cell", 150, 150, 96).astype(np.float64)
    cell = (cell - cell.min()) / np.ptp(cell)
    truth = np.stack([2000 + 30000 * cell, 300 + 400 * cell[::-1, ::-1]])
    sizes = np.array([1200.0, 25.0])
    noisy = truth + sizes[:, None, None] * rng.normal(size=truth.shape)
    given = np.clip(noisy, 0, 65535).astype(np.uint16)

    def rival() -> Array:
        return np.stack([non_local_means(c, s) for c, s in zip(given, sizes, strict=True)])

    return Case(
        run=lambda: bd.denoise(given, channel_axis=0),
        truth=truth,
        given=given,
        rival=rival,
        rival_name="non-local means, each sigma told",
        measure=RMS,
        counted=scored,
        intervals=True,
    )


def noisy_blue() -> Case:
    """A photograph with noise of 6, 4 and 30."""
    truth = crop("astronaut", 60, 120, 80)
    sizes = np.array([6.0, 4.0, 30.0])
    given = eight_bits(truth + sizes * generator(40).normal(size=truth.shape))

    def rival() -> Array:
        planes = [non_local_means(given[..., c], sizes[c]) for c in range(3)]
        return np.stack(planes, axis=-1)

    return Case(
        run=lambda: bd.denoise(given, channel_axis=-1),
        truth=truth,
        given=given,
        rival=rival,
        rival_name="non-local means, each sigma told",
        intervals=True,
    )


def bayer() -> Case:
    """Of every pixel one of the three colours is known, as behind a Bayer filter: a mask for each channel."""
    truth = crop("astronaut", 60, 120, 80)
    known = np.zeros(truth.shape, bool)
    for channel, row, column in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        known[row::2, column::2, channel] = True
    given = np.where(known, truth, 0).astype(np.uint8)
    tent = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])[..., None] / 4.0
    return Case(
        run=lambda: bd.inpaint(given, ~known, channel_axis=-1),
        truth=truth,
        rival=lambda: convolve(given * 1.0, tent) / convolve(known * 1.0, tent),
        rival_name="bilinear",
        intervals=True,
    )


def some_bands() -> Case:
    """Stripes without data (NaN) in some of four bands only."""
    case = satellite_stripes()
    missing = np.broadcast_to(case.counted[..., None], case.truth.shape).copy()
    missing[..., 2:] = False
    given = np.where(missing, np.nan, case.truth)
    return Case(
        run=lambda: bd.inpaint(given, missing="nan", channel_axis=-1),
        truth=case.truth,
        rival=lambda: biharmonic(given, missing, -1),
        rival_name="biharmonic",
        measure=RMS,
        counted=missing,
        intervals=True,
    )


CASES = {
    "microscopy, the bright channel": partial(two_channel_microscopy, 0),
    "microscopy, the dim channel": partial(two_channel_microscopy, 1),
    "a photo whose blue is noisier": noisy_blue,
    "a Bayer mosaic": bayer,
    "no data in some bands": some_bands,
}
