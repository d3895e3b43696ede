"""Measurements and noise of one's own restore what is known: dense Gaussian algebra, or the picture they were made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

import bayesdip as bd
from bayesdip.gp import posterior
from bayesdip.gp.dense import dense_covariance
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian, Noise, from_log_likelihood
from bayesdip.operators import ChannelMix, Identity, Operator, from_function, from_pairs, from_scipy
from bayesdip.problem import Problem

SHAPE = (10, 9)
KERNEL = Matern32(2.0)
MEAN, SIGMA = 0.5, 0.05
FREEDOM = 3.0


class Projections(Operator):
    """A new operator, in one file: what a tomograph sees from two sides. Its adjoint is found by differentiation."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(shape, (sum(shape),))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.sum(-1), x.sum(-2)], -1)


class Student(Noise):
    """A new noise, in one file: Student's t distribution of three degrees of freedom."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return (FREEDOM + 1) / 2 * torch.log1p(((prediction - y) / self.scale) ** 2 / FREEDOM)


def student(y: Tensor, mean: Tensor) -> Tensor:
    """The same as a function, with the scale of these tests."""
    return Student(SIGMA).loss(mean, y)


def projections() -> LinearOperator:
    """As `Projections`, of SciPy."""
    height, width = SHAPE

    def forward(x: np.ndarray) -> np.ndarray:
        picture = x.reshape(SHAPE)
        return np.concatenate([picture.sum(1), picture.sum(0)])

    def adjoint(y: np.ndarray) -> np.ndarray:
        y = y.ravel()
        return (y[:height, None] + y[height:]).ravel()

    size = (height + width, height * width)
    return LinearOperator(size, matvec=forward, rmatvec=adjoint, dtype=np.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def truth(channels: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Smooth channels around one half."""
    from bayesdip.gp.grid_covariance import embed

    return MEAN + 0.2 * embed(KERNEL, shape).draw((channels,), seeded(3)).double()


def dense(y: Tensor, operator: Operator, variance: Tensor) -> Tensor:
    """The posterior mean of independent channels of mean MEAN and covariance KERNEL, by dense algebra."""
    channels, shape = operator.input_channels or 1, operator.input_shape
    unknowns = channels * int(np.prod(shape))
    A = operator.forward(torch.eye(unknowns, dtype=torch.float64).reshape(unknowns, channels, *shape))
    A = A.flatten(1).T
    K = torch.kron(torch.eye(channels, dtype=torch.float64), dense_covariance(KERNEL, shape, constant=True))
    gain = torch.linalg.solve(A @ K @ A.T + variance.expand(y.shape).flatten().diag(), A @ K).T
    return (MEAN + gain @ (y.flatten() - MEAN * A.sum(1))).reshape(channels, *shape)


OPERATORS: dict[str, Callable[[], Operator]] = {
    "subclass without adjoint": lambda: Projections(SHAPE),
    "scipy": lambda: from_scipy(projections(), SHAPE),
    "function without adjoint": lambda: from_function(lambda x: x.cumsum(-1)[:, ::2], SHAPE),
    "complex function": lambda: from_function(lambda x: torch.fft.fft2(x, norm="ortho")[:4], SHAPE),
    "channel-mixing matrix": lambda: ChannelMix(SHAPE, [[0.2, 0.5, 0.3], [0.6, -0.1, 0.5]]),
}


@pytest.mark.parametrize("operator", [make() for make in OPERATORS.values()], ids=list(OPERATORS))
def test_the_gaussian_process_gives_the_dense_posterior_mean(operator: Operator) -> None:
    clean = operator.forward(truth(operator.input_channels or 1))
    y = Gaussian(SIGMA).sample(clean, seeded())
    found = posterior(
        y, operator, KERNEL, Gaussian(SIGMA), mean=MEAN, amplitude=1.0, tol=1e-10, max_iterations=3000
    )
    expected = dense(y, operator, torch.tensor(SIGMA**2, dtype=torch.float64))
    torch.testing.assert_close(found.mean, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "noise", [Student(SIGMA), from_log_likelihood(student)], ids=["subclass", "from_log_likelihood"]
)
def test_students_t_noise_gives_the_dense_posterior_mean_and_spares_it_the_outliers(noise: Noise) -> None:
    clean = truth(1)
    hit = torch.rand(clean.shape, generator=seeded(1)) < 0.1
    y = torch.where(hit, clean + 3.0, Gaussian(SIGMA).sample(clean, seeded()))
    options = {"mean": MEAN, "amplitude": 1.0, "tol": 1e-10, "max_iterations": 3000}
    found = posterior(y, Identity(SHAPE), KERNEL, noise, **options).mean  # type: ignore[arg-type]
    torch.testing.assert_close(found, dense(y, Identity(SHAPE), noise.variance(y)), rtol=0, atol=1e-6)
    gaussian = posterior(y, Identity(SHAPE), KERNEL, Gaussian(float((y - clean).std())), **options).mean  # type: ignore[arg-type]
    assert float((found - clean).square().mean()) < 0.3 * float((gaussian - clean).square().mean())


# --- through the public face, in the user's own layout and scale -----------------------------------


def error(restored: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean((restored - clean) ** 2)))


def picture(channels: int | None = None) -> np.ndarray:
    """Smooth, 32 x 32, from about 20 to 230."""
    x, y = np.meshgrid(np.linspace(0, 3, 32), np.linspace(0, 2, 32))
    gray = 125 + 105 * np.sin(1 + x + 2 * y)
    return gray if channels is None else np.stack([np.roll(gray, 5 * c, 0) for c in range(channels)], -1)


