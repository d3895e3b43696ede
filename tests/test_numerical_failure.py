"""A system of equations that a method cannot solve ends in one line, with the cause kept; a defect stays a defect."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class Failing(Method):
    error: type[Exception] = torch.linalg.LinAlgError

    name: ClassVar[str] = "failing"
    summary: ClassVar[str] = "raises an error"

    def fit(self, problem, progress):
        raise self.error("the input is\nnot positive-definite")


@pytest.mark.parametrize("error", [torch.linalg.LinAlgError, np.linalg.LinAlgError])
def test_a_singular_system_is_one_line_with_its_cause(error):
    with pytest.raises(BayesDipError, match="'failing' met a system of equations") as caught:
        bd.denoise(np.random.default_rng(0).random((16, 16)), sigma=0.1, method=Failing(error=error))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize("error", [RuntimeError, ZeroDivisionError])
def test_other_errors_are_not_hidden(error):
    with pytest.raises(error, match="not positive-definite"):
        bd.denoise(np.random.default_rng(0).random((16, 16)), sigma=0.1, method=Failing(error=error))
