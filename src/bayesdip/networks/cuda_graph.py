"""A piece of work that is always the same, recorded once on a GPU and then played back.

A small network's step is hundreds of short kernels, and starting them one by one takes longer than
running them. A CUDA graph starts all of them at once. What is recorded must always read and write the
same tensors, and may not ask the GPU for anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made", bound=Tensor | tuple[Tensor, ...] | list[Tensor])
# PyTorch's own advice: libraries choose their kernels and take their workspace in the first runs.
WARMING_RUNS = 3


def captured(work: Callable[[], Made], generator: torch.Generator) -> Callable[[], Made]:
    """``work``, which on a GPU is a recording of itself.

    What the recording gives back are always the same tensors, overwritten by the next call: use
    or copy them before it.

    Parameters
    ----------
    work : callable
        Without arguments. It reads tensors that are changed in place between calls.
    generator : torch.Generator
        All randomness of ``work`` comes from it; each playing draws anew. Its device is that of the work.

    Returns
    -------
    callable
        ``work`` itself where there is no CUDA device, or where it cannot be recorded.
    """
    if generator.device.type != "cuda":
        return work
    try:
        return _record(work, generator)
    except (RuntimeError, AttributeError):  # something in it asks the GPU, or PyTorch is too old
        torch.cuda.synchronize(generator.device)
        return work


def _record(work: Callable[[], Made], generator: torch.Generator) -> Callable[[], Made]:
    with torch.cuda.device(generator.device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARMING_RUNS):
                work()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            made = work()

    def play() -> Made:
        graph.replay()
        return made

    return play
