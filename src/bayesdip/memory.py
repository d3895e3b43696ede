"""How much memory there is, a refusal of work that cannot fit in it, and what is free given back."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import cache, wraps
from math import prod
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from bayesdip.errors import ResourceError

# Of malloc.h, for mallopt; and the range in which glibc itself moves the first of them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
SMALLEST_KEPT, LARGEST_KEPT = 128 * 2**10, 32 * 2**20

P = ParamSpec("P")
R = TypeVar("R")


def available_memory(device: str) -> int:
    """Bytes that are free on the device (for the CPU: that the system could give)."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def check_memory(needed: int, device: str, what: str, instead: str) -> None:
    """Refuse work that cannot fit, before it starts.

    Raises
    ------
    ResourceError
        More is needed than the device has free.
    """
    free = available_memory(device)
    if needed > free:
        raise ResourceError(
            f"{what} needs about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free: {instead}"
        )


def tight(
    when: Callable[[int, Mapping[str, object]], bool],
) -> Callable[[Callable[Concatenate[Tensor, P], R]], Callable[Concatenate[Tensor, P], R]]:
    """For work on a picture, (C, *grid), during which freed memory shall go back to the system.

    glibc keeps freed blocks of up to 32 MiB, and the holes between those in use add up to as much as is used.
    Here it keeps those that are small beside the picture, which takes some time. With another C library this
    changes nothing. `when` says, by the number of pixels and the work's keywords, whether it is worth it.
    """

    def decorate(work: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
        @wraps(work)
        def frugally(picture: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R:
            pixels = prod(picture.shape[1:])
            if not when(pixels, kwargs):
                return work(picture, *args, **kwargs)
            _limit_kept(2 * pixels)
            try:
                return work(picture, *args, **kwargs)
            finally:
                _limit_kept(LARGEST_KEPT)

        return frugally

    return decorate


def _limit_kept(size: int) -> None:
    """Blocks from that many bytes on are given back when freed, and what is kept at the end of the heap is cut."""
    c = _glibc()
    if c is not None:
        size = min(max(size, SMALLEST_KEPT), LARGEST_KEPT)
        c.mallopt(M_MMAP_THRESHOLD, size)
        c.mallopt(M_TRIM_THRESHOLD, 2 * size)
        c.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    try:
        c = ctypes.CDLL(None)
    except (OSError, TypeError):  # no such library, as on Windows
        return None
    return c if hasattr(c, "mallopt") and hasattr(c, "malloc_trim") else None
