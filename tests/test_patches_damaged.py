"""HBE where few values are missing: only what is missing is restored."""

import numpy as np
import pytest
import torch
from skimage import data

from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.patches import hbe
from bayesdip.patches.damaged_patches import Guide, blocks_of, conditioned, like_sizes, references_of
from bayesdip.patches.inference import patch_posterior
from bayesdip.patches.patch_grid import Patches
from bayesdip.patches.thin_damage import biharmonic


def photograph(rows=64, columns=72):
    """Pixels of a picture that scikit-image ships."""
    crop = data.astronaut()[30 : 30 + rows, 180 : 180 + columns].copy()
    return torch.from_numpy(crop).permute(2, 0, 1).double() / 255


def scratched(rows=64, columns=72, width=3):
    """A scratch from border to border."""
    row, column = np.mgrid[:rows, :columns]
    return torch.from_numpy(np.abs(column - row - 4) < width)


def filled(clean, missing, **options):
    y = torch.where(missing, torch.nan, clean)
    return patch_posterior(y, Mask(missing, clean.shape[1:]), Gaussian(0.0), **options)


def psnr(error, where):
    return -10 * float(error[where.expand(error.shape)].square().mean().log10())


def test_missing_values_have_the_dense_posterior_given_the_known_ones_of_their_patch():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(9, 9, dtype=torch.float64, generator=generator)
    covariance, y, noise = root @ root.mT, torch.randn(9, dtype=torch.float64, generator=generator), 0.1
    lacking = [torch.tensor([2, 5, 6]), torch.tensor([0])]
    precision = torch.linalg.inv(covariance + noise * torch.eye(9))
    place = torch.tensor([[2, 5, 6], [0, 1, 2]])
    there = torch.tensor([[True, True, True], [True, False, False]])
    pulled = torch.stack([-precision @ y.index_fill(0, m, 0.0) for m in lacking])
    found = conditioned(
        precision[place[:, :, None], place[:, None, :]], pulled.gather(1, place), there, with_variance=True
    )
    for i, m in enumerate(lacking):
        o = torch.tensor([j for j in range(9) if j not in m])
        inverse = torch.linalg.inv(covariance[o][:, o] + noise * torch.eye(len(o)))
        mean = covariance[m][:, o] @ inverse @ y[o]
        variance = (covariance[m][:, m] - covariance[m][:, o] @ inverse @ covariance[o][:, m]).diagonal()
        assert torch.allclose(found[0][i][there[i]], mean)
        assert torch.allclose(found[1][i][there[i]] - noise, variance)


def test_groups_are_those_that_every_patch_of_the_picture_has():
    picture, missing = photograph().float(), scratched()
    grid = hbe.reference_grid(picture.shape, 75, first=True)
    references = references_of(missing[None], grid)
    guide = Guide.of(picture, grid)
    found = torch.cat([guide.groups(own, 20) for own in blocks_of(references)])
    patches = Patches(*picture.shape[1:], *grid.patch)
    every = patches.similar(picture, grid.tops, grid.lefts, (grid.radius,) * 2, 20)
    every = every // patches.columns * picture.shape[2] + every % patches.columns
    of = {int(group[0]): group for group in every}
    assert 0 < len(found) < len(every)
    alike = [len(set(group.tolist()) & set(of[int(group[0])].tolist())) for group in found]
    assert min(alike) >= 19, "but for distances that rounding makes equal"


def test_every_patch_that_lacks_a_value_is_a_reference_and_no_other():
    missing = torch.zeros(3, 40, 40, dtype=torch.bool)
    missing[1, 17, 22] = True
    grid = hbe.reference_grid((3, 40, 40), 75)
    for top, left in references_of(missing, grid).tolist():
        assert top <= 17 < top + 5
        assert left <= 22 < left + 5
    assert len(references_of(missing, grid)) == 1


