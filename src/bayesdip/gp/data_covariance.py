"""The covariance of the data, ``A K A^T + N``, as a linear map."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bayesdip.gp.grid_covariance import GridCovariance
from bayesdip.gp.shared_noise import SharedNoise
from bayesdip.operators import Blur, Compose, Downsample, Identity, Mask, Operator


@dataclass(frozen=True)
class DataCovariance:
    """``A K A^T + N`` over the observed entries, for right-hand sides of shape (R, G, *output).

    G is the number of channels that are solved together: one as long as channels are
    independent, and then each right-hand side belongs to one channel.

    Attributes
    ----------
    grid : GridCovariance
        K, unit variance or not.
    operator : Operator or None
        A without the masks around it; None for the identity.
    seen : Tensor of bool, shape (M, G, *output)
        Where an entry is observed. M is 1 (shared) or the number of channels.
    noise : Tensor, shape (M', G, *output) or broadcastable to it
        Variance of the noise, in units of the amplitude that multiplies K.
    channel : Tensor of int, shape (R,)
        Which channel each right-hand side belongs to: a row of `seen` and `noise`.
    coregionalisation : Tensor or None, shape (G, G)
        The coregionalisation matrix: the covariance between channels, where they are solved together. The prior's covariance
        is its Kronecker product with K (the intrinsic coregionalisation model: Goovaerts 1997; Alvarez, Rosasco and
        Lawrence 2012, arXiv 1106.6251, section 4.2).
    shared : SharedNoise or None
        R, where neighbouring entries share their noise: then N is ``V^1/2 R V^1/2`` with V the diagonal of `noise`.
    """

    grid: GridCovariance
    operator: Operator | None
    seen: Tensor
    noise: Tensor
    channel: Tensor
    coregionalisation: Tensor | None = None
    shared: SharedNoise | None = None
    _low: dict[torch.dtype, DataCovariance] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, a: Tensor, active: Tensor) -> Tensor:
        """``(A K A^T + N) a``, on entries that are observed; a is zero on the others."""
        out = self.prior(a, active)
        out *= self.seen_rows(active)
        if self.shared is None:
            return out.addcmul_(self.noise_rows(active), a)
        spread = self.noise_rows(active).sqrt() * self.seen_rows(active)
        return out.addcmul_(spread, self.shared.apply(spread * a, self.channel[active]))

    def prior(self, a: Tensor, active: Tensor) -> Tensor:
        """``A K A^T a``, unmasked: what the prediction at every output is."""
        return self._forward(self.to_picture(a, active))

    def to_picture(self, a: Tensor, active: Tensor) -> Tensor:
        """``K A^T a``: (R, G, *output) to (R, G, *input), the posterior mean of weights a."""
        x = self.grid.apply(self._adjoint(a))
        if self.coregionalisation is not None:
            x = torch.einsum("gh,rh...->rg...", self.coregionalisation, x)
        return x

    def predict(self, x: Tensor, active: Tensor) -> Tensor:
        """``A x`` on observed entries: (R, G, *input) to (R, G, *output)."""
        return self._forward(x) * self.seen_rows(active)

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw from the prior for each right-hand side, (R, G, *input)."""
        f = self.grid.draw((len(self.channel), self.picture_channels), generator)
        if self.coregionalisation is not None:
            f = torch.einsum("gh,rh...->rg...", torch.linalg.cholesky(self.coregionalisation), f)
        return f

    def draw_noise(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw of the noise for each right-hand side, (R, G', *output), zero where not observed."""
        rows = torch.arange(len(self.channel), device=self.channel.device)
        grid = self.seen.shape[2:] if self.shared is None else self.shared.torus
        device = self.seen.device if generator is None else generator.device
        shape = (len(rows), self.seen.shape[1], *grid)
        white = torch.randn(shape, generator=generator, dtype=self.noise.dtype, device=device).to(self.noise)
        drawn = white if self.shared is None else self.shared.draw(white, self.channel)
        return drawn * self.noise_rows(rows).sqrt() * self.seen_rows(rows)

    def repeated(self, count: int) -> DataCovariance:
        """The same for `count` times as many right-hand sides."""
        return replace(self, channel=self.channel.repeat(count), _low={})

    @property
    def shares_covariance(self) -> bool:
        """Whether all rows have the same covariance, and are independent."""
        return self.coregionalisation is None and len(self.seen) == len(self.noise) == 1

    @property
    def picture_channels(self) -> int:
        """Channels of the picture that are solved together."""
        mixed = None if self.operator is None else self.operator.input_channels
        return int(self.seen.shape[1]) if mixed is None else mixed

    @property
    def mixes_channels(self) -> bool:
        """Whether the operator acts on channels, so that those of picture and data are not the same."""
        return self.operator is not None and self.operator.input_channels is not None

    def regressors(self) -> Tensor:
        """What a picture of ones in each channel, zero in the others, gives on observed entries: (M, G, G', *output)."""
        each = torch.eye(self.picture_channels).to(self.grid.spectrum)
        if self.mixes_channels:
            pictures = each.reshape(*each.shape, *[1] * len(self.grid.shape)).expand(
                *each.shape, *self.grid.shape
            )
            return self._forward(pictures)[None] * self.seen[:, None]
        ones = self.ones().to(each)
        return ones[:, None] * each.reshape(*each.shape, *[1] * (ones.ndim - 2))

    def predict_constant(self, offset: Tensor) -> Tensor:
        """What a picture of constant channels, (R, G), gives on observed entries: (R, G', *output)."""
        if self.mixes_channels:
            pictures = offset.reshape(*offset.shape, *[1] * len(self.grid.shape))
            return (
                self._forward(pictures.expand(*offset.shape, *self.grid.shape).to(self.grid.spectrum))
                * self.seen
            )
        ones = self.ones()
        return offset.reshape(*offset.shape, *[1] * (ones.ndim - 2)).to(self.grid.spectrum) * ones

    def ones(self) -> Tensor:
        """What a constant picture of ones gives on observed entries, shape of `seen`; of bool if that is the same."""
        if self.operator is None:
            return self.seen
        flat = torch.ones((1, 1, *self.grid.shape)).to(self.grid.spectrum)
        return self._forward(flat) * self.seen

    def seen_rows(self, active: Tensor) -> Tensor:
        """`seen` for those right-hand sides."""
        return self.seen if self.seen.shape[0] == 1 else self.seen[self.channel[active]]

    def noise_rows(self, active: Tensor) -> Tensor:
        """`noise` for those right-hand sides."""
        return self.noise if self.noise.shape[0] == 1 else self.noise[self.channel[active]]

    def to(self, dtype: torch.dtype) -> DataCovariance:
        """The same in another precision."""
        if dtype not in self._low:
            coregionalisation = None if self.coregionalisation is None else self.coregionalisation.to(dtype)
            grid = replace(self.grid, spectrum=self.grid.spectrum.to(dtype))
            self._low[dtype] = replace(
                self,
                grid=grid,
                noise=self.noise.to(dtype),
                coregionalisation=coregionalisation,
                shared=None if self.shared is None else self.shared.to(grid.spectrum),
                _low={},
            )
        return self._low[dtype]

    def _forward(self, x: Tensor) -> Tensor:
        return x if self.operator is None else self.operator.forward(x)

    def _adjoint(self, a: Tensor) -> Tensor:
        return a if self.operator is None else self.operator.adjoint(a)


def without_masks(operator: Operator) -> Operator | None:
    """The operator without the masks on its outside; None if nothing but the identity is left.

    A mask only determines which entries are observed, and `Operator.observed` has that already.
    """
    if isinstance(operator, Identity | Mask):
        return None
    if isinstance(operator, Compose):
        outer = without_masks(operator.outer)
        if outer is None:
            return without_masks(operator.inner)
        return outer if isinstance(operator.inner, Identity) else Compose(outer, operator.inner)
    return operator


def is_nearly_stationary(operator: Operator | None) -> bool:
    """Whether the data of a stationary picture are nearly stationary, as those of masks, blurs and downsampling are.

    Entries next to each other then come from pixels next to each other, in the same way everywhere.
    """
    if isinstance(operator, Compose):
        return is_nearly_stationary(operator.outer) and is_nearly_stationary(operator.inner)
    return operator is None or isinstance(operator, Identity | Mask | Blur | Downsample)
