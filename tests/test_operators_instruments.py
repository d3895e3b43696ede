"""Tomography, magnetic resonance imaging, phase retrieval, mosaics and seismic sections as operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skimage.transform import iradon, radon

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.operators import (
    FanBeam,
    MaskedFourier,
    MissingTraces,
    Mosaic,
    Operator,
    PhaseRetrieval,
    Tomography,
    as_pairs,
    from_pairs,
)
from conftest import array, complex_array, random, smooth_picture

VIEWS = [0.0, 30.0, 77.0, 135.0]
LINEAR: dict[str, Callable[[], Operator]] = {
    "parallel": lambda: Tomography((6, 9), VIEWS),
    "parallel, few coarse elements": lambda: Tomography((6, 9), VIEWS, 4, spacing=1.7),
    "fan": lambda: FanBeam((6, 9), VIEWS, 12.0, 5.0),
    "MRI": lambda: MaskedFourier(array(6, 9) > 0),
    "MRI of a real picture": lambda: MaskedFourier(array(6, 9) > 0, real=True),
    "MRI with coils": lambda: MaskedFourier(array(6, 9) > 0, complex_array(3, 6, 9)),
    "MRI of a volume": lambda: MaskedFourier(array(3, 4, 5) > 0, complex_array(2, 3, 4, 5), real=True),
    "mosaic": lambda: Mosaic((6, 9), "GBRG"),
    "mosaic of four bands": lambda: Mosaic((6, 9), [[0, 1, 2], [3, 1, 1]]),
    "traces": lambda: MissingTraces((6, 9), [0, 4, 5]),
}


def items(operator: Operator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures and two sets of data."""
    channels = [operator.input_channels or 3, operator.output_channels or 3]
    return random(2, channels[0], *operator.input_shape, seed=1), random(
        2, channels[1], *operator.output_shape, seed=2
    )


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_adjoint_passes_the_dot_product_test(name: str, dtype: torch.dtype, tolerance: float) -> None:
    operator = LINEAR[name]()
    x, y = (part.to(dtype) for part in items(operator))
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == y.shape and adjoint.shape == x.shape and forward.dtype == adjoint.dtype == dtype
    difference = abs(float((forward * y).sum() - (x * adjoint).sum()))
    assert difference < tolerance * float(forward.norm() * y.norm())


@pytest.mark.parametrize("name", LINEAR)
def test_gradient_of_forward_is_the_adjoint(name: str) -> None:
    operator = LINEAR[name]()
    x, y = items(operator)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad((operator.forward(x) * y).sum(), x)
    torch.testing.assert_close(gradient, operator.adjoint(y))


# --- tomography ------------------------------------------------------------------------------------


