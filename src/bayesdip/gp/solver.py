"""How the systems of one posterior are solved."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.gp.conjugate_gradients import Solution, Stop, conjugate_gradients, refined
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.preconditioners import Preconditioner


@dataclass(frozen=True)
class Solver:
    """``(system, b) -> Solution`` of ``(A K A^T + N) a = b`` to a relative residual of `tol`.

    In `dtype`. With `refine`, and for right-hand sides in double precision, the solution is corrected by its
    residual in double precision, and is in that.
    """

    precondition: Preconditioner
    dtype: torch.dtype
    tol: float
    max_iterations: int
    stop: Stop | None
    refine: bool = False

    def __call__(self, system: DataCovariance, b: Tensor, start: Tensor | None = None) -> Solution:
        def approximate_inverse(r: Tensor, active: Tensor) -> Tensor:
            return self.precondition(r, system.channel[active])

        if self.refine or b.dtype != self.dtype:
            return refined(
                system.apply,
                system.to(self.dtype).apply,
                b,
                self.dtype,
                precondition=approximate_inverse,
                tol=self.tol,
                max_iterations=self.max_iterations,
                stop=self.stop,
                start=start,
            )
        return conjugate_gradients(
            system.apply,
            b,
            precondition=approximate_inverse,
            tol=self.tol,
            max_iterations=self.max_iterations,
            stop=self.stop,
            start=start,
        )
