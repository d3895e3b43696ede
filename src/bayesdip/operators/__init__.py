"""Measurements: what the instrument does to the picture before the noise.

Every operator has ``forward``, its ``adjoint`` if it is linear, and knows its shapes. Operators
compose with ``@``, the last one applied standing leftmost, as in mathematics::

    A = Mask(missing) @ Blur(shape, psf)      # blur first, then lose pixels

A measurement of your own comes in by one of the functions ``from_...``, or as a subclass of
:class:`Operator`.
"""

from __future__ import annotations

from bayesdip.operators.blur import Blur
from bayesdip.operators.function import from_function
from bayesdip.operators.matrix import from_deepinv, from_matrix, from_pylops, from_scipy
from bayesdip.operators.operator import Compose, InUnits, Operator
from bayesdip.operators.pairs import as_pairs, from_pairs
from bayesdip.operators.pixelwise import ChannelMix, Identity, Mask
from bayesdip.operators.psf import mend_psf
from bayesdip.operators.resample import Downsample

__all__ = [
    "Blur",
    "ChannelMix",
    "Compose",
    "Downsample",
    "Identity",
    "InUnits",
    "Mask",
    "Operator",
    "as_pairs",
    "from_deepinv",
    "from_function",
    "from_matrix",
    "from_pairs",
    "from_pylops",
    "from_scipy",
    "mend_psf",
]