METHODS = {
    "gp": lambda: bd.GP(draws=0),
    "map": lambda: bd.MAP(arch=bd.arch.skip(scales=2, width=8, skip=2), steps=400),
    "sgld": lambda: bd.SGLD(arch=bd.arch.skip(scales=2, width=8, skip=2), steps=400, samples=8),
}
slow = pytest.mark.slow
every_method = pytest.mark.parametrize(
    "method", ["gp", pytest.param("map", marks=slow), pytest.param("sgld", marks=slow)]
)


@pytest.mark.parametrize("linear", [True, False])
def test_working_units_reach_the_range_of_the_picture(linear: bool) -> None:
    """Networks end in a sigmoid: what lies beyond 1 they cannot reach."""
    f = (lambda x: x.cumsum(1) / 8) if linear else (lambda x: 300 * torch.tanh(x / 300))
    operator = from_function(f, (32, 32), linear=linear)
    clean = torch.from_numpy(picture())[None]
    y = Gaussian(2.0).sample(operator.forward(clean), seeded())
    problem = Problem.from_data(y, operator, Gaussian(2.0))
    working = problem.units.to_working(clean)
    assert 0.5 < float(working.max()) < 1 and float(working.min()) >= 0
    residual = problem.y - problem.operator.forward(working)
    assert float(residual.std()) == pytest.approx(problem.noise.sigma, rel=0.1)  # type: ignore[attr-defined]


@every_method
def test_channels_that_were_mixed_are_separated(method: str) -> None:
    clean = picture(2)
    operator = ChannelMix((32, 32), [[1.0, 0.3], [0.3, 1.0], [1.0, -1.0]])
    y = np.moveaxis(operator.forward(np.moveaxis(clean, -1, 0)), 0, -1)  # type: ignore[arg-type]
    y = y + np.random.default_rng(0).normal(0, 5, y.shape)
    r = bd.restore(y, operator, bd.Gaussian(5.0), channel_axis=-1, method=METHODS[method]())
    assert r.mean.shape == clean.shape
    assert error(r.mean, clean) < 5


@every_method
def test_a_picture_comes_back_from_its_low_frequencies(method: str) -> None:
    clean = picture()
    keep = torch.fft.fftfreq(32).abs() < 0.37
    operator = from_function(lambda x: torch.fft.fft2(x, norm="ortho")[keep], (32, 32))
    y = from_pairs(operator.forward(clean[None])) + np.random.default_rng(0).normal(
        0, 2, (int(keep.sum()), 32)
    )
    r = bd.restore(y, operator, bd.Gaussian(2.0), method=METHODS[method]())
    assert r.mean.shape == (32, 32)
    assert error(r.mean, clean) < 12


@every_method
def test_a_running_sum_of_scipy_is_undone(method: str) -> None:
    clean = picture()
    size = clean.size
    sums = LinearOperator(
        (size, size),
        matvec=lambda x: x.reshape(32, 32).cumsum(1).ravel() / 8,
        rmatvec=lambda y: y.reshape(32, 32)[:, ::-1].cumsum(1)[:, ::-1].ravel() / 8,
        dtype=np.float64,
    )
    operator = from_scipy(sums, (32, 32), (32, 32))
    y = operator.forward(clean) + np.random.default_rng(0).normal(0, 2, clean.shape)  # type: ignore[arg-type]
    r = bd.restore(y, operator, bd.Gaussian(2.0), method=METHODS[method]())
    assert error(r.mean, clean) < 12


@pytest.mark.slow
@slow
@pytest.mark.parametrize("method", ["map", "sgld"])
def test_a_sensor_that_saturates_is_undone_by_networks_alone(method: str) -> None:
    clean = picture()
    operator = from_function(lambda x: 100 * torch.tanh(x / 100), (32, 32), linear=False)
    y = operator.forward(clean) + np.random.default_rng(0).normal(0, 1, clean.shape)  # type: ignore[arg-type]
    r = bd.restore(y, operator, bd.Gaussian(1.0), method=METHODS[method]())
    dark = clean < 150  # what is brighter has nearly the same value
    assert error(r.mean[dark], clean[dark]) < 6
    for other in ("gp", "patches"):
        with pytest.raises(bd.BayesDipError, match="not linear"):
            bd.restore(y, operator, bd.Gaussian(1.0), method=other)


@every_method
def test_students_t_noise_spares_the_picture_its_outliers(method: str) -> None:
    clean, rng = picture(), np.random.default_rng(0)
    y = clean + 5 * rng.standard_t(FREEDOM, clean.shape)
    y = np.where(rng.random(clean.shape) < 0.1, rng.uniform(0, 255, clean.shape), y)
    noise = from_log_likelihood(
        lambda y, mean: Student(5.0).loss(mean, y), sample=lambda mean, generator: mean
    )
    r = bd.restore(y, Identity((32, 32)), noise, method=METHODS[method]())
    gaussian = bd.restore(
        y, Identity((32, 32)), bd.Gaussian(float(np.std(y - clean))), method=METHODS[method]()
    )
    assert error(r.mean, clean) < 0.7 * error(gaussian.mean, clean)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_complex_data_are_taken_with_channels_on_any_axis(axis: int | None) -> None:
    clean = picture(2)
    coils = 1 if axis is None else 2
    operator = from_function(
        lambda x: torch.fft.fft2(x.cumsum(0), norm="ortho")[-coils:], (32, 32), input_channels=2
    )
    pairs = operator.forward(np.moveaxis(clean, -1, 0))  # type: ignore[arg-type]
    y = from_pairs(pairs, 0)
    y = y[0] if axis is None else np.moveaxis(y, 0, axis)
    r = bd.restore(y, operator, bd.Gaussian(1.0), channel_axis=axis, method=METHODS["gp"]())
    assert r.mean.shape == clean.shape
    again = operator.forward(np.moveaxis(r.mean, -1, 0))
    assert error(again, pairs) < 3  # type: ignore[arg-type]
