"""The correlation of stationary noise on the data's grid, applied by FFT on a torus that it does not reach around."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdip.noise import Correlated
from bayesdip.noise.torus import filtered, root_of, torus_of


@dataclass(frozen=True)
class SharedNoise:
    """``R``, the correlation of the noise of rows of channels that are solved together.

    Attributes
    ----------
    shape, torus : tuple of int
        The data's grid, and the torus on which it is a circular convolution.
    spectrum : Tensor, shape (M, G, G, *frequencies)
        M is 1 (shared) or the number of rows; of G channels together.
    """

    shape: tuple[int, ...]
    torus: tuple[int, ...]
    spectrum: Tensor

    @classmethod
    def of(cls, noise: Correlated, channels: int, shape: tuple[int, ...], *, together: bool) -> SharedNoise:
        """On data (C, *shape): of all channels together, or of each by itself, in a row of its own.

        Parameters
        ----------
        noise : Correlated
        channels : int
        shape : tuple of int
        together : bool

        Returns
        -------
        SharedNoise
        """
        torus = torus_of(shape, noise.correlation(channels, len(shape)).shape[2:])
        spectrum = noise.spectrum(channels, torus)
        if together and channels > 1:
            return cls(shape, torus, spectrum[None])
        own = torch.stack([spectrum[c, c].real for c in range(channels)])
        return cls(shape, torus, own[:, None, None])

    @property
    def axes(self) -> tuple[int, ...]:
        """The grid's axes, the last ones of any tensor."""
        return tuple(range(-len(self.shape), 0))

    def to(self, like: Tensor) -> SharedNoise:
        """The same in the precision and on the device of `like`."""
        return replace(self, spectrum=_alike(self.spectrum, like))

    def apply(self, v: Tensor, channel: Tensor) -> Tensor:
        """``R v`` for right-hand sides (n, G, *shape), each of the row that `channel`, (n,), says."""
        return filtered(v, self._rows(channel), self.torus, self.shape)

    def draw(self, white: Tensor, channel: Tensor) -> Tensor:
        """Noise of unit variance, (n, G, *shape), from white noise on the torus, (n, G, *torus)."""
        return filtered(white, root_of(self._rows(channel)), self.torus, self.shape)

    def quadrant(self, row: int) -> Tensor:
        """Correlation of the first channel of a row at the lags 0, 1, ... of each axis, (*shape), opposite directions alike."""
        table = torch.fft.irfftn(
            self.spectrum[min(row, len(self.spectrum) - 1), 0, 0].real, self.torus, dim=self.axes
        )
        for axis in range(table.ndim):
            table = (table + table.roll(-1, axis).flip(axis)) / 2
        within = [min(n, m // 2) for n, m in zip(self.shape, self.torus, strict=True)]
        found = torch.zeros(self.shape, dtype=table.dtype, device=table.device)
        here = tuple(slice(0, n) for n in within)
        found[here] = table[here]
        return found

    def _rows(self, channel: Tensor) -> Tensor:
        return self.spectrum if len(self.spectrum) == 1 else self.spectrum[channel]


def _alike(spectrum: Tensor, like: Tensor) -> Tensor:
    """In the real or complex type of the precision of `like`."""
    kind = (
        torch.complex(like.new_zeros(()), like.new_zeros(())).dtype if spectrum.is_complex() else like.dtype
    )
    return spectrum.to(like.device, kind)
