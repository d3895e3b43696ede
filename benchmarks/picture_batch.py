"""Several pictures of one size, each with a network of its own, fitted side by side on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import ShapeError
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy


@dataclass(frozen=True)
class Batch(EnsembleEnergy):
    """K targets of one architecture and one size as one: weights and pictures have a leading axis of K.

    A stepper moves all of them at once, each as if it were alone but for the random numbers that it
    draws. A small picture leaves most of a GPU idle; many together fill it.

    Attributes
    ----------
    targets : tuple of Energy
    inputs : Tensor, shape (K, 1, D, *grid)
        The networks' own inputs.
    """

    targets: tuple[Energy, ...]
    inputs: Tensor

    @classmethod
    def together(cls, targets: Sequence[Energy]) -> Batch:
        """Stack them; their weights are copied.

        Raises
        ------
        ShapeError
            They differ in architecture, size, channels, or in how many values were seen.
        """
        kinds = {(p.network.arch, p.latent.shape, p.problem.y.shape, p.observations) for p in targets}
        if len(kinds) != 1:
            raise ShapeError(
                f"{len(targets)} targets of {len(kinds)} kinds were given: expected one architecture, one size and "
                "as many observed pixels in each; make one batch of each kind"
            )
        stacked = EnsembleEnergy.stack(targets[0], [p.network for p in targets])
        inputs = torch.stack([p.latent for p in targets])
        return cls(**vars(stacked), targets=tuple(targets), inputs=inputs)

    def latents(self) -> Tensor:
        return self.inputs

    def _negative_log_likelihood_of(self, k: int, picture: Tensor) -> Tensor:
        return self.targets[k].negative_log_likelihood(picture)

    def fit(self, picture: Tensor) -> float:
        """As :meth:`Energy.fit`, over all targets: the root of the mean of their squares."""
        squares = [p.fit(x) ** 2 for p, x in zip(self.targets, picture, strict=True)]
        return float((sum(squares) / len(squares)) ** 0.5)
