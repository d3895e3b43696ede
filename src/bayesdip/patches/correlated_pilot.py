"""The first estimate of a picture with correlated noise: thresholds of cosine transforms, one for each frequency.

Noise that neighbouring pixels share looks like the picture's own structure to filters that compare patches in the data. In a
cosine transform every frequency has a noise of its own size: where it has little, the picture's detail is there to be seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.dct_thresholding import block_side, cosine_basis, shrink_blocks
from bayesdip.patches.correlation import of_components, patch_covariances
from bayesdip.patches.nl_bayes import WhitenedData

Array = NDArray[Any]


def thresholded(data: WhitenedData, basis: Array | None) -> Tensor:
    """Estimate of the picture by shrinkage of the cosine transforms of all its blocks.

    Parameters
    ----------
    data : WhitenedData
        With a correlation.
    basis : array, shape (C, C), or None
        Its columns are the combinations of channels that are shrunk, each by itself; None for the channels.

    Returns
    -------
    Tensor, shape (C, H, W)
    """
    assert data.correlation is not None
    values = data.values
    across = np.eye(len(values)) if basis is None else basis
    turned = torch.from_numpy(np.ascontiguousarray(across)).to(values)
    side = block_side(values)
    covariances = patch_covariances(of_components(data.correlation, across), side)
    waves = cosine_basis(side, torch.float64).numpy()
    waves = np.kron(waves, waves)
    variances = np.einsum("ki,bij,kj->bk", waves, covariances, waves)
    sigma = torch.from_numpy(np.sqrt(np.maximum(variances, 0.0))).to(values)
    mixed = torch.tensordot(turned.T, values, dims=1)
    found: Tensor = torch.tensordot(turned, shrink_blocks(mixed, side, sigma, data.noise.sqrt()), dims=1)
    return found
