"""Positive values over decades: filled in on the scale of square roots, and what comes back is on the data's own."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import bayesdip as bd
from bayesdip.value_scale import backward, forward, own_std


def field(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The exponential of a smooth field, counted; two gaps across it."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(64, 64)), 4)
    truth = np.exp(1.6 * smooth / smooth.std() + 6)
    missing = np.zeros((64, 64), bool)
    missing[:, 40:46], missing[10:14] = True, True
    return truth, rng.poisson(truth).astype(float), missing


def kinds(restoration: bd.Restoration) -> list[str]:
    return [finding.kind for finding in restoration.findings]


def test_square_roots_there_and_back():
    values = np.array([0.0, 3.0, 1e4])
    assert backward(forward(values)) == pytest.approx(values)
    # By the derivative, where the interval is short.
    assert own_std(np.array([10.0]), np.array([0.01])) == pytest.approx(0.2)


@pytest.mark.parametrize("dtype", [np.float64, np.uint16])
def test_dim_and_bright_values_in_a_gap_are_filled_in_alike(dtype):
    truth, counts, missing = field()
    counts = counts.astype(dtype)
    found = bd.inpaint(counts, missing, effort="fast")
    plain = bd.inpaint(counts, missing, effort="fast", sigma=0)
    assert "value scale" in kinds(found) and "value scale" not in kinds(plain)
    assert found.mean.dtype == dtype
    assert found.mean[~missing] == pytest.approx(counts[~missing], rel=1e-12)
    relative = [(np.abs(r.mean - truth) / truth)[missing].mean() for r in (found, plain)]
    assert relative[0] < relative[1]
    low, high = found.interval(0.9)
    dim = missing & (truth < np.median(truth[missing]))
    for some in (dim, missing & ~dim):
        assert 0.7 <= ((low <= truth) & (truth <= high))[some].mean() <= 1
    assert found.std[dim].mean() < found.std[missing & ~dim].mean()
    held = found.calibration.held_out
    error = held.mean[0] - counts.astype(float).ravel()[held.places]
    assert found.held_out == pytest.approx(np.sqrt(np.square(error).mean()))


def test_photographs_and_data_with_negative_values_stay_as_they_are():
    _, counts, missing = field()
    eight_bits = (255 * np.sqrt(counts / counts.max())).astype(np.uint8)
    for given in (eight_bits, counts - 50.0):
        assert "value scale" not in kinds(bd.inpaint(given, missing, effort="fast"))
