"""How much memory there is, and a refusal of work that cannot fit in it."""

from __future__ import annotations

import torch

from bayesdip.errors import ResourceError


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
            f"{what} needs up to {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free: {instead}"
        )


def keep_freed_memory() -> None:
    """Let the C library reuse blocks of up to 32 MiB instead of giving each back to the system and asking again.

    glibc raises the size from which on it does that to the largest block that was freed so far, up to 32 MiB
    (mallopt(3), ``M_MMAP_THRESHOLD``). Patches make and free blocks of that size by the thousand: filling in 128x128
    pixels spent 0.05 to 1 s of 3.5 s in the system without this, and 0.05 s with it.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
