"""Phase retrieval: intensities of diffraction patterns, without their phases."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.linear_map import Constant
from bayesdip.operators.operator import Operator
from bayesdip.operators.pairs import joined_parts


class PhaseRetrieval(Operator):
    """Intensities of coded diffraction patterns: not linear, for the methods ``sgld`` and ``map``.

    ``(A x)[k] = |F(masks[k] x)|^2`` with the orthonormal discrete Fourier transform F (Candes, Li and Soltanolkotabi, *Phase
    retrieval from coded diffraction patterns*, Appl. Comput. Harmon. Anal. 39, 2015). A picture and its negative have the
    same data, of complex ones all that differ by a phase factor. Frequency zero stands at index 0.

    Parameters
    ----------
    masks : Tensor or array, shape (K, *shape)
        What the object is multiplied by before each exposure, real or complex: phases of modulus 1, or an aperture. Four of
        random phases determine nearly every picture, see :meth:`coded`.
    real : bool
        Whether the picture is known to be real: one channel, and the data of each of its channels are taken for themselves.
        Otherwise it is complex, in two channels, real part first (:func:`bayesdip.operators.from_pairs`).

    Raises
    ------
    ShapeError
        `masks` has fewer than two axes.
    BayesDipError
        A mask is not finite.

    Examples
    --------
    >>> import torch, bayesdip as bd
    >>> A = bd.operators.PhaseRetrieval(torch.ones(1, 4), real=True)
    >>> A.forward(torch.tensor([0.0, 0.0, -2.0, 0.0]))
    tensor([[1., 1., 1., 1.]])
    """

    is_linear = False

    def __init__(self, masks: Any, *, real: bool = False) -> None:
        given = as_tensor(masks).detach().to("cpu", torch.complex128)
        if given.ndim < 2 or not given.numel():
            raise ShapeError(
                f"masks has shape {tuple(given.shape)}: expected one axis for the masks and the picture's axes behind it; "
                "give masks[None] for a single one"
            )
        if not given.isfinite().all():
            raise BayesDipError(
                "masks holds values that are NaN or infinite: expected numbers; set them to 0"
            )
        self._masks = Constant(given)
        channels = (None, None) if real else (2, 1)
        super().__init__(
            given.shape[1:], given.shape, input_channels=channels[0], output_channels=channels[1]
        )

    @classmethod
    def coded(cls, shape: Any, count: int = 4, *, seed: int = 0, real: bool = False) -> PhaseRetrieval:
        """Of random masks: each pixel's is 1, i, -1 or -i.

        Parameters
        ----------
        shape : sequence of int
            The picture's grid.
        count : int
            How many masks.
        seed : int
            Of the random phases.
        real : bool
            As for the class.

        Returns
        -------
        PhaseRetrieval
        """
        generator = torch.Generator().manual_seed(seed)
        quarter_turns = torch.randint(4, (count, *shape), generator=generator)
        return cls(torch.tensor([1, 1j, -1, -1j])[quarter_turns], real=real)

    @property
    def masks(self) -> Tensor:
        """The masks: complex, (K, *shape), on the CPU."""
        return self._masks.value

    def forward(self, x: Tensor) -> Tensor:
        dims = len(self.input_shape)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        picture = (
            exact.unsqueeze(-dims - 1) if self.input_channels is None else joined_parts(exact, -dims - 1)
        )
        if self.input_channels is not None:
            picture = picture.unsqueeze(
                -dims - 1
            )  # (..., 1, 1, *shape): the channel of the data, then the masks
        masks = self._masks.on(x.device, torch.promote_types(exact.dtype, torch.complex32))
        seen: Tensor = torch.fft.fftn(masks * picture, dim=list(range(-dims, 0)), norm="ortho")
        found: Tensor = (seen.real.square() + seen.imag.square()).to(x.dtype)
        return found
