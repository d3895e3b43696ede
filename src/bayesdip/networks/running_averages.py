"""Running averages over a chain of pictures, which itself is not kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Moments:
    """Mean and variance by Welford's recurrence (Technometrics 1962), in double precision where the device has it.

    Attributes
    ----------
    count : int
    mean : Tensor or None
    squares : Tensor or None
        Sum of squared deviations from the mean.
    """

    count: int = 0
    mean: Tensor | None = None
    squares: Tensor | None = None

    def add(self, picture: Tensor) -> None:
        """Count a picture; all of them have one shape."""
        x = picture.detach().to(torch.float32 if picture.device.type == "mps" else torch.float64)
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = 1, x.clone(), torch.zeros_like(x)
            return
        self.count += 1
        delta = x - self.mean
        self.mean += delta / self.count
        self.squares += delta * (x - self.mean)

    @property
    def std(self) -> Tensor | None:
        """Standard deviation of the chain; None with fewer than two pictures."""
        if self.squares is None or self.count < 2:
            return None
        return (self.squares / (self.count - 1)).sqrt()


@dataclass
class Thinned:
    """At most ``capacity`` pictures, evenly spread over a chain of unknown length.

    When full, every second one is dropped and the stride doubles; what stays is an evenly
    thinned chain, oldest first.

    Attributes
    ----------
    capacity : int
        At least 0.
    stride : int
        Distance of two kept pictures in the chain.
    seen : int
        Length of the chain so far.
    pictures : list of Tensor
        The kept ones.
    """

    capacity: int
    stride: int = 1
    seen: int = 0
    pictures: list[Tensor] = field(default_factory=list)

    def add(self, picture: Tensor) -> None:
        """Count a picture, and keep it if it is its turn."""
        if self.capacity > 0 and self.seen % self.stride == 0:
            if len(self.pictures) == self.capacity:
                self.pictures = self.pictures[::2]
                self.stride *= 2
            if self.seen % self.stride == 0:
                self.pictures.append(picture.detach().clone())
        self.seen += 1

    def stack(self, like: Tensor) -> Tensor:
        """All that is kept.

        Parameters
        ----------
        like : Tensor
            A picture, for shape, type and device where none is kept.

        Returns
        -------
        Tensor, shape (S, *like.shape)
        """
        return torch.stack(self.pictures) if self.pictures else like.new_empty((0, *like.shape))


@dataclass
class ExponentialAverage:
    """Exponentially weighted average of pictures, bias-corrected. It is not a posterior mean.

    Attributes
    ----------
    decay : float
        0 to 1 (exclusive); 0 keeps the last picture alone.
    """

    decay: float = 0.99
    weight: float = 0.0
    total: Tensor | None = None

    def add(self, picture: Tensor) -> None:
        """Count a picture; all of them have one shape."""
        x = picture.detach()
        self.total = (1 - self.decay) * x if self.total is None else self.total.lerp_(x, 1 - self.decay)
        self.weight = self.decay * self.weight + (1 - self.decay)

    @property
    def mean(self) -> Tensor | None:
        """The average; None before the first picture."""
        return None if self.total is None else self.total / self.weight
