"""A point spread function, however it was stored, gives the blur that it was measured for."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

import bayesdip as bd
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators import Blur, mend_psf

GRID = (120, 130)


def gaussian(size: int, width: float, centre: tuple[float, float] | None = None) -> np.ndarray:
    row, column = centre or (size // 2, size // 2)
    y, x = np.mgrid[:size, :size]
    psf = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return psf / psf.sum()


def same_blur(psf: np.ndarray, right: np.ndarray) -> float:
    """Largest difference of the two blurs of a bright point, over the peak of the right one."""
    point = torch.zeros(GRID, dtype=torch.float64)
    point[60, 65] = 1
    one, two = (Blur(GRID, p, "periodic").forward(point) for p in (psf, right / right.sum()))
    return float((one - two).abs().max() / two.max())


GOOD = gaussian(19, 1.8)
PEAK = GOOD.max()
NOISE = np.random.default_rng(0).normal(0, 1, (65, 65))
FORMS = {
    "scaled": (GOOD * 5e4, set(), 1e-12),
    "black on white": (1 - GOOD / PEAK, {"psf turned over"}, 1e-4),
    "black on white, 8 bits": (
        255 - (GOOD / PEAK * 255).astype(np.uint8),
        {"psf turned over", "psf size"},
        0.02,
    ),
    "below zero": (-GOOD, {"psf turned over"}, 1e-4),
    "centre at the corner": (
        np.fft.ifftshift(gaussian(65, 1.8)),
        {"psf centre at the corner", "psf size"},
        1e-6,
    ),
    "centre at the corner, even": (
        np.fft.ifftshift(gaussian(64, 1.8)),
        {"psf centre at the corner", "psf size"},
        1e-6,
    ),
    "off centre": (np.pad(GOOD, ((2, 10), (4, 8))), {"psf off centre"}, 1e-12),
    "one row and column too many": (np.pad(GOOD, ((0, 1), (0, 1))), {"psf off centre"}, 1e-12),
    "even": (gaussian(18, 1.8, (8.5, 8.5)), {"psf of even size"}, 0.005),
    "on a background": (GOOD + 0.02 * PEAK, {"psf background"}, 1e-3),
    "on a bright background": (GOOD + 1.5 * PEAK, {"psf background"}, 1e-3),
    "background taken away twice": (GOOD - 0.02 * PEAK, {"psf background"}, 1e-3),
    "on a noisy background": (
        gaussian(65, 1.8) + PEAK * (0.1 + 0.004 * NOISE),
        {"psf background", "psf below zero", "psf size"},
        0.03,
    ),
    "noisy": (gaussian(65, 1.8) + 0.01 * PEAK * NOISE, {"psf below zero", "psf size"}, 0.06),
    "mostly empty": (gaussian(257, 1.8), {"psf size"}, 1e-6),
    "channels alike, first": (np.repeat(GOOD[None], 3, 0), {"psf channels"}, 1e-12),
    "channels alike, last": (np.repeat(GOOD[..., None], 3, -1), {"psf channels"}, 1e-12),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_blur_and_says_what_was_done(name: str) -> None:
    psf, kinds, tolerance = FORMS[name]
    mended, findings = mend_psf(psf, GRID)
    assert same_blur(mended, GOOD) < tolerance
    assert {f.kind for f in findings} - {"psf below zero"} == kinds - {"psf below zero"}
    assert mended.sum() == pytest.approx(1)
    assert (mended >= 0).all()


def streak(size: int) -> np.ndarray:
    psf = np.zeros((size, size))
    for t in np.linspace(-1, 1, 60):
        psf[round(size // 2 + t * size / 5), round(size // 2 + t * (size // 2))] += 1
    return psf


def disk(radius: float) -> np.ndarray:
    n = int(np.ceil(radius))
    y, x = np.mgrid[-n : n + 1, -n : n + 1]
    return (np.hypot(y, x) <= radius).astype(float)


y, x = np.mgrid[-15:16, -15:16]
decay = np.zeros((9, 9))
decay[4, 4:] = np.exp(-np.arange(5) / 2)
RIGHT = (
    {f"gaussian of {w} in {n}": gaussian(n, w) for w in (0.5, 1, 2, 4, 10) for n in (3, 5, 9, 15)}
    | {f"box of {n}": np.ones((n, n)) for n in (1, 3, 5, 9)}
    | {f"disk of {r}": disk(r) for r in (1, 2, 2.5, 5, 7.3)}
    | {
        "moffat": (1 + (y**2 + x**2) / 4) ** -1.5,
        "lorentzian": 1 / (1 + (y**2 + x**2) / 9),
        "streak": streak(11),
    }
    | {"ring": (np.abs(np.hypot(y, x) - 14.5) < 1) * 1.0, "jump": np.diag([9.0, *[1.0] * 9, 9.0])}
    | {"binomial": np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]), "streak from a peak": decay}
)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_comes_through_to_the_bit(name: str) -> None:
    psf = RIGHT[name] / RIGHT[name].sum()
    mended, findings = mend_psf(psf, GRID)
    if findings:  # of a large one that is mostly empty the middle alone is taken
        assert [f.kind for f in findings] == ["psf size"]
        assert same_blur(mended, psf) < 1e-5
    else:
        np.testing.assert_array_equal(mended, psf)


def test_a_motion_blur_is_centred_by_its_centre_of_mass() -> None:
    psf = np.zeros((21, 21))
    psf[3:8, 10] = 1
    mended, findings = mend_psf(psf, GRID)
    np.testing.assert_allclose(mended, np.full((5, 1), 0.2))
    assert findings[0].facts["offset"] == [-5, 0]


def test_a_signal_has_one_axis() -> None:
    psf = np.array([0, 0, 0, 0, 0, 1.0, 2.0, 1.0, 0])
    mended, findings = mend_psf(psf, (50,))
    np.testing.assert_allclose(mended, [0.25, 0.5, 0.25])
    assert findings[0].facts["offset"] == [2]


def test_what_is_larger_than_the_picture_is_cut() -> None:
    mended, findings = mend_psf(gaussian(101, 30), (40, 60))
    assert mended.shape == (39, 59)
    assert mended.sum() == pytest.approx(1)
    assert findings[-1].facts["lost"] > 0.3


BAD = {
    "zero": (np.zeros((5, 5)), BayesDipError),
    "not finite": (np.full((5, 5), np.nan), BayesDipError),
    "complex": (np.fft.fft2(GOOD), BayesDipError),
    "a derivative": (np.array([[-1.0, 0.0, 1.0]]), BayesDipError),
    "one axis": (np.ones(5), ShapeError),
    "channels that differ": (np.stack([GOOD, gaussian(19, 3), GOOD]), ShapeError),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_point_spread_function_is_refused(name: str) -> None:
    psf, error = BAD[name]
    with pytest.raises(error, match="psf") as raised:
        mend_psf(psf, GRID)
    assert "\n" not in str(raised.value)


def test_deblurring_mends_and_says_so() -> None:
    rng = np.random.default_rng(1)
    blurred = convolve(rng.random((40, 40)), GOOD, mode="reflect")
    right = bd.deblur(blurred, GOOD, sigma=0.01, method="gp", effort="fast")
    corner = np.fft.ifftshift(gaussian(41, 1.8))
    mended = bd.deblur(blurred, corner, sigma=0.01, method="gp", effort="fast")
    assert right.findings == ()
    assert "psf centre at the corner" in {f.kind for f in mended.findings}
    np.testing.assert_allclose(mended.mean, right.mean, atol=2e-3)
