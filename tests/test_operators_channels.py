"""Operators on channels, of complex data, on arrays, and as subclasses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor

import bayesdip as bd
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators import (
    Blur,
    ChannelMix,
    Downsample,
    Identity,
    Mask,
    Operator,
    as_pairs,
    from_function,
    from_matrix,
    from_pairs,
    from_scipy,
)
from conftest import array, complex_array, random


class Doubled(Operator):
    """A subclass with both maps."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def adjoint(self, y: Tensor) -> Tensor:
        return 2 * y


def spectrum(x: Tensor) -> Tensor:
    return torch.fft.fft2(x, norm="ortho")[..., ::2, :]


def coils(x: Tensor) -> Tensor:
    """Three complex channels of two real ones."""
    return torch.stack([torch.fft.fft(x[0]), torch.fft.fft(x[1]), torch.fft.fft(x[0] - x[1])])


# --- subclasses ------------------------------------------------------------------------------------


def test_a_subclass_that_returns_another_shape_than_it_said_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"Doubled.forward returned shape \(3, 4\): expected .* \(4, 3\)"):
        Doubled((3, 4), (4, 3)).forward(torch.ones(3, 4))


def test_a_forward_map_that_torch_cannot_differentiate_needs_an_adjoint() -> None:
    class Detached(Operator):
        def forward(self, x: Tensor) -> Tensor:
            return torch.from_numpy(np.asarray(x.detach()) * 2)

    with pytest.raises(BayesDipError, match=r"cannot differentiate .* give the adjoint"):
        Detached((3,), (3,)).adjoint(torch.ones(3))


def test_numbers_of_channels_come_in_pairs() -> None:
    with pytest.raises(BayesDipError, match="expected two numbers of at least 1, or neither"):
        Doubled((3,), (3,), input_channels=2)


# --- composition and channels ----------------------------------------------------------------------


def test_composition_carries_channels_and_linearity() -> None:
    mix, blur = ChannelMix((4, 6), random(2, 3)), Blur((4, 6), torch.ones(3, 3))
    for operator in (blur @ mix, mix @ blur, Identity((4, 6)) @ mix @ Mask(random(4, 6) > 0)):
        assert (operator.input_channels, operator.output_channels) == (3, 2)
        assert operator.is_linear
    assert (blur @ blur).input_channels is None
    saturated = from_function(torch.tanh, (4, 6), linear=False)
    assert not (saturated @ blur).is_linear and not (blur @ saturated).is_linear


def test_composition_of_numbers_of_channels_that_do_not_meet_is_refused() -> None:
    mix = ChannelMix((4, 6), random(2, 3))
    with pytest.raises(ShapeError, match="takes 3 channels of 4x6 and is given 2 channels of 4x6"):
        mix @ mix
    with pytest.raises(ShapeError, match="takes 3 channels"):
        Mask(random(3, 4, 6) > 0, shape=(4, 6)) @ mix


def test_a_channel_mix_is_a_matrix_product_at_every_pixel() -> None:
    x = random(3, 4, 6)
    one, many = random(2, 3), random(2, 3, 4, 6)
    torch.testing.assert_close(ChannelMix((4, 6), one).forward(x)[:, 2, 5], one @ x[:, 2, 5])
    torch.testing.assert_close(ChannelMix((4, 6), many).forward(x)[:, 2, 5], many[:, :, 2, 5] @ x[:, 2, 5])


def test_a_colour_filter_array_is_a_sum_of_masked_channels() -> None:
    filters = torch.nn.functional.one_hot(torch.arange(24).reshape(4, 6) % 3, 3).movedim(-1, 0)
    x = random(3, 4, 6)
    array_of_filters = ChannelMix((4, 6), filters[None].double())
    by_mask = ChannelMix((4, 6), torch.ones(1, 3)) @ Mask(filters == 0, shape=(4, 6))
    torch.testing.assert_close(array_of_filters.forward(x), by_mask.forward(x))
    assert by_mask.observed.all()


@pytest.mark.parametrize("matrix", [np.ones(3), np.ones((2, 3, 4)), np.ones((0, 3))])
def test_a_channel_mix_of_another_shape_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"expected \(C_out, C_in\)"):
        ChannelMix((4, 6), matrix)


# --- complex data ----------------------------------------------------------------------------------


def test_complex_results_are_pairs_of_real_channels() -> None:
    x = random(4, 6)
    operator = from_function(spectrum, (4, 6))
    assert (operator.input_channels, operator.output_channels) == (1, 2)
    torch.testing.assert_close(from_pairs(operator.forward(x[None])), spectrum(x))
    two = random(2, 4, 6)
    torch.testing.assert_close(
        from_pairs(from_function(coils, (4, 6), input_channels=2).forward(two), 0), coils(two)
    )


def test_a_complex_matrix_multiplies_a_real_picture() -> None:
    matrix, x = complex_array(4, 6), array(1, 6)
    for operator in (
        from_matrix(matrix),
        from_matrix(sparse.csr_array(matrix)),
        from_scipy(aslinearoperator(matrix)),
    ):
        np.testing.assert_allclose(from_pairs(operator.forward(x)), matrix @ x[0])


# --- arrays and pairs ------------------------------------------------------------------------------


def test_masks_and_point_spread_functions_may_be_arrays() -> None:
    missing, psf = array(4, 6) > 0, array(3, 3)
    x = random(4, 6)
    torch.testing.assert_close(bd.Mask(missing).forward(x), Mask(torch.from_numpy(missing)).forward(x))
    torch.testing.assert_close(
        bd.Blur((4, 6), psf[::-1]).forward(x), Blur((4, 6), torch.from_numpy(psf).flip(0)).forward(x)
    )
    assert torch.equal(Identity((4, 6)).with_held_out(missing).observed, torch.from_numpy(~missing))


def test_a_picture_of_eight_bits_is_taken_as_it_is() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6)
    found = Downsample((4, 6), 2, "area").forward(picture)
    np.testing.assert_allclose(found, picture.reshape(2, 2, 3, 2).mean((1, 3)))


@pytest.mark.parametrize("channel_axis", [None, 0, -1])
def test_pairs_are_undone(channel_axis: int | None) -> None:
    y = complex_array(3, 4, 5)
    pairs = as_pairs(y, channel_axis)
    assert pairs.dtype == np.float64 and pairs.size == 2 * y.size
    np.testing.assert_array_equal(from_pairs(pairs, channel_axis), y)
    assert torch.equal(
        from_pairs(as_pairs(torch.from_numpy(y), channel_axis), channel_axis), torch.from_numpy(y)
    )


def test_pairs_of_real_numbers_and_odd_channels_are_refused() -> None:
    with pytest.raises(BayesDipError, match="expected complex numbers"):
        as_pairs(np.ones(3))
    with pytest.raises(ShapeError, match="expected an even number"):
        from_pairs(np.ones((3, 4)), 0)
    with pytest.raises(ShapeError, match="expected 2 entries along axis 0"):
        from_pairs(np.ones((4, 4)))
