"""The kernel of a wide convolutional network whose input is the observed picture."""

import pytest
import torch
from torch import nn

from bayesdip.arch.activations import LeakyReLU
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.patches.pilot import Cosine, PatchKernel


def picture(channels=2, height=6, width=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(channels, height, width, dtype=torch.float64, generator=generator)


def network_outputs(kernel, seen, width, draws, seed=0):
    """Outputs (4 draws, pixels) of random networks of that width, the picture their input."""
    generator = torch.Generator().manual_seed(seed)
    pad = nn.ReplicationPad2d(kernel.reach)
    outputs = []
    for _ in range(draws):
        features, gain = pad(seen[None].float()), kernel.weight_variance
        for layer in range(kernel.depth):
            out = 4 if layer == kernel.depth - 1 else width
            shape = (out, features.shape[1], kernel.filter_size, kernel.filter_size)
            fan_in = features.shape[1] * kernel.filter_size**2
            weights = torch.randn(shape, generator=generator) * (gain / fan_in) ** 0.5
            features, gain = nn.functional.conv2d(features, weights), 1.0
            if layer < kernel.depth - 1:
                features = kernel.activation.module(out, 2, generator)(features)
        outputs.append(features[0].flatten(1))
    return torch.cat(outputs).double()


@pytest.mark.parametrize(
    "kernel",
    [
        PatchKernel(depth=1, weight_variance=2.0, window=None),
        PatchKernel(depth=2, weight_variance=2.0, window=None),
        PatchKernel(depth=3, activation=LeakyReLU(0.2), weight_variance=1.5, window=None),
    ],
    ids=["linear", "cosine", "leaky ReLU, three layers"],
)
def test_kernel_is_the_covariance_of_a_wide_random_network(kernel):
    seen = picture()
    exact = kernel.on(seen).dense()
    outputs = network_outputs(kernel, seen, width=160, draws=400)
    estimated = outputs.T @ outputs / len(outputs)
    correlations = [k / (k.diagonal()[:, None] * k.diagonal()).sqrt() for k in (exact, estimated)]
    # 1600 outputs, of which those of one network share its features
    assert (correlations[1] - correlations[0]).abs().max() < 0.05
    assert estimated.trace() == pytest.approx(float(exact.trace()), rel=0.12)
    assert correlations[0].min() < 0.9  # else there were nothing to see


def test_two_layers_of_cosines_weigh_patches_as_non_local_means_does():
    seen = picture(channels=3)
    kernel = PatchKernel(depth=2, filter_size=1, weight_variance=3.0, window=None)
    pixels = seen.flatten(1).T
    distances = (pixels[:, None] - pixels).square().mean(-1)
    assert torch.allclose(kernel.on(seen).dense(), (-1.5 * distances).exp(), atol=1e-12)


def test_a_window_over_everything_leaves_the_tent_times_the_whole_kernel():
    seen = picture()
    whole = PatchKernel(window=None).on(seen).dense()
    y, x = torch.meshgrid(torch.arange(6), torch.arange(7), indexing="ij")
    y, x = y.flatten(), x.flatten()
    tent = (1 - (y[:, None] - y).abs() / 21) * (1 - (x[:, None] - x).abs() / 21)
    assert torch.allclose(PatchKernel(window=20).on(seen).dense(), whole * tent)


@pytest.mark.parametrize("window", [None, 0, 2, 10])
@pytest.mark.parametrize("shape", [(2, 6, 7), (1, 1, 9), (1, 5, 1), (3, 1, 1)])
def test_kernel_is_symmetric_and_positive_semidefinite(window, shape):
    matrix = PatchKernel(window=window).on(picture(*shape)).dense()
    assert torch.equal(matrix, matrix.T)
    assert torch.linalg.eigvalsh(matrix).min() > -1e-12


@pytest.mark.parametrize("window", [None, 3])
def test_apply_equals_the_dense_matrix(window):
    on_picture = PatchKernel(window=window).on(picture(), noise_variance=0.01)
    vectors = picture(channels=3, seed=1)
    expected = (vectors.flatten(1) @ on_picture.dense()).reshape(vectors.shape)
    assert torch.allclose(on_picture.apply(vectors), expected)


def test_noise_correction_recovers_the_clean_pictures_kernel():
    generator = torch.Generator().manual_seed(0)
    clean = torch.zeros(40, 24, 24, dtype=torch.float64)
    clean[:, :, 12:] = 0.5
    noisy = clean + 0.3 * torch.randn(clean.shape, dtype=torch.float64, generator=generator)
    kernel = PatchKernel(weight_variance=4.0, filter_size=5)
    exact, corrected, naive = (kernel.on(p, v).at((3, 5)) for p, v in ((clean, 0), (noisy, 0.09), (noisy, 0)))
    assert (corrected - exact).abs().mean() < 0.03
    assert (naive - exact).abs().mean() > 0.1


def test_the_derivative_of_a_cosine_has_the_cosines_covariance():
    u, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5])
    covariance = torch.tensor([0.3, -0.4])
    assert torch.equal(Cosine().dual_of_derivative(covariance, u, v), Cosine().dual(covariance, u, v))


@pytest.mark.parametrize(
    "settings", [{"filter_size": 2}, {"depth": 0}, {"weight_variance": 0}, {"window": -1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(BayesDipError, match=next(iter(settings))):
        PatchKernel(**settings)


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(ShapeError, match="at least one pixel"):
        PatchKernel().on(torch.zeros(1, 0, 4))
