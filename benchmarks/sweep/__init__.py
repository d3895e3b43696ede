"""Random problems with a truth: pictures, noise, masks, operators and point spread functions of all kinds."""

from __future__ import annotations

from benchmarks.sweep.choices import Choices, Seeded
from benchmarks.sweep.problem import RandomProblem
from benchmarks.sweep.tasks import random_problem

__all__ = ["Choices", "RandomProblem", "Seeded", "random_problem"]
