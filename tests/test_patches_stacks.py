"""Groups of patches across the slices of a stack."""

import numpy as np
import pytest

from bayesdip.patches import patch_search

DEPTH, HEIGHT, WIDTH, SIDE = 5, 20, 24, 4


def places_found(stack, top, left, search):
    """(slice, row, column) and distance of each place that the compiled search looks at."""
    guide = np.ascontiguousarray(stack.reshape(1, -1, WIDTH).astype(np.float32))
    found = np.zeros(patch_search.most_places(search), np.float32)
    places = np.zeros(len(found), np.int32)
    count = patch_search.squared_distances(guide, top, left, SIDE, search, found, places)
    rows, columns = np.divmod(places[:count], WIDTH)
    return dict(zip(zip(rows // HEIGHT, rows % HEIGHT, columns, strict=True), found[:count], strict=True))


@pytest.mark.parametrize(("z", "row", "left"), [(2, 8, 10), (0, 0, 0), (4, 16, 20)])
def test_the_search_looks_at_every_patch_within_reach_in_each_slice(z, row, left):
    stack = np.random.default_rng(0).standard_normal((DEPTH, HEIGHT, WIDTH))
    found = places_found(stack, z * HEIGHT + row, left, (HEIGHT, 3, 2, 30))
    own = stack[z, row : row + SIDE, left : left + SIDE]
    slices = [k for k in range(DEPTH) if abs(k - z) <= 2]
    expected = {}
    for k in slices:
        reach = 3 if k == z else 30
        for r in range(max(0, row - reach), min(HEIGHT - SIDE, row + reach) + 1):
            for c in range(max(0, left - reach), min(WIDTH - SIDE, left + reach) + 1):
                expected[k, r, c] = ((stack[k, r : r + SIDE, c : c + SIDE] - own) ** 2).sum()
    assert found.pop((z, row, left)) == -1
    expected.pop((z, row, left))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-4)


def test_the_search_follows_what_moves_farther_than_its_reach():
    rng = np.random.default_rng(1)
    thing, stack = 5 * rng.standard_normal((SIDE, SIDE)), 0.1 * rng.standard_normal((DEPTH, HEIGHT, WIDTH))
    for z in range(DEPTH):  # three columns a slice, with a search as far as three
        stack[z, 8 : 8 + SIDE, 2 + 3 * z : 2 + 3 * z + SIDE] += thing
    found = places_found(stack, 8, 2, (HEIGHT, 3, 4, 3))
    nearest = sorted(found, key=found.get)[:DEPTH]
    assert sorted(nearest) == [(z, 8, 2 + 3 * z) for z in range(DEPTH)]
