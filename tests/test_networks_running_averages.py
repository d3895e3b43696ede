"""Running averages of a chain equal those of the whole chain."""

from itertools import pairwise

import torch

from bayesdip.networks.running_averages import ExponentialAverage, Moments, Thinned


def chain(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [1000 + torch.randn(2, 3, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_running_moments_equal_those_of_the_whole_chain():
    pictures, moments = chain(50), Moments()
    for picture in pictures:
        moments.add(picture)
    whole = torch.stack(pictures)
    assert torch.allclose(moments.mean, whole.mean(0), rtol=1e-12)
    assert torch.allclose(moments.std, whole.std(0), rtol=1e-9)


def test_one_picture_has_no_standard_deviation():
    moments = Moments()
    moments.add(torch.ones(3))
    assert moments.std is None


def test_thinned_chain_is_evenly_spread_and_never_over_capacity():
    for length in (1, 4, 5, 9, 37, 100):
        thinned = Thinned(4)
        for i in range(length):
            thinned.add(torch.tensor(float(i)))
        kept = [int(p) for p in thinned.pictures]
        gaps = {b - a for a, b in pairwise(kept)}
        assert kept[0] == 0 and len(kept) <= 4 and gaps <= {thinned.stride}
        assert length - kept[-1] <= thinned.stride  # it reaches to the end of the chain


def test_no_capacity_keeps_nothing():
    thinned = Thinned(0)
    thinned.add(torch.ones(2))
    assert thinned.stack(torch.ones(2)).shape == (0, 2)


def test_exponential_average_has_no_bias_towards_its_start():
    average = ExponentialAverage(decay=0.99)
    for _ in range(3):
        average.add(torch.full((2,), 5.0))
    assert torch.allclose(average.mean, torch.full((2,), 5.0))
