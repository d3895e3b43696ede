"""The compiled algebra of small matrices, and the search for similar patches, against NumPy."""

import numpy as np
import pytest

from bayesdip.patches import eigenvectors, patch_search, small_matrices
from bayesdip.patches.machine_code import whole_matrix

SIDE, COUNT = 5, 12


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def held(matrix):
    """A matrix where compiled loops can work on it."""
    found = whole_matrix(*matrix.shape, np.float32)
    found[: matrix.shape[0], : matrix.shape[1]] = matrix
    return found


def eigen(matrix, error=0.0):
    """Values and, as columns, vectors of a symmetric matrix."""
    size = len(matrix)
    values, beside, scales = np.zeros((3, size), np.float32)
    own, work, rows = held(matrix), whole_matrix(3, size, np.float32), whole_matrix(size, size, np.float32)
    eigenvectors.eigen(own, size, np.float32(error), values, rows, beside, scales, work)
    columns = held(rows[:size, :size].T)
    eigenvectors.reflect(own, size, scales, columns, size, work)
    return values, columns[:size, :size]


@pytest.mark.parametrize("size", [1, 2, 7, 16, 36, 48])
def test_eigenvalues_and_vectors_rebuild_the_matrix(size):
    rows = drawn(size + 4, size)
    rows[:, 0] *= 30
    matrix = rows.T @ rows
    values, vectors = eigen(matrix)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(size), atol=1e-5)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=2e-6 * values.max())


def test_eigenvalues_are_off_by_no_more_than_is_allowed():
    rows = drawn(40, 36)
    matrix = rows.T @ rows
    exact = np.linalg.eigvalsh(matrix.astype(np.float64))
    values, vectors = eigen(matrix, error=0.2)
    off = np.abs(np.sort(values) - exact).max()
    assert 1e-3 < off < 2 * 0.2  # both values beside a diagonal one may be taken for zero
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(36), atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-22, 1e-7, 1e12])
def test_eigenvalues_are_finite_where_most_values_are_rounding_errors(scale):
    """Groups of patches that are alike, as in a saturated part of a picture, and at its border."""
    rows = scale**0.5 * drawn(30, 12)
    rows[:, 4:] *= 1e-7
    rows[:, 9:] = 0
    matrix = (rows.T @ rows).astype(np.float32)
    values, vectors = eigen(matrix)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-5)
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, atol=2e-6 * matrix.max())


@pytest.mark.parametrize("size", [1, 4, 13, 32, 49])
def test_factor_and_inverse_factor_are_those_of_the_dense_matrix(size):
    rows = drawn(3 * size, size)
    matrix = (rows.T @ rows).astype(np.float32)
    upper, inverse, square = held(np.triu(matrix)), held(np.zeros_like(matrix)), held(np.zeros_like(matrix))
    small_matrices.cholesky(upper, size, 0.0)
    small_matrices.inverse_factor(upper, size, inverse)
    small_matrices.square_of_factor(inverse, size, held(np.zeros_like(matrix)), square)
    factor = np.triu(upper[:size, :size])
    np.testing.assert_allclose(factor.T @ factor, matrix, rtol=1e-4, atol=1e-3)
    exact = np.linalg.inv(matrix)
    np.testing.assert_allclose(inverse[:size, :size] @ inverse[:size, :size].T, exact, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.triu(square[:size, :size]), np.triu(exact), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (5, 7, 17), (35, 25, 3), (16, 64, 48)])
def test_products_are_those_of_dense_matrices(rows, inner, columns):
    left, right = drawn(rows, inner), drawn(inner, columns, seed=1)
    out, gram = held(np.zeros((rows, columns))), held(np.zeros((inner, inner)))
    small_matrices.product(held(left), held(right), rows, inner, columns, out)
    np.testing.assert_allclose(out[:rows, :columns], left @ right, rtol=1e-4, atol=1e-4)
    small_matrices.gram(held(left), rows, inner, gram)
    np.testing.assert_allclose(np.triu(gram[:inner, :inner]), np.triu(left.T @ left), rtol=1e-4, atol=1e-4)


def test_a_singular_matrix_has_a_finite_factor():
    for rows in (np.zeros((40, 13), np.float32), np.full((40, 13), 102, np.float32)):
        matrix = held(np.triu(rows.T @ rows))
        inverse = np.zeros_like(matrix)
        small_matrices.cholesky(matrix, 13, 100.0)
        small_matrices.inverse_factor(matrix, 13, inverse)
        assert np.isfinite(inverse[:13, :13]).all() and np.abs(inverse[:13, :13]).max() < 10


@pytest.mark.parametrize("radius", [8, 20, 30])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (30, 31), (43, 2)])
def test_a_wide_search_finds_the_nearest_of_all(radius, top, left):
    waves = 8 * np.sin(np.add.outer(np.arange(48), 2 * np.arange(48)) / 6).astype(np.float32)
    picture = np.stack([waves, 3 * waves[::-1]]) + 20 * drawn(2, 48, 48)
    count = (2 * radius + 1) ** 2
    found, places = np.zeros(count, np.float32), np.zeros(count, np.int32)
    n = patch_search.most_similar(picture, top, left, SIDE, (48, radius, 0, 0), 30, found, places)
    every = {}
    for t in range(max(0, top - radius), min(48 - SIDE, top + radius) + 1):
        for s in range(max(0, left - radius), min(48 - SIDE, left + radius) + 1):
            other = picture[:, t : t + SIDE, s : s + SIDE]
            every[t * 48 + s] = ((other - picture[:, top : top + SIDE, left : left + SIDE]) ** 2).sum()
    assert n == 30 and set(places[:30].tolist()) == set(sorted(every, key=every.get)[:30])


@pytest.mark.parametrize("wanted", [1, 30, 300])
def test_a_bound_keeps_the_nearest(wanted):
    for values in (drawn(1000) ** 2, np.sort(drawn(1000) ** 2)[::-1].copy(), np.zeros(1000, np.float32)):
        found, places = values.copy(), np.arange(1000, dtype=np.int32)
        n = patch_search.bounded(found, places, 1000, wanted)
        assert wanted <= n and np.array_equal(values[places[:n]], found[:n])
        assert np.sort(found[:n])[wanted - 1] == np.sort(values)[wanted - 1]


def test_a_search_among_values_that_are_no_numbers_stays_within_them():
    found, places = drawn(400), np.arange(400, dtype=np.int32)
    found[::3] = np.nan
    assert COUNT <= patch_search.bounded(found, places, 400, COUNT) <= 400
    found, places = drawn(400), np.arange(400, dtype=np.int32)
    found[::3] = np.nan
    patch_search.select(found, places, 400, COUNT)
    assert sorted(places) == list(range(400))