def disc(side: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    """A disc of ones whose edge pixels have the share that it covers; the centre (x, y) from pixel ``side // 2``."""
    fine = (np.arange(8 * side) + 0.5) / 8 - 0.5 - side // 2
    inside = (fine - centre[0]) ** 2 + (fine[:, None] - centre[1]) ** 2 < radius**2
    return inside.reshape(side, 8, side, 8).mean((1, 3))


def chord(distance: np.ndarray, radius: float) -> np.ndarray:
    return 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def test_a_disc_has_the_line_integrals_of_its_formula_from_every_direction() -> None:
    angles = np.array([0.0, 10, 45, 90, 200, 333])
    A = Tomography((65, 65), angles)
    place = np.arange(A.output_shape[0]) - A.output_shape[0] // 2
    radians = np.deg2rad(angles)
    centre = 6 * np.cos(radians) - 4 * np.sin(radians)
    found = A.forward(disc(65, (6, 4), 15))
    fine = place[:, None, None] + (np.arange(20) + 0.5) / 20 - 0.5
    expected = chord(fine - centre[:, None], 15).mean(-1)
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


def test_rays_from_a_point_see_a_disc_as_its_formula_says() -> None:
    angles, source, detector = np.array([0.0, 10, 45, 90, 200, 333]), 80.0, 40.0
    A = FanBeam((65, 65), angles, source, detector)
    radians = np.deg2rad(angles)
    x, y = 6 * np.cos(radians) - 4 * np.sin(radians), 6 * np.sin(radians) + 4 * np.cos(radians)
    places = np.arange(A.output_shape[0]) - A.output_shape[0] // 2
    fine = A.spacing * (places[:, None, None] + (np.arange(20) + 0.5) / 20 - 0.5)
    length = source + detector
    across = (fine * (y + source)[:, None] - length * x[:, None]) / np.hypot(fine, length)
    expected = chord(across, 15).mean(-1)
    found = A.forward(disc(65, (6, 4), 15))
    assert np.linalg.norm(found - expected) < 0.015 * np.linalg.norm(expected)


@pytest.mark.parametrize("side", [40, 41])
def test_sinograms_are_those_of_scikit_image_and_its_back_projection_takes_them(side: int) -> None:
    picture = disc(side, (3, -5), 8) + 0.5 * disc(side, (-6, 2), 5)
    angles = np.linspace(0, 180, 60, endpoint=False)
    A = Tomography((side, side), angles)
    found, theirs = A.forward(picture), radon(picture, angles, circle=False)
    assert np.linalg.norm(found - theirs) < 0.02 * np.linalg.norm(theirs)
    back = iradon(found, angles, circle=False, output_size=side)
    assert np.sqrt(np.mean((back - picture) ** 2)) < 0.06


def test_a_far_source_gives_parallel_rays() -> None:
    picture = smooth_picture((12, 15))
    far, parallel = FanBeam((12, 15), VIEWS, 1e7, detectors=22), Tomography((12, 15), VIEWS, 22)
    np.testing.assert_allclose(far.forward(picture), parallel.forward(picture), rtol=1e-4, atol=1e-4)


def test_the_whole_picture_is_seen_in_every_view() -> None:
    picture = smooth_picture((12, 15))
    sums = Tomography((12, 15), VIEWS).forward(picture).sum(0)
    np.testing.assert_allclose(sums, picture.sum(), rtol=1e-6)
    fan = FanBeam((12, 15), VIEWS, 20.0, 10.0)
    wider = FanBeam((12, 15), VIEWS, 20.0, 10.0, detectors=2 * fan.output_shape[0] + 1)
    np.testing.assert_allclose(fan.forward(picture).sum(0), wider.forward(picture).sum(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tomography((8, 8, 8), [0]), "expected two axes"),
        (lambda: Tomography((8, 8), []), "at least one"),
        (lambda: Tomography((8, 8), [0, np.nan]), "finite"),
        (lambda: Tomography((8, 8), [[0, 1]]), "expected one axis"),
        (lambda: Tomography((8, 8), [0], 0), "detectors is 0"),
        (lambda: Tomography((8, 8), [0], spacing=0.0), "spacing is 0"),
        (lambda: FanBeam((8, 8), [0], 3.0), r"source_distance is 3.0: expected more than 6.364"),
        (lambda: FanBeam((8, 8), [0], 9.0, -1.0), "detector_distance is -1"),
        (lambda: MaskedFourier(np.zeros((4, 4), bool)), "no frequency"),
        (lambda: MaskedFourier(np.ones((4, 4), bool), np.ones((2, 4, 5))), "coil_maps has shape"),
        (lambda: MaskedFourier(np.ones((2, 2), bool), np.full((1, 2, 2), np.nan)), "NaN or infinite"),
        (lambda: PhaseRetrieval(np.ones(4)), "expected one axis for the masks"),
        (lambda: PhaseRetrieval(np.full((1, 2, 2), np.inf)), "NaN or infinite"),
        (lambda: Mosaic((4, 4), "RGB"), "expected four letters"),
        (lambda: Mosaic((4, 4), "RRGG"), "expected four letters"),
        (lambda: Mosaic((4, 4), [[0, 2]]), r"lacks the channels \[1\]"),
        (lambda: Mosaic((4, 4), [[0.5]]), "whole numbers"),
        (lambda: MissingTraces((8,), [0]), "time, receivers"),
        (lambda: MissingTraces((8, 4), [4]), "names trace 4: expected whole numbers from 0 to 3"),
        (lambda: MissingTraces((8, 4), [True, False]), "a flag for each trace"),
        (lambda: MissingTraces((8, 4), range(4)), "all 4 traces"),
    ],
)
def test_what_is_out_of_its_range_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(BayesDipError, match=message):
        make()


# --- magnetic resonance imaging --------------------------------------------------------------------


def test_all_frequencies_seen_by_one_coil_give_the_picture_back() -> None:
    picture = as_pairs(complex_array(6, 9))
    A = MaskedFourier(np.ones((6, 9), bool))
    np.testing.assert_allclose(A.adjoint(A.forward(picture)), picture)


def test_frequency_zero_stands_in_the_middle_and_unmeasured_ones_are_not_observed() -> None:
    mask = array(6, 8) > 0
    mask[3, 4] = True
    A = MaskedFourier(mask, real=True)
    found = from_pairs(A.forward(np.ones((1, 6, 8))))
    assert found[3, 4] == pytest.approx(48**0.5) and np.abs(found).sum() == pytest.approx(48**0.5)
    assert np.array_equal(A.observed, mask)


def test_coils_see_the_picture_times_their_maps() -> None:
    mask, maps, picture = array(6, 9) > 0, complex_array(3, 6, 9), complex_array(6, 9)
    found = from_pairs(MaskedFourier(mask, maps).forward(as_pairs(picture)), 0)
    for coil, seen in zip(maps, found, strict=True):
        alone = from_pairs(MaskedFourier(mask).forward(as_pairs(coil * picture)))
        np.testing.assert_allclose(seen, alone)