@pytest.mark.parametrize("sizes", [[1], [1, 1, 2, 3, 9, 30], list(range(1, 60))])
def test_systems_of_like_sizes_are_solved_together_and_none_is_left_out(sizes):
    runs = list(like_sizes(sizes))
    assert [i for run in runs for i in range(run.start, run.stop)] == list(range(len(sizes)))


def test_a_scratch_is_filled_better_than_by_biharmonic_functions_and_known_pixels_stay():
    clean, missing = photograph(), scratched()
    found = filled(clean, missing)
    simple = biharmonic(torch.where(missing, 0.0, clean), missing.expand(clean.shape))
    assert psnr(found.mean - clean, missing) > psnr(simple - clean, missing) + 0.5
    assert torch.allclose(found.mean[:, ~missing], clean[:, ~missing], atol=1e-6)
    assert float(found.std[:, ~missing].max()) == 0.0
    assert float(found.std[:, missing].min()) > 0.0


def test_few_missing_values_are_restored_as_well_as_when_all_patches_are(monkeypatch):
    clean, missing = photograph(), scratched()
    found = psnr(filled(clean, missing).mean - clean, missing)
    monkeypatch.setattr(hbe, "FEW", 0.0)
    assert found > psnr(filled(clean, missing).mean - clean, missing) - 0.05


def test_a_channel_may_lack_pixels_of_its_own():
    clean = photograph()
    missing = torch.zeros(clean.shape, dtype=torch.bool)
    missing[1] = scratched()
    found = filled(clean, missing)
    alone = filled(clean[1:2], missing[1:2])
    assert psnr(found.mean[1] - clean[1], missing[1]) > psnr(alone.mean[0] - clean[1], missing[1])
    assert torch.allclose(found.mean[::2], clean[::2], atol=1e-6)


@pytest.mark.parametrize("apart", [False, True], ids=["one mask", "a mask of one channel"])
def test_the_compiled_loop_finds_what_the_batched_algebra_finds(apart, monkeypatch):
    clean = photograph()
    missing = scratched().expand(clean.shape) & (torch.tensor([not apart, True, not apart])[:, None, None])
    found = [filled(clean, missing, compiled=compiled) for compiled in (False, True)]
    assert torch.allclose(found[0].mean, found[1].mean, atol=1e-3)
    assert torch.allclose(found[0].std, found[1].std, atol=1e-3)
    assert not torch.equal(found[0].std, found[1].std), "another order of sums: another loop"


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_patches_that_lack_most_of_their_values_have_the_same_by_covariances(share, monkeypatch):
    clean = photograph(40, 44)
    missing = torch.rand(40, 44, generator=torch.Generator().manual_seed(2)) < share
    every = filled(clean, missing, passes=3)
    monkeypatch.setattr(hbe, "FEW", 1.0)
    found = [filled(clean, missing, compiled=compiled, passes=3) for compiled in (False, True)]
    assert torch.allclose(found[0].mean, found[1].mean, atol=1e-3)
    assert torch.allclose(found[0].std, found[1].std, atol=1e-3)
    assert psnr(found[1].mean - clean, missing) == pytest.approx(psnr(every.mean - clean, missing), abs=0.15)


def test_a_patch_that_lacks_too_much_does_not_count_in_the_compiled_loop(monkeypatch):
    clean, missing = photograph(), scratched(width=4)
    monkeypatch.setattr(hbe, "LEAST_KNOWN", 0.6)
    found = [filled(clean, missing, compiled=compiled) for compiled in (False, True)]
    assert found[0].info["left_to_harmonic_filling"] == found[1].info["left_to_harmonic_filling"] > 0
    assert torch.allclose(found[0].mean, found[1].mean, atol=1e-3)


def test_the_same_data_give_the_same_bits_on_any_number_of_threads():
    clean, missing = photograph(160, 160), scratched(160, 160)
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 2, 2):
            torch.set_num_threads(number)
            found.append(filled(clean, missing, compiled=True).mean)
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])
