"""Operators that are no averages of the picture: sums, Fourier, Radon, differences, random numbers."""

import numpy as np
import pytest
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.noise import Gaussian, Poisson
from bayesdip.operators import Identity, Operator, from_function, from_matrix
from bayesdip.problem import Problem, working_units

N = 16


def smooth() -> np.ndarray:
    """From about 40 to 210, with a step."""
    y, x = np.mgrid[:N, :N] / N
    return 100 + 60 * np.sin(5 * x + 2 * y) + 50.0 * (x > 0.5)


def random_matrix(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, N * N))


def kept(first: int) -> Tensor:
    return torch.arange(N) % 3 == first


class StackedParts(Operator):
    """Real and imaginary parts of Fourier rows on an axis of their own: the data's grid has three axes."""

    def __init__(self) -> None:
        super().__init__((N, N), (2, N // 2, N))

    def forward(self, x: Tensor) -> Tensor:
        f = torch.fft.fft2(x, norm="ortho")[..., : N // 2, :]
        return torch.stack([f.real, f.imag], -3)


SEE_LEVEL = {
    "fourier": lambda: from_function(lambda x: torch.fft.fft2(x)[kept(0)], (N, N)),
    "fourier parts": StackedParts,
    "running sums": lambda: from_function(lambda x: x.cumsum(-1), (N, N)),
    "random": lambda: from_matrix(random_matrix(200), (N, N)),
    "projections": lambda: from_function(lambda x: torch.cat((x.sum(0), x.sum(1))), (N, N)),
}
SEE_NO_LEVEL = {
    "fourier without the mean": lambda: from_function(lambda x: torch.fft.fft2(x)[kept(1)], (N, N)),
    "differences": lambda: from_function(lambda x: x[:, 1:] - x[:, :-1], (N, N)),
    "high-pass": lambda: from_function(
        lambda x: (
            x
            - (torch.roll(x, 1, -1) + torch.roll(x, -1, -1) + torch.roll(x, 1, -2) + torch.roll(x, -1, -2))
            / 4
        ),
        (N, N),
    ),
}
ALL = SEE_LEVEL | SEE_NO_LEVEL
small = bd.arch.skip(scales=2, width=8, skip=2)
METHODS = {
    "patches": lambda: bd.Patches(effort="fast"),
    "gp": lambda: bd.GP(effort="fast"),
    "sgld": lambda: bd.SGLD(arch=small, steps=40, samples=2),
    "map": lambda: bd.MAP(arch=small, steps=40),
}


def measured(operator: Operator, picture: np.ndarray) -> Tensor:
    channels = operator.input_channels or 1
    return operator.forward(torch.from_numpy(np.stack([picture] * channels)))


def error(one: np.ndarray, two: np.ndarray, *, level: bool = True) -> float:
    d = np.asarray(one, float).reshape(two.shape) - two
    return float(np.sqrt(np.mean(d**2)) if level else d.std())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ALL)
def test_every_method_takes_every_linear_operator(name: str, method: str) -> None:
    operator = ALL[name]()
    y = measured(operator, smooth())
    sigma = 0.02 * float(y.std())
    y = Gaussian(sigma).sample(y, torch.Generator().manual_seed(0))
    data = y.numpy() if operator.output_channels else y[0].numpy()
    axis = 0 if operator.output_channels else None
    r = bd.restore(data, operator, bd.Gaussian(sigma), method=METHODS[method](), channel_axis=axis)
    assert np.isfinite(r.mean).all()
    picture = smooth() - (smooth().mean() if name in SEE_NO_LEVEL else 0)
    if method in ("gp", "patches"):  # a few steps of a network are no fit
        assert error(r.mean, picture, level=name in SEE_LEVEL) < smooth().std() * 1.05


@pytest.mark.parametrize("name", ALL)
def test_the_range_of_the_picture_is_found(name: str) -> None:
    """With headroom, up to the level where the operator does not see it."""
    operator = ALL[name]()
    units = Problem.from_data(measured(operator, smooth()), operator, Gaussian(0.1)).units
    picture = smooth() - (smooth().mean() if name in SEE_NO_LEVEL else 0)
    assert units.scale > 0.5 * np.ptp(picture)
    assert units.scale < 4 * np.abs(picture).max()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("factor", [1e-6, 1e5])
def test_the_problem_is_the_same_in_other_units_of_the_picture(name: str, factor: float) -> None:
    operator = ALL[name]()
    y = measured(operator, smooth())
    one = Problem.from_data(y, operator, Gaussian(0.1))
    two = Problem.from_data(factor * y, operator, Gaussian(factor * 0.1))
    assert two.units.scale == pytest.approx(factor * one.units.scale, rel=1e-6)
    torch.testing.assert_close(two.y, one.y, rtol=1e-6, atol=1e-8)


class Times(Operator):
    def __init__(self, factor: float, operator: Operator) -> None:
        super().__init__(
            operator.input_shape,
            operator.output_shape,
            input_channels=operator.input_channels,
            output_channels=operator.output_channels,
        )
        self.factor, self.operator = factor, operator

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.operator.forward(x)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gp", "patches", "sgld"])
@pytest.mark.parametrize("factor", [2.0**-13, 2.0**10])  # a chain comes back only if rounding is the same
def test_the_picture_is_the_same_when_the_operator_is_multiplied(method: str, factor: float) -> None:
    operator = SEE_LEVEL["random"]()
    y = measured(operator, smooth())[0].numpy() + np.random.default_rng(1).normal(0, 20, 200)
    one = bd.restore(y, operator, bd.Gaussian(20.0), method=METHODS[method]())
    two = bd.restore(
        factor * y, Times(factor, operator), bd.Gaussian(factor * 20.0), method=METHODS[method]()
    )
    assert error(two.mean, one.mean) < 1.0


@pytest.mark.parametrize("shift", [-500.0, 3000.0])
def test_a_level_far_from_zero_is_taken_from_the_data(shift: float) -> None:
    operator = SEE_LEVEL["random"]()
    picture = smooth() + shift
    problem = Problem.from_data(measured(operator, picture), operator, Gaussian(1.0))
    working = problem.units.to_working(torch.from_numpy(picture)[None])
    torch.testing.assert_close(operator.forward(working), problem.y)


def test_noise_that_goes_by_the_level_keeps_it() -> None:
    operator = SEE_LEVEL["projections"]()
    y = measured(operator, smooth() + 3000)
    assert Problem.from_data(y, operator, Poisson(1.0)).units.shift == 0


def test_the_range_is_the_least_squares_pictures() -> None:
    """Of a matrix with an inverse: what dense algebra gives."""
    matrix = np.eye(N * N) + 0.02 * random_matrix(N * N)
    operator = from_matrix(matrix, (N, N))
    y = measured(operator, smooth())
    low, high = np.quantile(np.linalg.solve(matrix, y[0].numpy().ravel()), [0.01, 0.99])
    units = working_units(y, operator)
    assert units.shift == 0  # from black to white
    assert units.scale == pytest.approx(1.2 * high, rel=0.05)
    assert low > 0


def test_data_that_are_pixels_keep_their_range() -> None:
    y = torch.from_numpy(smooth())[None]
    units = working_units(y, Identity((N, N)))
    assert (units.shift, units.scale) == (float(y.min()), float(y.max() - y.min()))


@pytest.mark.slow
def test_a_picture_comes_back_from_a_part_of_its_fourier_rows_without_noise() -> None:
    """Least squares, the zero-filled picture, has 17 dB."""
    picture = np.zeros((32, 32))
    picture[6:20, 5:24], picture[10:26, 14:18] = 0.6, 1.0
    keep = torch.from_numpy(np.random.default_rng(0).random(32) < 0.5)
    keep[:3] = keep[-3:] = True
    operator = from_function(lambda x: torch.fft.fft2(x, norm="ortho")[keep], (32, 32))
    y = operator.forward(torch.from_numpy(picture)[None])
    least_squares = operator.adjoint(y)[0].numpy()
    r = bd.restore(y.numpy(), operator, bd.Gaussian(0.0), method=bd.Patches(effort="fast"), channel_axis=0)
    assert error(r.mean, picture) < 0.2 * error(least_squares, picture)
