"""Values as JSON and tensors, and one file of both: safetensors, with the JSON in its header. Nothing in it is ever run."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

STATE = "state"
_PLAIN = (type(None), bool, int, str)


def encoded(value: Any) -> bytes:
    """A value as the content of a file.

    Parameters
    ----------
    value : object
        None, a bool, int, float or str, a tensor or array, or a list, tuple, deque, dictionary or dataclass of such.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        Something else is in it.
    """
    tensors: dict[int, Tensor] = {}
    tree = _tree(value, tensors)
    laid_out = {str(n): _slowest_axis_first(tensor) for n, tensor in enumerate(tensors.values())}
    return save(laid_out, {STATE: json.dumps(tree, allow_nan=False)})


def decoded(content: bytes, classes: tuple[type, ...] = (), device: str = "cpu") -> Any:
    """The value back from such a content.

    Parameters
    ----------
    content : bytes
    classes : tuple of type
        The dataclasses that may be in it.
    device : str
        For the tensors that were not on the CPU.

    Returns
    -------
    object
        Tensors have the values, the type and the memory layout that they had.

    Raises
    ------
    ValueError
        The content is damaged, or not of this kind.
    """
    try:
        size = int.from_bytes(content[:8], "little")
        tree = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][STATE])
        tensors = load(content)
        return _Decoder(tensors, {cls.__name__: cls for cls in classes}, device).value(tree)
    except Exception as error:  # whatever a damaged file brings about
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _tree(value: Any, tensors: dict[int, Tensor]) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, Tensor):
        return _tensor(value, tensors)
    if isinstance(value, np.generic):
        return _tree(value.item(), tensors)
    if isinstance(value, np.ndarray):
        return {"array": _tensor(torch.from_numpy(np.ascontiguousarray(value)), tensors)}
    if isinstance(value, list):
        return [_tree(part, tensors) for part in value]
    if isinstance(value, tuple | deque):
        kind = "deque" if isinstance(value, deque) else "tuple"
        return {kind: [_tree(part, tensors) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[_tree(key, tensors), _tree(part, tensors)] for key, part in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: _tree(getattr(value, f.name), tensors) for f in fields(value) if f.init}
        return {"class": type(value).__name__, "fields": named}
    raise TypeError(f"{type(value).__name__} cannot be kept in a checkpoint")


def _tensor(value: Tensor, tensors: dict[int, Tensor]) -> dict[str, Any]:
    """Note a tensor, and where it stands: one that is met twice is kept once."""
    tensors.setdefault(id(value), value)
    name = str(list(tensors).index(id(value)))
    return {"tensor": name, "order": _order(value), "device": value.device.type}


def _order(value: Tensor) -> list[int]:
    """Its axes from the slowest to the fastest: in the same layout, sums come out to the same bits."""
    strides = value.stride()
    return sorted(range(value.ndim), key=lambda axis: -strides[axis])


def _slowest_axis_first(value: Tensor) -> Tensor:
    return value.detach().permute(_order(value)).contiguous().cpu().clone()


class _Decoder:
    def __init__(self, tensors: dict[str, Tensor], classes: dict[str, type], device: str) -> None:
        self.tensors, self.classes, self.device = tensors, classes, device

    def value(self, tree: Any) -> Any:
        if isinstance(tree, (*_PLAIN, float)):
            return tree
        if isinstance(tree, list):
            return [self.value(part) for part in tree]
        if "float" in tree:
            return float(tree["float"])
        if "tensor" in tree:
            return self._tensor(tree)
        if "array" in tree:
            return self._tensor(tree["array"]).numpy()
        if "tuple" in tree:
            return tuple(self.value(part) for part in tree["tuple"])
        if "deque" in tree:
            return deque(self.value(part) for part in tree["deque"])
        if "dict" in tree:
            return {self.value(key): self.value(part) for key, part in tree["dict"]}
        parts = {name: self.value(part) for name, part in tree["fields"].items()}
        return self.classes[tree["class"]](**parts)

    def _tensor(self, tree: dict[str, Any]) -> Tensor:
        order: list[int] = tree["order"]
        found = self.tensors[tree["tensor"]].permute([order.index(axis) for axis in range(len(order))])
        return found if tree["device"] == "cpu" else found.to(self.device)
