"""The description of a network: its settings, its latent input and its tree of layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from bayesdip.arch.activations import Sigmoid
from bayesdip.arch.latent_input import INPUTS, LatentInput
from bayesdip.arch.layers import Gain, Layer
from bayesdip.arch.network import GridRule
from bayesdip.arch.padding import PADDINGS
from bayesdip.arch.resampling import DOWNSAMPLINGS, POOLINGS, UPSAMPLINGS
from bayesdip.errors import BayesDipError

OUTPUTS: dict[str, tuple[Layer, ...]] = {
    "sigmoid": (Sigmoid(),),
    "linear": (),
    "sigmoid255": (Sigmoid(), Gain(255.0)),
}
# What a setting of that name may be, in every architecture.
CHOICES: dict[str, tuple[str, ...]] = {
    "input": INPUTS,
    "output": tuple(OUTPUTS),
    "padding": PADDINGS,
    "upsample": UPSAMPLINGS,
    "downsample": DOWNSAMPLINGS,
    "pooling": POOLINGS,
}


@dataclass(frozen=True, kw_only=True)
class Description(ABC):
    """What every network is described by; :class:`~bayesdip.arch.Architecture` adds its readings.

    Attributes
    ----------
    width : int
        Features of the main path.
    input_depth : int
        Features of the noise that goes in.
    input : "uniform", "normal" or "mesh"
        Its distribution, per pixel and feature: uniform in 0..1, or standard normal. A mesh
        is no noise but the pixel's coordinates, 0 to 1 along each axis, one feature an axis.
    input_scale : float
        What the input is multiplied by (0.1 in the code of Deep Image Prior).
    input_smoothness : float
        Standard deviation, in input pixels, of a Gaussian that smooths the noise; its
        variance is kept. 0 is white noise.
    output : "sigmoid", "linear" or "sigmoid255"
        The squashing of the output: to 0..1, none, or to 0..255 for data in that range. Every
        kernel is of the output before it.

    Raises
    ------
    BayesDipError
        A setting that is out of range; the message names it.
    """

    width: int = 128
    input_depth: int = 32
    input: str = "uniform"
    input_scale: float = 0.1
    input_smoothness: float = 0.0
    output: str = "sigmoid"

    name: ClassVar[str]
    may_be_zero: ClassVar[tuple[str, ...]] = ()  # the counts that may be 0; others are at least 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            choices = CHOICES.get(field.name)
            if choices and value not in choices:
                raise BayesDipError(
                    f"{self.name} was given {field.name}={value!r}; it is one of {', '.join(choices)}. "
                    "Choose one of these."
                )
            least = 0 if field.name in self.may_be_zero else 1
            if type(default) is int and (not isinstance(value, int) or value < least):
                raise BayesDipError(
                    f"{self.name} was given {field.name}={value!r}; a whole number of at least {least} was "
                    "expected: change it."
                )
        self.latent_input  # noqa: B018 - checks its settings

    @abstractmethod
    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        """The tree of layers, without the squashing of the output.

        Parameters
        ----------
        channels : int
            Of the picture.
        dims : int
            Axes of the grid: 1, 2 or 3.

        Returns
        -------
        Layer
        """

    @abstractmethod
    def grid_rule(self) -> GridRule:
        """Which input grids the tree can work on.

        Returns
        -------
        GridRule
        """

    @property
    def latent_input(self) -> LatentInput:
        """What goes in."""
        return LatentInput(self.input_depth, self.input, self.input_scale, self.input_smoothness)

    def describe(self) -> str:
        """The name, and every setting that is not the default.

        Returns
        -------
        str
            One line, such as ``"skip(scales=2)"``; :func:`bayesdip.arch.named` reads it back.
        """
        changed = [
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return f"{self.name}({', '.join(changed)})"

    def to_dict(self) -> dict[str, Any]:
        """All settings and the name, as plain values.

        Returns
        -------
        dict
            :func:`bayesdip.arch.from_dict` reads it back.
        """
        return {"name": self.name, **asdict(self)}

    @classmethod
    def with_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The description with these settings.

        Parameters
        ----------
        settings : mapping
            From the name of a setting to its value; the others have their defaults.

        Returns
        -------
        Architecture
            Of this class.

        Raises
        ------
        BayesDipError
            A field that it does not have; the message lists the known ones.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise BayesDipError(
                f"The architecture {cls.name!r} has no setting {', '.join(unknown)}; "
                f"its settings are {', '.join(known)}. Use these."
            )
        return cls(**settings)
