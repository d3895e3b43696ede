"""Measurements: what the instrument does to the picture before the noise.

Every operator has ``forward``, its ``adjoint`` if it is linear, and knows its shapes. Operators
compose with ``@``, the last one applied standing leftmost, as in mathematics::

    A = Mask(missing) @ Blur(shape, psf)      # blur first, then lose pixels

A measurement of your own comes in by one of the functions ``from_...``, or as a subclass of
:class:`Operator`.
"""

from __future__ import annotations

from bayesdip.operators.blur import Blur
from bayesdip.operators.deepinv_physics import from_deepinv
from bayesdip.operators.fourier import MaskedFourier
from bayesdip.operators.function import from_function
from bayesdip.operators.matrix import from_matrix, from_pylops, from_scipy
from bayesdip.operators.mosaic import Mosaic
from bayesdip.operators.operator import Compose, InUnits, Operator
from bayesdip.operators.pairs import as_pairs, from_pairs
from bayesdip.operators.phase_retrieval import PhaseRetrieval
from bayesdip.operators.pixelwise import ChannelMix, Identity, Mask
from bayesdip.operators.psf import mend_psf
from bayesdip.operators.resample import Downsample
from bayesdip.operators.tomography import FanBeam, Tomography
from bayesdip.operators.traces import MissingTraces

__all__ = [
    "Blur",
    "ChannelMix",
    "Compose",
    "Downsample",
    "FanBeam",
    "Identity",
    "InUnits",
    "Mask",
    "MaskedFourier",
    "MissingTraces",
    "Mosaic",
    "Operator",
    "PhaseRetrieval",
    "Tomography",
    "as_pairs",
    "from_deepinv",
    "from_function",
    "from_matrix",
    "from_pairs",
    "from_pylops",
    "from_scipy",
    "mend_psf",
]
