"""The state of objects that change while a run goes on: taken as plain values, and given back to objects of the same making."""

from __future__ import annotations

from collections import deque
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

_PLAIN = (type(None), bool, int, float, str, Tensor)
_NOTHING = object()


def state_of(thing: Any) -> Any:
    """What may have changed in a thing since it was made.

    Of an object it takes every attribute that is a number, a text, a tensor, a generator, an optimiser, or a container or
    object of such. What is fixed once it is made (frozen dataclasses, modules, functions) is left out.

    Parameters
    ----------
    thing : object

    Returns
    -------
    object
        For :func:`give_back` and :func:`~bayesdip.resuming.encoding.encoded`.
    """
    found = _state(thing)
    if found is _NOTHING:
        raise TypeError(f"{type(thing).__name__} has no state that can be kept")
    return found


def give_back(thing: Any, state: Any) -> Any:
    """Bring a thing to a state that another one of the same making had.

    Tensors are overwritten in place where they fit, so that whoever shares them sees it.

    Parameters
    ----------
    thing : object
    state : object
        What :func:`state_of` gave.

    Returns
    -------
    object
        `thing`, or what stands for it where it cannot be changed in place.
    """
    if isinstance(thing, torch.Generator):
        thing.set_state(state)
        return thing
    if isinstance(thing, torch.optim.Optimizer):
        _load_optimiser(thing, state)
        return thing
    if isinstance(thing, Tensor) and isinstance(state, Tensor):
        return _overwritten(thing, state)
    if isinstance(state, dict) and _has_attributes(thing):
        for name, value in state.items():
            object.__setattr__(thing, name, give_back(getattr(thing, name, None), value))
        return thing
    if isinstance(state, dict):
        named = thing if isinstance(thing, dict) else {}
        return {key: give_back(named.get(key), value) for key, value in state.items()}
    if isinstance(state, list | tuple | deque):
        own = thing if isinstance(thing, type(state)) and len(thing) == len(state) else [None] * len(state)
        return type(state)(give_back(a, b) for a, b in zip(own, state, strict=True))
    return state


def _state(thing: Any) -> Any:
    if isinstance(thing, _PLAIN):
        return thing
    if isinstance(thing, torch.Generator):
        return thing.get_state()
    if isinstance(thing, torch.optim.Optimizer):
        rates = [{k: v for k, v in g.items() if k != "params"} for g in thing.state_dict()["param_groups"]]
        return {"state": thing.state_dict()["state"], "groups": rates}
    if isinstance(thing, list | tuple | deque):
        parts = [_state(part) for part in thing]
        return _NOTHING if _NOTHING in parts_of(parts) else type(thing)(parts)
    if isinstance(thing, dict):
        named = {key: _state(part) for key, part in thing.items()}
        return _NOTHING if _NOTHING in parts_of(named.values()) else named
    if _has_attributes(thing):
        of_names = {name: _state(value) for name, value in vars(thing).items()}
        return {name: value for name, value in of_names.items() if value is not _NOTHING}
    return _NOTHING


def parts_of(parts: Any) -> list[Any]:
    """Those that are `_NOTHING`: tensors cannot be compared with ``in``."""
    return [part for part in parts if part is _NOTHING]


def _has_attributes(thing: Any) -> bool:
    """Whether it is an object whose attributes change: a dataclass that is not frozen, or one that says so."""
    if isinstance(thing, type | nn.Module) or callable(thing):
        return False
    if is_dataclass(thing):
        kind: Any = type(thing)
        return not kind.__dataclass_params__.frozen
    return bool(getattr(thing, "changes", False))


@torch.no_grad()
def _overwritten(tensor: Tensor, state: Tensor) -> Tensor:
    shared = any(stride == 0 and n > 1 for stride, n in zip(tensor.stride(), tensor.shape, strict=True))
    if tensor.shape != state.shape or tensor.dtype != state.dtype or shared:
        return state
    return tensor.copy_(state)


def _load_optimiser(optimiser: torch.optim.Optimizer, state: Any) -> None:
    own = optimiser.state_dict()
    groups = [g | kept for g, kept in zip(own["param_groups"], state["groups"], strict=True)]
    optimiser.load_state_dict({"state": state["state"], "param_groups": groups})
