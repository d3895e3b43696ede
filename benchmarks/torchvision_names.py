"""DeepInverse needs torchvision, whose build for CUDA does not load beside a torch for the CPU alone."""

from __future__ import annotations

import sys

import torch

# torchvision gives these two operators a Python side when it is imported; they come from a library that is not loaded then.
NAMES = ("nms", "qnms")
_kept: list[torch.library.Library] = []


def make_importable() -> None:
    """Declare the operators whose absence keeps torchvision from being imported; nothing where it can be."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in NAMES:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)  # or they are gone with it
