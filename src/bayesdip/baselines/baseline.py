"""One baseline: what it is for, what can be tuned, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor

from bayesdip.baselines.conversions import noise_level
from bayesdip.errors import BayesDipError
from bayesdip.operators import Blur, Compose, Downsample, Identity, Mask, Operator
from bayesdip.problem import Problem

# Modules that are not dependencies of the package, and how to get them.
OPTIONAL = {
    "cv2": "OpenCV is not installed: pip install 'bayesdip[compare]'",
    "pywt": "PyWavelets is not installed: pip install 'bayesdip[compare]'",
    "bm3d": "the package bm3d is not installed: its licence allows non-commercial use only, so it is yours to add",
}


@dataclass(frozen=True)
class Baseline:
    """A classical method with at most one parameter.

    Attributes
    ----------
    name : str
    tasks : tuple of {"denoise", "inpaint", "upscale", "deblur"}
        What it is made for.
    function : callable
        ``function(problem, value)`` gives the picture, float64 (C, M, N), in working units.
    source : str
        The library's function that does the work.
    values : tuple of float
        What is tried when it is tuned.
    default : float
        What one takes without tuning; one of `values`.
    unit : str
        What the value is, in words that follow it: ``"x sigma"``, ``"iterations"``. Empty where there is
        nothing to tune.
    needs : str
        A module that is not a dependency of the package; empty when there is none.
    """

    name: str
    tasks: tuple[str, ...]
    function: Callable[[Problem, float], Tensor]
    source: str
    values: tuple[float, ...] = (0.0,)
    default: float = 0.0
    unit: str = ""
    needs: str = ""

    def applies(self, problem: Problem) -> bool:
        """Whether it is made for the problem: a picture, and one of its tasks.

        Denoisers also apply to noisy pictures with missing pixels: these are filled in first.
        """
        task = task_of(problem.operator)
        noisy_holes = task == "inpaint" and "denoise" in self.tasks and noise_level(problem) > 0
        return len(problem.grid) == 2 and (task in self.tasks or noisy_holes)

    def describe(self, value: float) -> str:
        """Its setting in a few words."""
        return f"{value:g} {self.unit}" if self.unit else ""

    def restore(self, problem: Problem, value: float | None = None) -> Tensor:
        """The restored picture.

        Parameters
        ----------
        problem : Problem
        value : float, optional
            Of its parameter; by default `default`.

        Returns
        -------
        Tensor, float64, shape (C, M, N)
            In working units.

        Raises
        ------
        BayesDipError
            It is not made for this problem, its library is not installed, or the library fails.
        """
        if not self.applies(problem):
            raise BayesDipError(
                f"{self.name} was given {problem.operator!r}: expected a picture to {' or '.join(self.tasks)}; "
                "choose another method"
            )
        if self.needs and find_spec(self.needs) is None:
            raise BayesDipError(OPTIONAL[self.needs])
        try:
            restored = self.function(problem, self.default if value is None else value)
        except BayesDipError:
            raise
        except Exception as error:  # of another library, of any kind; the comparison goes on without it
            raise BayesDipError(f"{self.source} failed: {error}; choose another method") from error
        if not bool(restored.isfinite().all()):
            raise BayesDipError(f"{self.source} gave values that are not finite: choose another method")
        return restored

    def tune(self, problem: Problem, error: Callable[[Tensor], float]) -> tuple[float, Tensor]:
        """Try every one of `values`; gives that of least error, and the picture that it gave.

        Parameters
        ----------
        problem : Problem
            Without the data that the error is measured on.
        error : callable
            From a restored picture (C, M, N) in working units to a number; less is better.

        Raises
        ------
        BayesDipError
            As for :meth:`restore`.
        """
        tried = []
        for value in self.values:
            restored = self.restore(problem, value)
            tried.append((error(restored), value, restored))
        _, best, restored = min(tried, key=lambda trial: trial[0])
        return best, restored


def task_of(operator: Operator) -> str | None:
    """Which task an operator poses: ``"denoise"``, ``"inpaint"``, ``"upscale"``, ``"deblur"``, or None for another.

    Outputs that are held out from a blur or a downsampling do not count.
    """
    inner = operator.inner if isinstance(operator, Compose) and isinstance(operator.outer, Mask) else operator
    kinds = (("denoise", Identity), ("inpaint", Mask), ("upscale", Downsample), ("deblur", Blur))
    return next((task for task, kind in kinds if isinstance(inner, kind)), None)
