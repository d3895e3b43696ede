"""Linear measurements: what the instrument does to the picture before the noise.

Every operator has ``forward``, its exact ``adjoint``, and knows its shapes. Operators
compose with ``@``, the last one applied standing leftmost, as in mathematics::

    seen = Mask(missing) @ Blur(shape, psf)      # blur first, then lose pixels
"""

from __future__ import annotations

from bayesdip.operators.blur import Blur
from bayesdip.operators.operator import Compose, Operator
from bayesdip.operators.pixelwise import Identity, Mask
from bayesdip.operators.resample import Downsample

__all__ = ["Blur", "Compose", "Downsample", "Identity", "Mask", "Operator"]
