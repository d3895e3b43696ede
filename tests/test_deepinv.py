"""DeepInverse both ways: its physics as operators, and our methods as its reconstructors."""

from __future__ import annotations

import importlib.util
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.torchvision_names import make_importable
from torch import Tensor

import bayesdip as bd
from bayesdip.adapters import DeepinvReconstructor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators import Identity, Mask, Operator, from_deepinv
from conftest import random, seeded, smooth_picture

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("deepinv") is None, reason="deepinv is not installed (extra deepinv)"
)
CLEAN = torch.from_numpy(smooth_picture((16, 16), channels=3)).movedim(-1, 0).float()
# Some of its own table, of each kind that is different: shapes, precision, complex numbers, lists of tensors.
TABLE = (
    "CS", "inpainting", "demosaicing", "denoising", "colorize", "fftdeblur", "deblur_valid", "space_deblur_reflect",
    "hyperspectral_unmixing", "3Ddeblur_circular", "super_resolution_circular", "down_resolution_circular",
    "fast_singlepixel", "MRI", "DynamicMRI", "MultiCoilMRI", "3DMultiCoilMRI", "pansharpen_circular",
    "complex_compressed_sensing", "structured_random", "cassi-sd", "ptychography_linear", "2DParallelBeamCT",
    "VirtualLinearPhysics", "ultrasound_planewave_pulse",
)  # fmt: skip


@pytest.fixture(scope="module")
def deepinv() -> ModuleType:
    make_importable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import deepinv
    return deepinv


def picture(operator: Operator) -> Tensor:
    return random(2, operator.input_channels or 1, *operator.input_shape, seed=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TABLE)
def test_a_physics_of_its_table_is_an_operator_with_its_numbers_and_its_adjoint(
    deepinv: ModuleType, name: str
) -> None:
    from deepinv.tests.test_physics import find_operator

    physics, size, _, dtype = find_operator(name, "cpu")[:4]
    A = from_deepinv(physics, size[1:], input_channels=size[0], is_complex=dtype.is_complex)
    x = picture(A).float()
    own = physics.A((torch.complex(*x.chunk(2, 1)) if dtype.is_complex else x).to(dtype))
    parts = torch.cat([part.flatten() for part in ([own] if isinstance(own, Tensor) else own)])
    found = A.forward(x)
    # Complex data have all their real parts first.
    both = (
        torch.stack([torch.cat([one.real.flatten(), one.imag.flatten()]) for one in own])
        if parts.is_complex()
        else parts
    )
    expected = (
        both if parts.is_complex() or isinstance(own, Tensor) else torch.cat([p.flatten(1) for p in own], 1)
    )
    torch.testing.assert_close(found.flatten(), expected.flatten().to(found), atol=1e-4, rtol=1e-4)
    y = random(*found.shape, seed=2).float()
    difference = abs(float((found * y).sum() - (x * A.adjoint(y)).sum()))
    assert difference < 1e-4 * float(found.norm() * y.norm())


def test_what_keeps_pixels_apart_is_a_mask_and_what_keeps_all_is_the_identity(deepinv: ModuleType) -> None:
    mask = (torch.rand(1, 1, 6, 7, generator=seeded()) > 0.5).float()
    found = from_deepinv(deepinv.physics.Inpainting((2, 6, 7), mask=mask), (6, 7), input_channels=2)
    assert isinstance(found, Mask)
    assert torch.equal(found.missing, (mask[0] == 0).expand(2, 6, 7))
    assert isinstance(from_deepinv(deepinv.physics.Denoising(), (6, 7), input_channels=2), Identity)


def test_physics_with_an_adjoint_that_is_not_linear_is_not_taken_for_linear(deepinv: ModuleType) -> None:
    physics = deepinv.physics.RandomPhaseRetrieval(m=40, img_size=(1, 5, 5), rng=seeded())
    A = from_deepinv(physics, (5, 5), input_channels=1, is_complex=True)
    assert not A.is_linear
    x = random(2, 5, 5)
    own = physics.A(torch.complex(x[:1], x[1:])[None].to(torch.complex64))
    torch.testing.assert_close(A.forward(x).flatten(), own.flatten().to(x), atol=1e-4, rtol=1e-4)


def test_complex_pictures_need_their_channels(deepinv: ModuleType) -> None:
    with pytest.raises(ShapeError, match="expected both"):
        from_deepinv(deepinv.physics.Denoising(), (4, 4), is_complex=True)


# --- our methods as its models ---------------------------------------------------------------------


def model(**options: Any) -> DeepinvReconstructor:
    return DeepinvReconstructor(**({"method": bd.GP(draws=0), "seed": 0} | options))


