"""Block matching: distances by products of matrices are those by differences."""

from itertools import chain, product

import pytest
import torch

from bayesdip.patches.block_matching import even_runs, squared_distances
from bayesdip.patches.patch_grid import Patches, evenly_spaced


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(
    ("shape", "patch", "step"), [((9, 61, 58), (3, 4), 2), ((1, 90, 1), (5, 1), 4), ((3, 7, 40), (7, 5), 3)]
)
def test_distances_are_those_of_differences(shape, patch, step, every):
    """Over several batches, at the picture's borders, and for the last reference, which stands closer."""
    guide = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 10
    patches = Patches(*shape[1:], *patch)
    tops, lefts = evenly_spaced(patches.rows - 1, step), evenly_spaced(patches.columns - 1, step)
    reach = (min(6, patches.rows - 1) // every * every, min(9, patches.columns - 1) // every * every)
    lags = tuple(torch.arange(-r, r + 1, every) for r in reach)
    found = squared_distances(guide, patch, tops, lefts, lags)
    table = patches.of(guide).reshape(patches.rows, patches.columns, -1)
    expected = torch.full_like(found, float("inf"))
    for v, h in product(range(len(lags[0])), range(len(lags[1]))):
        rows, columns = tops + lags[0][v], lefts + lags[1][h]
        i, j = ((at >= 0) & (at < n) for at, n in ((rows, patches.rows), (columns, patches.columns)))
        difference = table[rows[i]][:, columns[j]] - table[tops[i]][:, lefts[j]]
        expected[i.nonzero(), j.nonzero().T, v, h] = difference.square().sum(-1)
    assert torch.allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("starts", [[0], [0, 5], [0, 5, 7], [0, 3, 6, 9, 12, 15, 18, 19]])
@pytest.mark.parametrize("every", [1, 3])
def test_runs_hold_every_start_once_at_equal_steps(starts, every):
    found = [starts[run] for run in even_runs(starts, every, 2)]
    assert sorted(chain.from_iterable(found)) == starts
    assert all(len(run) <= 2 for run in found)
    assert all((run[1] - run[0]) % every == 0 for run in found if len(run) == 2)
