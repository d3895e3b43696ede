"""Pictures at the ends of what a picture can be: a finite result, or one clear line."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.noise import Gaussian, Laplace, Poisson
from bayesdip.operators import from_function, from_matrix

RNG = np.random.default_rng(0)
SMOOTH = np.add.outer(np.sin(np.linspace(0, 3, 10)), np.linspace(0, 1, 12))
NOISY = SMOOTH + RNG.normal(0, 0.1, SMOOTH.shape)
ALMOST_ALL = np.ones((9, 9), bool)
ALMOST_ALL[4, 4] = False
PICTURES = {
    "one pixel": np.array([[3.0]]),
    "one sample": np.array([3.0]),
    "two by two": np.array([[1.0, 2.0], [3.0, 5.0]]),
    "three pixels": np.array([[1.0, 5.0, 2.0]]),
    "one row": NOISY[:1],
    "one column": NOISY[:, :1],
    "a short signal": NOISY[0],
    "constant": np.full((10, 10), 7.0),
    "black": np.zeros((9, 9)),
    "two values": (RNG.random((10, 11)) < 0.5).astype(float),
    "one spike": np.pad([[1.0]], 5),
    "tiny scale": 1e-30 * NOISY,
    "huge scale": 1e30 * NOISY,
    "on a high level": 1e9 + NOISY,
    "denormal": 5e-324 * np.arange(90.0).reshape(9, 10),
    "integer ends": np.where(RNG.random((9, 10)) < 0.5, np.iinfo(np.int32).min, np.iinfo(np.int32).max),
    "bytes": RNG.integers(0, 256, (9, 10)).astype(np.uint8),
    "booleans": RNG.random((9, 10)) < 0.5,
    "single precision's ends": np.where(NOISY > 0.7, np.finfo(np.float32).max, np.finfo(np.float32).min),
    "a constant channel": np.stack([NOISY, np.full_like(NOISY, 2.0), NOISY[::-1]], -1),
    "equal channels": np.stack([NOISY] * 3, -1),
    "a volume": RNG.random((3, 4, 5)),
}
METHODS = {
    "auto": "auto",
    "patches": bd.Patches(effort="fast"),
    "gp": bd.GP(effort="fast"),
    "sgld": bd.SGLD(arch="skip(scales=1, width=4)", steps=4, samples=1),
    "map": bd.MAP(arch="skip(scales=1, width=4)", steps=3),
    "stack": bd.Stack(effort="fast", sgld=bd.SGLD(arch="skip(scales=1, width=4)", steps=4), samples=1),
}
QUICK = ("patches", "gp", "sgld")
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]


def axis(name: str) -> int | None:
    return -1 if "channel" in name else None


def is_finite_or_refused(run) -> None:
    try:
        found = run()
    except bd.BayesDipError as error:
        assert len(str(error)) > 20 and "\n" not in str(error)
        return
    assert np.isfinite(np.asarray(found.mean, dtype=np.float64)).all()
    assert found.std is None or (np.isfinite(found.std).all() and (found.std >= 0).all())


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("name", PICTURES)
def test_noise_on_odd_pictures(name, method):
    picture = PICTURES[name]
    is_finite_or_refused(lambda: bd.denoise(picture, method=METHODS[method], channel_axis=axis(name)))


@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize("name", PICTURES)
def test_holes_in_odd_pictures(name, method):
    picture = PICTURES[name]
    grid = picture.shape[:-1] if axis(name) is not None else picture.shape
    gone = np.zeros(grid, bool)
    gone.flat[:: max(2, gone.size // 3)] = True
    is_finite_or_refused(lambda: bd.inpaint(picture, gone, method=METHODS[method], channel_axis=axis(name)))


@pytest.mark.parametrize("sigma", [0.0, 0.1])
@pytest.mark.parametrize("method", ALL)
def test_all_but_one_pixel_missing(method, sigma):
    is_finite_or_refused(lambda: bd.inpaint(NOISY[:9, :9], ALMOST_ALL, sigma=sigma, method=METHODS[method]))


@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize(
    "name", ["one pixel", "two by two", "one row", "constant", "huge scale", "tiny scale"]
)
def test_odd_pictures_enlarged_and_deblurred(name, method):
    is_finite_or_refused(lambda: bd.upscale(PICTURES[name], 2, method=METHODS[method]))
    psf = np.ones((1, 3)) / 3
    is_finite_or_refused(lambda: bd.deblur(PICTURES[name], psf, method=METHODS[method]))


@pytest.mark.parametrize("noise", [Laplace(0.1), Poisson(), Gaussian(1e-12), Gaussian(1e12)])
@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize("name", ["two by two", "constant", "black", "two values", "one spike", "bytes"])
def test_odd_pictures_with_other_noise(name, method, noise):
    is_finite_or_refused(lambda: bd.denoise(PICTURES[name], noise=noise, method=METHODS[method]))


SHAPE = (8, 9)
OPERATORS = {
    "differences, which see no constant": from_function(lambda x: x[..., 1:] - x[..., :-1], SHAPE, (8, 8)),
    "sums": from_function(lambda x: x.cumsum(-1), SHAPE),
    "one sum": from_matrix(np.ones((1, 72)), SHAPE),
    "nothing": from_matrix(np.zeros((5, 72)), SHAPE),
    "a random matrix": from_matrix(RNG.normal(size=(40, 72)), SHAPE),
    "the same row twice": from_matrix(np.ones((2, 72)), SHAPE),
}


@pytest.mark.parametrize("sigma", [0.0, 0.1])
@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize("name", OPERATORS)
def test_odd_operators(name, method, sigma):
    operator = OPERATORS[name]
    y = np.asarray(operator.forward(NOISY[None, :8, :9]))[0]
    is_finite_or_refused(lambda: bd.restore(y, operator, Gaussian(sigma), method=METHODS[method]))
    is_finite_or_refused(lambda: bd.restore(0 * y, operator, Gaussian(sigma), method=METHODS[method]))
