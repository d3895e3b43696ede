"""Every operator is linear with an exact adjoint, and does what its name says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage import data
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators import Blur, Compose, Downsample, Identity, Mask, Operator

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def missing(*shape: int, share: float = 0.4) -> Tensor:
    return torch.rand(shape, generator=seeded(5)) < share


def gray() -> Tensor:
    return torch.from_numpy(data.camera()[100:228, 150:278]).double()


OPERATORS: dict[str, Callable[[], Operator]] = {
    "identity": lambda: Identity((5, 7)),
    "mask 1-D": lambda: Mask(missing(11)),
    "mask 2-D": lambda: Mask(missing(5, 7)),
    "mask by channel": lambda: Mask(missing(3, 5, 7), shape=(5, 7)),
    "mask 3-D": lambda: Mask(missing(4, 5, 3)),
    "lanczos 1-D": lambda: Downsample((37,), 4),
    "lanczos 2-D": lambda: Downsample((16, 23), 4),
    "lanczos 3-D": lambda: Downsample((7, 8, 5), 2),
    "lanczos by axis": lambda: Downsample((9, 14), (1, 3)),
    "lanczos beyond the picture": lambda: Downsample((3, 2), 8),
    "lanczos on a row": lambda: Downsample((1, 21), 3),
    "lanczos on a pixel": lambda: Downsample((1, 1), 4),
    "bicubic": lambda: Downsample((17, 12), 3, "bicubic"),
    "area": lambda: Downsample((17, 12), 5, "area"),
    "blur 1-D": lambda: Blur((13,), random(4)),
    "blur 2-D": lambda: Blur((11, 8), random(5, 4)),
    "blur 3-D": lambda: Blur((5, 6, 4), random(3, 2, 3)),
    "blur periodic": lambda: Blur((11, 8), random(4, 5), "periodic"),
    "blur by a large psf": lambda: Blur((4, 3), random(11, 14)),
    "blur by a large psf, periodic": lambda: Blur((4, 3), random(11, 14), "periodic"),
    "blur of a row": lambda: Blur((1, 9), random(3, 3)),
    "blur of a pixel": lambda: Blur((1, 1), random(3, 3)),
    "composed": lambda: Mask(missing(4, 6)) @ Downsample((8, 12), 2) @ Blur((8, 12), random(3, 3)),
}
every_operator = pytest.mark.parametrize(
    "operator", [make() for make in OPERATORS.values()], ids=list(OPERATORS)
)


@every_operator
def test_adjoint_passes_the_dot_product_test(operator: Operator) -> None:
    x = random(2, 3, *operator.input_shape, seed=1)
    y = random(2, 3, *operator.output_shape, seed=2)
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == y.shape and adjoint.shape == x.shape
    scale = float(forward.norm() * y.norm()) + 1e-300
    assert abs(float((forward * y).sum() - (x * adjoint).sum())) < 1e-13 * scale


@every_operator
def test_gradient_of_forward_is_the_adjoint_and_back(operator: Operator) -> None:
    x = random(3, *operator.input_shape, seed=1).requires_grad_()
    y = random(3, *operator.output_shape, seed=2).requires_grad_()
    (by_x,) = torch.autograd.grad((operator.forward(x) * y.detach()).sum(), x)
    (by_y,) = torch.autograd.grad((operator.adjoint(y) * x.detach()).sum(), y)
    torch.testing.assert_close(by_x, operator.adjoint(y.detach()))
    torch.testing.assert_close(by_y, operator.forward(x.detach()))


@every_operator
def test_channels_and_batches_are_treated_alike(operator: Operator) -> None:
    x = random(2, 3, *operator.input_shape, seed=1)
    torch.testing.assert_close(operator.forward(x)[1], operator.forward(x[1]))
    y = random(2, 3, *operator.output_shape, seed=1)
    torch.testing.assert_close(operator.adjoint(y)[1], operator.adjoint(y[1]))


@every_operator
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.float16, 0.03)]
)
def test_device_and_dtype_follow_the_input(
    operator: Operator, device: str, dtype: torch.dtype, tolerance: float
) -> None:
    x = random(3, *operator.input_shape, seed=1)
    y = operator.forward(x.to(device, dtype))
    assert y.dtype == dtype and y.device.type == device
    exact = operator.forward(x)
    assert float((y.cpu().double() - exact).abs().max()) <= tolerance * max(1.0, float(exact.abs().max()))
    back = operator.adjoint(y)
    assert back.dtype == dtype and back.device.type == device


@every_operator
def test_observed_fits_the_measurements(operator: Operator) -> None:
    observed = operator.observed
    assert observed.dtype == torch.bool
    assert observed.expand(3, *operator.output_shape).shape == (3, *operator.output_shape)


@every_operator
def test_wrong_shape_is_refused_with_the_right_one(operator: Operator) -> None:
    with pytest.raises(ShapeError, match=r"was given shape .* expected the last axes to be"):
        operator.forward(torch.zeros(3, *operator.input_shape[:-1], operator.input_shape[-1] + 1))
    with pytest.raises(ShapeError, match="was given shape"):
        operator.adjoint(torch.zeros(3, *operator.output_shape[:-1], operator.output_shape[-1] + 1))


def test_integers_are_taken_as_double_precision_and_complex_numbers_are_refused() -> None:
    small = Downsample((8, 8), 2)
    ones = torch.ones(8, 8, dtype=torch.int64)
    torch.testing.assert_close(small.forward(ones), small.forward(ones.double()))
    with pytest.raises(BayesDipError, match="complex128: expected real numbers"):
        small.forward(torch.ones(8, 8, dtype=torch.complex128))


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least 1"):
        Identity((4, 0))


# --- masks -----------------------------------------------------------------------------------------


def test_mask_zeroes_what_is_missing_whatever_stands_there() -> None:
    gone = missing(5, 7)
    x = random(3, 5, 7).masked_fill(gone, torch.nan)
    y = Mask(gone).forward(x)
    assert (y[:, gone] == 0).all()
    assert torch.equal(y[:, ~gone], x[:, ~gone])


def test_mask_with_channels_needs_the_grid_and_those_channels() -> None:
    gone = missing(3, 5, 7)
    operator = Mask(gone, shape=(5, 7))
    assert operator.input_shape == (5, 7) and operator.observed.shape == (3, 5, 7)
    assert Mask(gone).input_shape == (3, 5, 7)
    with pytest.raises(ShapeError, match=r"\(3, 5, 7\) \(channels first\)"):
        operator.forward(torch.zeros(5, 7))
    with pytest.raises(ShapeError, match=r"\(3, 5, 7\) \(channels first\)"):
        operator.forward(torch.zeros(2, 5, 7))


def test_mask_by_channel_has_as_many_channels_and_one_plane_serves_any_number() -> None:
    assert Mask(missing(3, 5, 7), shape=(5, 7)).input_channels == 3
    assert Mask(missing(1, 5, 7), shape=(5, 7)).input_channels is None


def test_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(5, 6\): expected \(5, 7\)"):
        Mask(missing(5, 6), shape=(5, 7))


@every_operator
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_held_out_outputs_are_missing_as_under_a_mask_on_the_left(
    operator: Operator, channels: tuple[int, ...]
) -> None:
    held_out = missing(*channels, *operator.output_shape, share=0.5)
    remaining = operator.with_held_out(held_out)
    as_mask = Mask(held_out, shape=operator.output_shape) @ operator
    assert torch.equal(
        remaining.observed.expand(3, *operator.output_shape),
        operator.observed & ~held_out.expand(3, *operator.output_shape),
    )
    assert torch.equal(remaining.observed, as_mask.observed)
    x = random(3, *operator.input_shape)
    torch.testing.assert_close(remaining.forward(x), as_mask.forward(x))


# --- composition -----------------------------------------------------------------------------------


def test_composition_applies_the_right_operator_first() -> None:
    blur, small = Blur((8, 9), random(3, 3)), Downsample((8, 9), 2)
    x = random(2, 8, 9)
    both = small @ blur
    assert isinstance(both, Compose)
    assert both.input_shape == (8, 9) and both.output_shape == (4, 5)
    torch.testing.assert_close(both.forward(x), small.forward(blur.forward(x)))


def test_composition_of_shapes_that_do_not_meet_is_refused() -> None:
    with pytest.raises(ShapeError, match="takes 8x8 and is given 4x4"):
        Blur((8, 8), torch.ones(3, 3)) @ Downsample((8, 8), 2)


def test_outer_mask_decides_what_is_observed() -> None:
    outer, inner = missing(4, 4), missing(8, 8)
    operator = Mask(outer) @ Downsample((8, 8), 2) @ Mask(inner)
    assert torch.equal(operator.observed, ~outer)


def test_a_mask_below_a_blur_leaves_every_output_observed() -> None:
    assert bool((Blur((8, 8), torch.ones(3, 3)) @ Mask(missing(8, 8))).observed.all())


def test_two_masks_lose_what_either_loses() -> None:
    one, two = missing(6, 6), torch.eye(6, dtype=torch.bool)
    assert torch.equal((Mask(one) @ Mask(two)).observed, ~(one | two))
    assert torch.equal((Identity((6, 6)) @ Mask(two)).observed, ~two)


# --- downsampling ----------------------------------------------------------------------------------


def lanczos_of_deep_image_prior(factor: int) -> np.ndarray:
    """The "lanczos2" taps of the original code, phase 1/2: 4 factor of them (its kernel_width less one)."""
    width, support = 4 * factor + 1, 2
    centre = (width + 1) / 2
    distance = np.abs(np.arange(1, width) + 0.5 - centre) / factor
    taps = support * np.sin(np.pi * distance) * np.sin(np.pi * distance / support) / (np.pi * distance) ** 2
    return taps / taps.sum()


def inside(x: Tensor, margin: int = 3) -> Tensor:
    """`x` away from the borders, where conventions differ."""
    return x[..., margin:-margin, margin:-margin]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_lanczos_is_that_of_the_original_code(factor: int) -> None:
    picture = gray()
    taps = torch.from_numpy(lanczos_of_deep_image_prior(factor))
    padded = torch.nn.functional.pad(picture[None, None], [(4 * factor - factor) // 2] * 4, mode="replicate")
    theirs = torch.nn.functional.conv2d(padded, torch.outer(taps, taps)[None, None], stride=factor)[0, 0]
    ours = Downsample(picture.shape, factor, "lanczos").forward(picture)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(inside(ours), inside(theirs))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_is_that_of_pillow(factor: int) -> None:
    picture = gray()[:120, :120]
    small = Image.fromarray(picture.numpy().astype(np.float32)).resize(
        (120 // factor,) * 2, Image.Resampling.BICUBIC
    )
    ours = Downsample((120, 120), factor, "bicubic").forward(picture)
    torch.testing.assert_close(
        inside(ours), inside(torch.from_numpy(np.array(small)).double()), rtol=0, atol=1e-3
    )


def test_area_is_the_block_mean_and_of_a_cut_block_what_is_left() -> None:
    picture = gray()[:12, :10]
    ours = Downsample((12, 10), 4, "area").forward(picture)
    torch.testing.assert_close(ours[:, :2], picture[:, :8].reshape(3, 4, 2, 4).mean((1, 3)))
    torch.testing.assert_close(ours[:, 2], picture[:, 8:].reshape(3, 4, 2).mean((1, 2)))


def test_lanczos_sees_the_picture_reflected_at_its_borders() -> None:
    x = random(9)
    surrounded = torch.cat([x.flip(0), x, x.flip(0)])[1:]  # so that cells of 4 fall on cells of the middle
    far = Downsample((26,), 4).forward(surrounded)
    torch.testing.assert_close(Downsample((9,), 4).forward(x), far[2:5])


@pytest.mark.parametrize("kind", ["lanczos", "bicubic", "area"])
@pytest.mark.parametrize(("shape", "factor"), [((7, 9), 4), ((3, 2), 8), ((10, 1), (3, 5)), ((6, 5), 1)])
def test_a_constant_picture_stays_what_it_is(
    kind: str, shape: tuple[int, ...], factor: int | tuple[int, ...]
) -> None:
    small = Downsample(shape, factor, kind).forward(torch.full(shape, 0.7, dtype=torch.float64))
    torch.testing.assert_close(small, torch.full_like(small, 0.7))


@pytest.mark.parametrize("kind", ["lanczos", "bicubic", "area"])
def test_factor_one_is_the_identity(kind: str) -> None:
    x = random(6, 5)
    torch.testing.assert_close(Downsample((6, 5), 1, kind).forward(x), x)


@pytest.mark.parametrize("kind", ["lanczos", "bicubic"])
def test_downsampling_removes_what_the_coarse_grid_cannot_hold(kind: str) -> None:
    t = torch.arange(256, dtype=torch.float64)
    operator = Downsample((256,), 4, kind)
    slow, fast = torch.cos(2 * torch.pi * t / 64), torch.cos(2 * torch.pi * t / 4.2)
    assert float(operator.forward(slow).std()) > 0.9 * float(slow.std())
    assert float(operator.forward(fast)[4:-4].std()) < 0.1 * float(fast.std())
    assert float(fast[::4].std()) > 0.9 * float(fast.std())  # what skipping pixels would let through


@pytest.mark.parametrize(("n", "factor", "expected"), [(12, 4, 3), (13, 4, 4), (1, 4, 1), (3, 8, 1)])
def test_an_axis_becomes_its_length_over_the_factor_rounded_up(n: int, factor: int, expected: int) -> None:
    assert Downsample((n,), factor).output_shape == (expected,)


def test_a_long_signal_needs_no_dense_matrix() -> None:
    n = 400_000  # dense, the matrix would hold 4e10 entries
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    y = Downsample((n,), 4).forward(x)
    torch.testing.assert_close(y[10:-10], x.reshape(-1, 4).mean(1)[10:-10], rtol=0, atol=1e-9)


def test_downsample_matrices_are_its_axes() -> None:
    operator = Downsample((9, 14), (2, 3))
    rows, columns = (matrix.dense() for matrix in operator.matrices)
    x = random(9, 14)
    torch.testing.assert_close(operator.forward(x), rows @ x @ columns.T)


@pytest.mark.parametrize("factor", [0, -2, 1.5, True, (2, 0)])
def test_a_factor_below_one_or_broken_is_refused(factor: int) -> None:
    with pytest.raises(BayesDipError, match=r"factor is .*: expected an integer of at least 1"):
        Downsample((8, 8), factor)


def test_unknown_kind_and_wrong_number_of_factors_are_refused() -> None:
    with pytest.raises(BayesDipError, match="expected one of lanczos, bicubic, area"):
        Downsample((8, 8), 2, "nearest")
    with pytest.raises(ShapeError, match="factor has 3 entries"):
        Downsample((8, 8), (2, 2, 2))


# --- blur ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("boundary", "mode"), [("reflect", "reflect"), ("periodic", "wrap")])
@pytest.mark.parametrize("psf_shape", [(3, 3), (4, 5), (1, 6), (9, 7)])
def test_blur_is_the_convolution_of_scipy(boundary: str, mode: str, psf_shape: tuple[int, int]) -> None:
    x, psf = random(12, 11), random(*psf_shape)
    theirs = ndimage.convolve(x.numpy(), psf.numpy(), mode=mode)
    torch.testing.assert_close(Blur((12, 11), psf, boundary).forward(x), torch.from_numpy(theirs))


def test_blur_by_a_point_is_the_identity() -> None:
    x, point = random(6, 7), torch.zeros(5, 5)
    point[2, 2] = 1
    torch.testing.assert_close(Blur((6, 7), point).forward(x), x)


def test_a_point_becomes_the_psf() -> None:
    psf, point = random(5, 3), torch.zeros(11, 12, dtype=torch.float64)
    point[5, 6] = 1
    blurred = Blur((11, 12), psf).forward(point)
    torch.testing.assert_close(blurred[3:8, 5:8], psf)
    assert float(blurred.abs().sum()) == pytest.approx(float(psf.abs().sum()))


def test_blur_keeps_the_brightness_up_to_the_border() -> None:
    psf = random(7, 7).abs()
    blurred = Blur((9, 8), psf / psf.sum()).forward(torch.ones(9, 8, dtype=torch.float64))
    torch.testing.assert_close(blurred, torch.ones_like(blurred))


@pytest.mark.parametrize(
    ("psf", "error", "message"),
    [
        (torch.zeros(0, 3), ShapeError, "expected 2 axes of length at least 1"),
        (torch.ones(3), ShapeError, "expected 2 axes"),
        (torch.ones(3, 3, 3), ShapeError, "without a channel axis"),
        (torch.tensor([[1.0, torch.nan, torch.inf]]), BayesDipError, "2 entries that are NaN or infinite"),
        (torch.zeros(3, 3), BayesDipError, "zero everywhere"),
    ],
)
def test_a_broken_psf_is_refused(psf: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Blur((8, 8), psf)


def test_an_unknown_boundary_is_refused() -> None:
    with pytest.raises(BayesDipError, match="expected reflect or periodic"):
        Blur((8, 8), torch.ones(3, 3), boundary="zero")
