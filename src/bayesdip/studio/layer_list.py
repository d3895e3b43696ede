"""A network written as a list of layers, one after another, for the page *Prior*."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from bayesdip import arch as archs
from bayesdip.arch import Architecture, GridRule
from bayesdip.errors import BayesDipError
from bayesdip.studio.limits import Refused

PREFIX = "layers:"
MOST_LAYERS, MOST_LEVELS = 40, 5


def _number(word: str, kind: type[Any]) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise Refused(f"{word[:20]!r} in the list of layers: expected a number") from None


# Each word's layer, from the word after it (or what stands for none) and the width.
WORDS: dict[str, tuple[str, Callable[[str, int], archs.Layer]]] = {
    "conv": ("3", lambda word, width: archs.Conv(width, _number(word, int))),
    "norm": ("", lambda word, width: archs.BatchNorm()),
    "relu": ("0", lambda word, width: archs.LeakyReLU(_number(word, float))),
    "gelu": ("", lambda word, width: archs.GELU()),
    "erf": ("", lambda word, width: archs.Erf()),
    "sigmoid": ("", lambda word, width: archs.Sigmoid()),
    "up": ("bilinear", lambda word, width: archs.Upsample(word)),
    "down": ("stride", lambda word, width: archs.Downsample(word)),
}


@dataclass(frozen=True, kw_only=True)
class LayerList(Architecture):
    """Layers one after another, and a convolution of size 1 to the picture's channels.

    Attributes
    ----------
    words : tuple of str
        One for each layer: ``"conv 3"``, ``"norm"``, ``"relu 0.2"``, ``"up bilinear"``, ``"down stride"``, ...
    """

    words: tuple[str, ...] = ()

    name: ClassVar[str] = "layers"

    def layers(self, channels: int = 1, dims: int = 2) -> archs.Layer:
        return archs.Sequential((*(_layer(word, self.width) for word in self.words), archs.Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        level, deepest = 0, 0
        for word in self.words:
            level += {"down": 1, "up": -1}.get(word.split()[0], 0)
            deepest = max(deepest, level)
        return GridRule(multiple=2**deepest, smallest=4 * 2**deepest, magnification=2**-level)

    def describe(self) -> str:
        return f"{PREFIX} {', '.join(self.words)}"


def architecture(text: str) -> Architecture:
    """A list of layers (``"layers: conv 3, relu 0.2, up bilinear"``), or what :func:`bayesdip.arch.named` reads.

    Raises
    ------
    BayesDipError
        There is no such network or layer, or the list is too long.
    """
    if not text.strip().startswith(PREFIX):
        return archs.named(text)
    words = tuple(
        " ".join(word.split()) for word in text.strip().removeprefix(PREFIX).split(",") if word.strip()
    )
    if len(words) > MOST_LAYERS:
        raise Refused(f"there are {len(words)} layers: expected at most {MOST_LAYERS}")
    for word in words:
        _layer(word, 1)
    ups, downs = (sum(word.split()[0] == kind for word in words) for kind in ("up", "down"))
    if downs > ups or max(ups, downs) > MOST_LEVELS:
        raise Refused(
            f"the grid is halved {downs} and doubled {ups} times: expected at most {MOST_LEVELS}, and at least as many doublings"
        )
    return LayerList(words=words)


def _layer(text: str, width: int) -> archs.Layer:
    word, _, setting = text.partition(" ")
    if word not in WORDS:
        raise BayesDipError(
            f"there is no layer {text[:20]!r}: expected one of {', '.join(WORDS)}; use one of these"
        )
    default, make = WORDS[word]
    if setting and not default:
        raise Refused(f"{text[:30]!r} is no layer: expected {word!r} alone, which has no setting")
    return make(setting or default, width)