def test_a_batch_is_restored_picture_by_picture_each_with_its_own_mask(deepinv: ModuleType) -> None:
    clean = torch.stack([CLEAN, CLEAN.flip(-1)])
    mask = (torch.rand(2, 1, 16, 16, generator=seeded()) > 0.4).float()
    noise = deepinv.physics.GaussianNoise(0.05, rng=seeded())
    physics = deepinv.physics.Inpainting((3, 16, 16), mask=mask, noise_model=noise)
    reconstructor = model().eval()
    with torch.no_grad():
        y = physics(clean)
        found = reconstructor(y, physics)
    assert found.shape == clean.shape and found.dtype == y.dtype and not found.requires_grad
    assert (found - clean).square().mean() < 0.05 * (physics.A_dagger(y) - clean).square().mean()
    expected = bd.inpaint(
        np.moveaxis(y[1].numpy().astype(float), 0, -1),
        mask[1, 0].numpy() == 0,
        sigma=0.05,
        channel_axis=-1,
        method=bd.GP(draws=0),
        seed=0,
    )
    assert len(reconstructor.results) == 2
    np.testing.assert_allclose(reconstructor.results[1].mean, expected.mean, atol=1e-4)
    np.testing.assert_allclose(found[1].movedim(0, -1), expected.mean, atol=1e-4)


def test_a_batch_of_any_operator_keeps_each_picture_s_parameters_and_inference_mode_is_no_obstacle(
    deepinv: ModuleType,
) -> None:
    lines = torch.zeros(2, 1, 16, 16)
    lines[0, ..., ::2] = lines[1, ..., 1::2] = lines[..., 6:10] = 1
    physics = deepinv.physics.MRI(
        img_size=(2, 16, 16), mask=lines, noise_model=deepinv.physics.GaussianNoise(0.01, rng=seeded())
    )
    clean = torch.stack([CLEAN[:2], CLEAN[1:]])
    with torch.inference_mode():
        y = physics(clean)
        found = model()(y, physics)
    alone = deepinv.physics.MRI(
        img_size=(2, 16, 16), mask=lines[1:], noise_model=deepinv.physics.GaussianNoise(0.01)
    )
    torch.testing.assert_close(found[1:], model()(y[1:].clone(), alone), atol=1e-4, rtol=1e-3)
    assert (found - clean).square().mean() < 1e-3


def test_complex_pictures_come_back_complex_and_lists_of_measurements_are_taken(deepinv: ModuleType) -> None:
    physics = deepinv.physics.CompressedSensing(m=60, img_size=(1, 8, 8), dtype=torch.complex64, rng=seeded())
    physics.noise_model = deepinv.physics.GaussianNoise(0.01, rng=seeded())
    x = torch.complex(CLEAN[:1, :8, :8], CLEAN[1:2, :8, :8])[None]
    found = model()(physics(x), physics)
    assert found.shape == x.shape and found.dtype == torch.complex64
    assert (found - x).abs().square().mean() < 0.1 * x.abs().square().mean()
    both = deepinv.physics.stack(deepinv.physics.Denoising(), deepinv.physics.Decolorize())
    for part, sigma in zip(both.physics_list, (0.3, 0.01), strict=True):
        part.noise_model = deepinv.physics.GaussianNoise(sigma, rng=seeded())
    y = both(CLEAN[None])
    found = model()(y, both)
    assert (found - CLEAN).square().mean() < 0.2 * (y[0] - CLEAN).square().mean()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p.ZeroNoise(), "sigma 0"),
        (lambda p: p.PoissonNoise(0.05), "Poisson noise, gain 0.05"),
        (lambda p: p.PoissonNoise(0.05, normalize=False), "Poisson noise, gain 0.05"),
        (lambda p: p.PoissonGaussianNoise(0.02, 0.05), "Poisson-Gaussian noise, gain 0.02, sigma 0.05"),
        (lambda p: p.LaplaceNoise(0.05), "0.05"),
        (lambda p: p.GammaNoise(20.0), "20"),
    ],
)
def test_its_noise_models_are_ours(deepinv: ModuleType, make: Any, words: str) -> None:
    torch.manual_seed(0)
    physics = deepinv.physics.Denoising(make(deepinv.physics))
    clean = CLEAN[None, :1] + 0.2
    y = physics(clean)
    reconstructor = model()
    found = reconstructor(y, physics)
    assert words in reconstructor.results[0].settings["noise"]
    scale = 0.05 if getattr(physics.noise_model, "normalize", True) is not True and y.mean() > 3 else 1.0
    assert (found - clean).square().mean() <= (scale * y - clean).square().mean()


def test_what_cannot_be_used_is_refused_with_what_to_give(deepinv: ModuleType) -> None:
    physics = deepinv.physics.Denoising(deepinv.physics.UniformNoise(0.1))
    with pytest.raises(BayesDipError, match=r"noise model is UniformNoise: expected .* give noise="):
        model()(physics(CLEAN[None]), physics)
    assert model(noise=bd.Gaussian(0.06))(physics(CLEAN[None]), physics).shape == (1, 3, 16, 16)
    lidar = deepinv.physics.Physics(lambda x: x.tanh())
    with pytest.raises(ShapeError, match=r"give img_size=\(C, M, N\)"):
        model()(CLEAN[None], lidar)
