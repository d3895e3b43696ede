"""Seismic sections: receivers that recorded nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.operator import as_grid
from bayesdip.operators.pixelwise import Mask


class MissingTraces(Mask):
    """A seismic section of which some traces are missing: interpolation, or regularisation, of seismic data.

    A :class:`Mask` of whole lines along the axis of time.

    Parameters
    ----------
    shape : sequence of int
        The section's grid: time and receivers, and further axes.
    missing : sequence of int or of bool
        Numbers of the traces that are missing, from 0; or for each trace whether it is.
    axis : int
        The axis along which receivers stand. By default the last one.

    Raises
    ------
    ShapeError
        The grid has one axis alone, or there are not as many flags as traces.
    BayesDipError
        A number is not that of a trace, or all traces are missing.

    Examples
    --------
    >>> import bayesdip as bd
    >>> bd.operators.MissingTraces((2, 4), [1, 2]).missing
    tensor([[False,  True,  True, False],
            [False,  True,  True, False]])
    """

    def __init__(self, shape: Sequence[int], missing: Any, axis: int = -1) -> None:
        grid = as_grid(shape)
        if len(grid) < 2 or not -len(grid) <= axis < len(grid):
            raise ShapeError(
                f"shape is {grid} and axis {axis}: expected time, receivers, and an axis of these; say which axis is theirs"
            )
        traces = grid[axis]
        flags = _flags(as_tensor(missing), traces)
        if flags.all():
            raise BayesDipError(f"all {traces} traces are missing: expected some that were recorded")
        along = [1] * len(grid)
        along[axis] = traces
        super().__init__(flags.reshape(along), grid)


def _flags(missing: torch.Tensor, traces: int) -> torch.Tensor:
    """For each trace whether it is missing."""
    if missing.dtype == torch.bool:
        if missing.shape != (traces,):
            raise ShapeError(
                f"missing has shape {tuple(missing.shape)}: expected {(traces,)}, a flag for each trace"
            )
        return missing
    wrong = [n for n in missing.flatten().tolist() if n != int(n) or not 0 <= n < traces]
    if wrong:
        raise BayesDipError(
            f"missing names trace {wrong[0]}: expected whole numbers from 0 to {traces - 1}; count traces from 0"
        )
    flags = torch.zeros(traces, dtype=torch.bool)
    flags[missing.flatten().long()] = True
    return flags
