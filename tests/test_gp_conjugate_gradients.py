"""Conjugate gradients against direct solves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesdip.gp.conjugate_gradients import conjugate_gradients, refined


def system(n: int = 30, condition: float = 1e3) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    Q, _ = torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64))
    A = Q @ torch.logspace(0, torch.tensor(condition).log10(), n, dtype=torch.float64).diag() @ Q.T
    return (A + A.T) / 2, torch.randn(4, n, generator=g, dtype=torch.float64)


def test_conjugate_gradients_equal_the_direct_solve() -> None:
    A, b = system()
    b[2] = 0
    solution = conjugate_gradients(lambda v, _: v @ A, b, tol=1e-12)
    assert solution.converged
    torch.testing.assert_close(solution.x, torch.linalg.solve(A, b.T).T, rtol=1e-8, atol=1e-10)


def test_right_hand_sides_that_have_converged_leave_the_batch() -> None:
    A, b = system()
    b[0] = torch.linalg.eigh(A).eigenvectors[:, 0]  # done in one step
    seen: list[int] = []

    def apply(v: Tensor, active: Tensor) -> Tensor:
        seen.append(len(active))
        return v @ A

    conjugate_gradients(apply, b, tol=1e-6)
    assert seen[0] == 4 and seen[1] == 3


def test_the_reported_residual_is_the_true_one() -> None:
    A, b = system()
    solution = conjugate_gradients(lambda v, _: v @ A, b, tol=1e-30, max_iterations=7)
    true = ((b - solution.x @ A).norm(dim=1) / b.norm(dim=1)).max()
    assert not solution.converged and solution.stopped == "max_iterations" and solution.iterations == 7
    assert solution.residual == pytest.approx(float(true), rel=1e-6)


def test_a_perfect_preconditioner_needs_one_step() -> None:
    A, b = system()
    inverse = torch.linalg.inv(A)
    solution = conjugate_gradients(lambda v, _: v @ A, b, precondition=lambda v, _: v @ inverse, tol=1e-8)
    assert solution.iterations == 1


def test_a_warm_start_at_the_solution_needs_no_step() -> None:
    A, b = system()
    assert (
        conjugate_gradients(lambda v, _: v @ A, b, start=torch.linalg.solve(A, b.T).T, tol=1e-8).iterations
        == 0
    )


@pytest.mark.parametrize("how", ["stopped", "interrupt"])
def test_a_stop_gives_the_best_so_far(how: str) -> None:
    A, b = system()

    def stop(iteration: int, residual: float) -> bool:
        if iteration == 5 and how == "interrupt":
            raise KeyboardInterrupt
        return iteration == 5

    solution = conjugate_gradients(lambda v, _: v @ A, b, tol=1e-12, stop=stop)
    same = conjugate_gradients(lambda v, _: v @ A, b, tol=1e-12, max_iterations=5)
    assert solution.stopped == how
    torch.testing.assert_close(solution.x, same.x)


def test_refinement_reaches_double_precision_with_single_precision_steps() -> None:
    A, b = system(condition=1e2)
    low = A.float()
    solution = refined(lambda v, _: v @ A, lambda v, _: v @ low, b, torch.float32, tol=1e-12)
    assert solution.converged and solution.residual < 1e-12
    torch.testing.assert_close(solution.x, torch.linalg.solve(A, b.T).T, rtol=1e-9, atol=1e-11)
