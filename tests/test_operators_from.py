"""A measurement of one's own: functions, matrices, and operators of SciPy, PyLops and DeepInverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators import (
    Blur,
    ChannelMix,
    Mask,
    Operator,
    from_deepinv,
    from_function,
    from_matrix,
    from_pairs,
    from_pylops,
    from_scipy,
)
from conftest import array, complex_array, random, seeded


class Projections(Operator):
    """The sums over the rows and over the columns: a subclass with a forward map alone."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(shape, (sum(shape),))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.sum(-1), x.sum(-2)], -1)


class Doubled(Operator):
    """A subclass with both maps."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def adjoint(self, y: Tensor) -> Tensor:
        return 2 * y


class FakePhysics:
    """What a physics of DeepInverse shows of itself: A and A_adjoint on (B, C, *grid)."""

    def A(self, x: Tensor, **kwargs: Any) -> Tensor:
        return x[..., ::2] - x[..., 1::2]

    def A_adjoint(self, y: Tensor, **kwargs: Any) -> Tensor:
        return torch.stack([y, -y], -1).flatten(-2)


class FakeCoils:
    """A physics that makes two channels of three."""

    def A(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0] + x[:, 1], x[:, 2]], 1)

    def A_adjoint(self, y: Tensor) -> Tensor:
        return torch.stack([y[:, 0], y[:, 0], y[:, 1]], 1)


def spectrum(x: Tensor) -> Tensor:
    return torch.fft.fft2(x, norm="ortho")[..., ::2, :]


def spectrum_adjoint(y: Tensor) -> Tensor:
    full = y.new_zeros((*y.shape[:-2], 2 * y.shape[-2], y.shape[-1]))
    full[..., ::2, :] = y
    return torch.fft.ifft2(full, norm="ortho")


def coils(x: Tensor) -> Tensor:
    """Three complex channels of two real ones."""
    return torch.stack([torch.fft.fft(x[0]), torch.fft.fft(x[1]), torch.fft.fft(x[0] - x[1])])


OPERATORS: dict[str, Callable[[], Operator]] = {
    "subclass without adjoint": lambda: Projections((4, 6)),
    "subclass": lambda: Doubled((4, 6), (4, 6)),
    "function": lambda: from_function(lambda x: x.cumsum(-1)[:, 1:], (4, 6)),
    "function, batched": lambda: from_function(lambda x: x.cumsum(-1)[..., 1:], (4, 6), batched=True),
    "function with adjoint": lambda: from_function(lambda x: x.flip(0), (5,), adjoint=lambda y: y.flip(0)),
    "function on channels": lambda: from_function(lambda x: x[:2] - x[1:], (4, 6), input_channels=3),
    "function of arrays": lambda: from_function(
        lambda x: np.roll(x, 1, 0), (4, 6), adjoint=lambda y: np.roll(y, -1, 0)
    ),
    "complex function": lambda: from_function(spectrum, (4, 6)),
    "complex function, batched": lambda: from_function(spectrum, (4, 6), batched=True),
    "complex function with adjoint": lambda: from_function(spectrum, (4, 6), adjoint=spectrum_adjoint),
    "complex function on channels": lambda: from_function(coils, (4, 6), input_channels=2),
    "complex picture": lambda: from_function(
        lambda x: spectrum(from_pairs(x, 0))[0], (4, 6), input_channels=2
    ),
    "matrix": lambda: from_matrix(random(5, 6), (2, 3)),
    "matrix of integers": lambda: from_matrix(np.arange(6).reshape(2, 3)),
    "matrix on channels": lambda: from_matrix(
        array(10, 12), (2, 3), (5,), input_channels=2, output_channels=2
    ),
    "complex matrix": lambda: from_matrix(complex_array(4, 6), (2, 3), (2, 2)),
    "complex matrix on channels": lambda: from_matrix(
        complex_array(8, 12), (2, 3), (4,), input_channels=2, output_channels=2
    ),
    "sparse matrix": lambda: from_matrix(sparse.csr_array(array(5, 6) * (array(5, 6, seed=3) > 0)), (2, 3)),
    "sparse matrix, by columns": lambda: from_matrix(sparse.csc_matrix(array(5, 6))),
    "complex sparse matrix": lambda: from_matrix(sparse.coo_array(complex_array(4, 6)), (2, 3)),
    "scipy": lambda: from_scipy(aslinearoperator(array(5, 6)), (2, 3)),
    "complex scipy": lambda: from_scipy(aslinearoperator(complex_array(4, 6)), (2, 3)),
    "scipy on channels": lambda: from_scipy(aslinearoperator(array(4, 6)), (3,), input_channels=2),
    "deepinv": lambda: from_deepinv(FakePhysics(), (3, 4)),
    "deepinv on channels": lambda: from_deepinv(FakeCoils(), (3, 4), input_channels=3),
    "channels mixed": lambda: ChannelMix((4, 6), random(2, 3)),
    "channels mixed by pixel": lambda: ChannelMix((4, 6), random(1, 3, 4, 6)),
    "channels of a signal mixed": lambda: ChannelMix((6,), array(4, 2)),
    "blur after channels mixed": lambda: (
        Blur((4, 6), array(3, 3)) @ ChannelMix((4, 6), array(2, 3)) @ Mask(array(3, 4, 6) < 0, shape=(4, 6))
    ),
    "mask on measured channels": lambda: ChannelMix((4, 6), array(2, 3)).with_held_out(random(2, 4, 6) < 0),
    "composed of functions": lambda: (
        from_function(spectrum, (4, 6)) @ from_scipy(aslinearoperator(array(24, 4)), (4,), (4, 6))
    ),
}
every_operator = pytest.mark.parametrize(
    "operator", [make() for make in OPERATORS.values()], ids=list(OPERATORS)
)


def item(channels: int | None, grid: tuple[int, ...]) -> tuple[int, ...]:
    return (2, 3, *grid) if channels is None else (2, channels, *grid)


def pictures(operator: Operator, seed: int = 1) -> Tensor:
    return random(*item(operator.input_channels, operator.input_shape), seed=seed)


def measurements(operator: Operator, seed: int = 2) -> Tensor:
    return random(*item(operator.output_channels, operator.output_shape), seed=seed)


# --- every operator --------------------------------------------------------------------------------


@every_operator
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_adjoint_passes_the_dot_product_test(
    operator: Operator, dtype: torch.dtype, tolerance: float
) -> None:
    x, y = pictures(operator).to(dtype), measurements(operator).to(dtype)
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == y.shape and adjoint.shape == x.shape
    assert forward.dtype == adjoint.dtype == dtype
    difference = abs(float((forward * y).sum() - (x * adjoint).sum()))
    assert difference < tolerance * float(forward.norm() * y.norm())


@every_operator
def test_gradient_of_forward_is_the_adjoint_and_back(operator: Operator) -> None:
    x, y = pictures(operator).requires_grad_(), measurements(operator).requires_grad_()
    (by_x,) = torch.autograd.grad((operator.forward(x) * y.detach()).sum(), x)
    (by_y,) = torch.autograd.grad((operator.adjoint(y) * x.detach()).sum(), y)
    torch.testing.assert_close(by_x, operator.adjoint(y.detach()))
    torch.testing.assert_close(by_y, operator.forward(x.detach()))


@every_operator
def test_an_array_gives_an_array_of_the_same_numbers(operator: Operator) -> None:
    x, y = pictures(operator), measurements(operator)
    for verb, given in ((operator.forward, x), (operator.adjoint, y)):
        found = verb(given.numpy())  # type: ignore[arg-type]
        assert isinstance(found, np.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(found, verb(given).numpy())


@every_operator
def test_leading_axes_are_treated_alike(operator: Operator) -> None:
    x, y = pictures(operator), measurements(operator)
    torch.testing.assert_close(operator.forward(x)[1], operator.forward(x[1]))
    torch.testing.assert_close(operator.adjoint(y)[1], operator.adjoint(y[1]))


@every_operator
def test_held_out_outputs_are_zero_and_not_observed(operator: Operator) -> None:
    y = measurements(operator)
    held_out = random(*y.shape[1:], seed=4) > 0
    remaining = operator.with_held_out(held_out)
    assert torch.equal(remaining.observed.expand(held_out.shape), operator.observed & ~held_out)
    x = pictures(operator)
    torch.testing.assert_close(remaining.forward(x), operator.forward(x).masked_fill(held_out, 0))


@every_operator
def test_wrong_shape_is_refused_with_the_right_one(operator: Operator) -> None:
    x, y = pictures(operator), measurements(operator)
    with pytest.raises(ShapeError, match=r"forward was given shape .* expected the last axes to be"):
        operator.forward(torch.cat([x, x], -1))
    with pytest.raises(ShapeError, match="adjoint was given shape"):
        operator.adjoint(torch.cat([y, y], -1))
    if operator.input_channels is not None:
        with pytest.raises(ShapeError, match="channels first"):
            operator.forward(torch.cat([x, x], 1))


# --- functions -------------------------------------------------------------------------------------


def test_a_function_without_adjoint_has_that_of_its_matrix() -> None:
    matrix = random(5, 6)
    operator = from_function(lambda x: matrix @ x, (6,))
    y = random(5, seed=1)
    torch.testing.assert_close(operator.adjoint(y), matrix.T @ y)


def test_output_shape_is_found_by_calling_the_function() -> None:
    operator = from_function(lambda x: x[:, :3].sum(0), (4, 6))
    assert operator.output_shape == (3,) and operator.input_channels is None
    operator = from_function(lambda x: x[:2, 1:], (4, 6), input_channels=3)
    assert operator.output_shape == (3, 6) and operator.output_channels == 2


def test_a_function_of_single_precision_is_called_with_single_precision() -> None:
    weights = torch.randn(3, 5, generator=seeded())
    operator = from_function(lambda x: weights @ x, (5,))
    x = random(5)
    assert operator.forward(x).dtype == torch.float64
    torch.testing.assert_close(operator.forward(x).float(), weights @ x.float())
    assert operator.adjoint(random(3)).dtype == torch.float64


def test_what_is_not_linear_is_found_out() -> None:
    for f in (torch.tanh, lambda x: x + 1, lambda x: x.clamp(min=0), lambda x: x.log()):
        with pytest.raises(BayesDipError, match=r"is not linear: .* give linear=False"):
            from_function(f, (4, 6))


def test_a_function_that_is_not_linear_has_a_gradient_and_no_adjoint() -> None:
    operator = from_function(torch.tanh, (4, 6), linear=False)
    x = random(3, 4, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(operator.forward(x).sum(), x)
    torch.testing.assert_close(gradient, 1 - torch.tanh(x.detach()) ** 2)
    with pytest.raises(BayesDipError, match="is not linear: expected a linear operator where an adjoint"):
        operator.adjoint(x)
    with pytest.raises(BayesDipError, match="expected one or the other"):
        from_function(torch.tanh, (4, 6), adjoint=torch.tanh, linear=False)


@pytest.mark.parametrize(
    "adjoint",
    [lambda y: y.roll(1, 0), lambda y: 1.01 * y.roll(-1, 0), lambda y: -y.roll(-1, 0)],
    ids=["direction", "scale", "sign"],
)
def test_a_wrong_adjoint_is_refused(adjoint: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(BayesDipError, match="is not its adjoint: expected <f"):
        from_function(lambda x: x.roll(1, 0), (64, 64), adjoint=adjoint)
    right = from_function(lambda x: x.roll(1, 0), (64, 64), adjoint=lambda y: y.roll(-1, 0))
    assert right.is_linear


def test_a_conjugate_forgotten_in_the_adjoint_is_found_out() -> None:
    with pytest.raises(BayesDipError, match="is not its adjoint"):
        from_function(torch.fft.fft2, (8, 8), adjoint=torch.fft.fft2)


def test_a_function_of_arrays_needs_an_adjoint() -> None:
    with pytest.raises(BayesDipError, match="NumPy arrays without an adjoint"):
        from_function(lambda x: np.convolve(x, [1.0, 2.0, 1.0]), (9,))
    with pytest.raises(BayesDipError, match=r"NumPy arrays without an adjoint: .* write it with torch"):
        from_function(lambda x: np.maximum(np.asarray(x), 0), (9,), linear=False)


def test_a_function_that_fails_is_refused_with_its_own_words() -> None:
    with pytest.raises(BayesDipError, match=r"shape \(4, 6\).*RuntimeError.*mismatch"):
        from_function(lambda x: x @ torch.ones(5, dtype=x.dtype), (4, 6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_shape": (6, 4)}, r"returned shape \(4, 6\) and output_shape is \(6, 4\)"),
        ({"output_channels": 2}, "output_channels is 2 and input_channels is None"),
        ({"input_channels": 3, "output_channels": 2}, "returned 3 channels and output_channels is 2"),
    ],
)
def test_shapes_that_contradict_the_function_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BayesDipError, match=message):
        from_function(lambda x: x, (4, 6), **options)


def test_a_number_alone_is_no_measurement() -> None:
    with pytest.raises(ShapeError, match="at least one axis"):
        from_function(torch.sum, (4, 6))


# --- matrices and other libraries ------------------------------------------------------------------


def test_a_matrix_multiplies_the_flattened_picture() -> None:
    matrix, x = array(5, 6), array(3, 2, 3)
    expected = x.reshape(3, 6) @ matrix.T
    for operator in (
        from_matrix(matrix, (2, 3)),
        from_matrix(sparse.csr_array(matrix), (2, 3)),
        from_scipy(aslinearoperator(matrix), (2, 3)),
    ):
        np.testing.assert_allclose(operator.forward(x), expected)
        assert operator.output_shape == (5,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (2, 4)}, r"input_shape is \(2, 4\) and the matrix has 6 columns"),
        ({"output_shape": (3,)}, r"output_shape is \(3,\) and the matrix has 5 rows"),
        ({"input_channels": 4}, r"input_shape is \(1,\) times 4 channels and the matrix has 6 columns"),
        ({"output_channels": 4}, "input_channels is None"),
    ],
)
def test_shapes_that_do_not_fit_the_matrix_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BayesDipError, match=message):
        from_matrix(array(5, 6), **options)


def test_a_matrix_with_nan_or_of_one_axis_is_refused() -> None:
    with pytest.raises(BayesDipError, match="NaN or infinite"):
        from_matrix(np.full((2, 2), np.nan))
    with pytest.raises(ShapeError, match="expected two axes"):
        from_matrix(np.ones(4))


def test_a_scipy_operator_without_or_with_a_wrong_adjoint_is_refused() -> None:
    matrix = array(6, 6)
    with pytest.raises(BayesDipError, match=r"has no adjoint .* give rmatvec"):
        from_scipy(LinearOperator((6, 6), matvec=lambda x: matrix @ x, dtype=np.float64))
    with pytest.raises(BayesDipError, match="is not its adjoint"):
        from_scipy(
            LinearOperator(
                (6, 6), matvec=lambda x: matrix @ x, rmatvec=lambda y: matrix @ y, dtype=np.float64
            )
        )


def test_a_physics_of_deepinv_is_given_batches_and_channels() -> None:
    x = random(3, 3, 4)
    torch.testing.assert_close(from_deepinv(FakePhysics(), (3, 4)).forward(x), x[..., ::2] - x[..., 1::2])
    mixed = from_deepinv(FakeCoils(), (3, 4), input_channels=3)
    assert mixed.output_channels == 2
    torch.testing.assert_close(mixed.forward(x)[1], x[2])


def test_a_physics_without_adjoint_is_not_linear() -> None:
    class Saturation:
        def A(self, x: Tensor) -> Tensor:
            return x.clamp(0, 1)

    assert not from_deepinv(Saturation(), (3, 4)).is_linear


@pytest.mark.parametrize("shape", [(8,), (5, 6)])
def test_an_operator_of_pylops_keeps_its_grids(shape: tuple[int, ...]) -> None:
    pylops = pytest.importorskip("pylops")
    derivative = pylops.FirstDerivative(shape, axis=-1, kind="forward")
    operator = from_pylops(derivative)
    assert operator.input_shape == operator.output_shape == shape
    x = array(*shape)
    np.testing.assert_allclose(operator.forward(x), derivative @ x)
    np.testing.assert_allclose(operator.adjoint(x), derivative.H @ x)


def test_a_fourier_operator_of_pylops_gives_pairs_and_one_on_channels_mixes_them() -> None:
    pylops = pytest.importorskip("pylops")
    x = array(1, 6, 8)
    fourier = pylops.signalprocessing.FFT2D((6, 8), real=False)
    operator = from_pylops(fourier)
    assert operator.output_channels == 2
    np.testing.assert_allclose(from_pairs(operator.forward(x)), fourier @ x[0])
    summed = from_pylops(pylops.Sum((3, 6, 8), axis=0), input_channels=3)
    assert summed.input_shape == (6, 8) and summed.output_channels == 1
    np.testing.assert_allclose(summed.forward(array(3, 6, 8))[0], array(3, 6, 8).sum(0))