def test_complex_data_of_coils_are_restored_to_a_complex_picture() -> None:
    rows, columns = np.indices((16, 16)) / 16
    truth = smooth_picture((16, 16)) * np.exp(1j * (rows + columns))
    maps = np.stack([np.exp(-(((rows - a) ** 2) + (columns - b) ** 2)) for a in (0, 1) for b in (0, 1)])
    mask = np.zeros((16, 16), bool)
    mask[:, ::3] = mask[:, 6:10] = True
    A = MaskedFourier(mask, maps)
    data = from_pairs(A.forward(as_pairs(truth)), 0) + 0.005 * complex_array(4, 16, 16)
    filled = from_pairs(A.adjoint(as_pairs(data, 0)), 0)[0]
    r = bd.restore(data, A, bd.Gaussian(0.005), channel_axis=0, method=bd.GP(draws=0), seed=0)
    found = from_pairs(np.moveaxis(r.mean, -1, 0))
    assert np.abs(found - truth).mean() < 0.1 * np.abs(filled - truth).mean()


# --- phase retrieval -------------------------------------------------------------------------------


def test_intensities_are_those_of_the_transform_and_know_no_global_phase() -> None:
    picture, masks = complex_array(5, 6), complex_array(3, 5, 6)
    A = PhaseRetrieval(masks)
    expected = np.abs(np.fft.fft2(masks * picture, norm="ortho")) ** 2
    np.testing.assert_allclose(A.forward(as_pairs(picture))[0], expected)
    np.testing.assert_allclose(A.forward(as_pairs(np.exp(0.7j) * picture))[0], expected)
    real = PhaseRetrieval(masks, real=True)
    assert real.output_shape == (3, 5, 6) and not real.is_linear
    np.testing.assert_allclose(real.forward(picture.real), A.forward(as_pairs(picture.real + 0j))[0])


def test_coded_masks_are_quarter_turns_and_the_same_for_the_same_seed() -> None:
    masks = PhaseRetrieval.coded((8, 8), 4, seed=3).masks
    assert masks.shape == (4, 8, 8) and set(masks.flatten().tolist()) == {1, 1j, -1, -1j}
    assert torch.equal(masks, PhaseRetrieval.coded((8, 8), 4, seed=3).masks)
    assert not torch.equal(masks[0], masks[1])


# --- mosaics ---------------------------------------------------------------------------------------


def test_a_bayer_pattern_keeps_its_four_colours() -> None:
    picture = random(3, 4, 6)
    found = Mosaic((4, 6), "GRBG").forward(picture)[0]
    assert torch.equal(found[0::2, 0::2], picture[1, 0::2, 0::2])
    assert torch.equal(found[0::2, 1::2], picture[0, 0::2, 1::2])
    assert torch.equal(found[1::2, 0::2], picture[2, 1::2, 0::2])
    assert torch.equal(found[1::2, 1::2], picture[1, 1::2, 1::2])


def test_a_mosaic_is_restored_as_the_picture_with_missing_pixels_that_it_is() -> None:
    truth = smooth_picture((16, 16), channels=3)
    A = Mosaic((16, 16))
    raw = A.forward(np.moveaxis(truth, -1, 0))[0]
    r = bd.restore(raw, A, bd.Gaussian(0.0), method=bd.GP(draws=0), seed=0)
    missing = ~A.seen.numpy()
    by_mask = bd.inpaint(
        np.where(np.moveaxis(missing, 0, -1), 0, truth),
        np.moveaxis(missing, 0, -1),
        sigma=0,
        channel_axis=-1,
        method=bd.GP(draws=0),
        seed=0,
    )
    np.testing.assert_array_equal(r.mean, by_mask.mean)
    seen = np.moveaxis(A.seen.numpy(), 0, -1)
    np.testing.assert_allclose(r.mean[seen], truth[seen])


def test_masked_entries_of_a_mosaic_are_missing_too() -> None:
    truth = smooth_picture((16, 16), channels=3)
    A = Mosaic((16, 16))
    hot = array(16, 16) > 1.5
    raw = np.ma.array(np.where(hot, 50.0, A.forward(np.moveaxis(truth, -1, 0))[0]), mask=hot)
    r = bd.restore(raw, A, bd.Gaussian(0.0), method=bd.GP(draws=0), seed=0)
    assert np.abs(r.mean - truth).max() < 0.5


# --- seismic sections ------------------------------------------------------------------------------


def test_missing_traces_are_whole_columns_or_rows() -> None:
    assert MissingTraces((3, 5), [1]).missing.sum(0).tolist() == [0, 3, 0, 0, 0]
    assert MissingTraces((3, 5), [False, True, False], axis=0).missing.sum(1).tolist() == [0, 5, 0]
    assert MissingTraces((3, 5), []).missing.sum() == 0
