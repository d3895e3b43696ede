"""Methods that are there only to compare with: pass them as ``method=`` or, the samplers, to ``SGLD(sampler=...)``.

::

    bd.denoise(y, 0.1, method=Variational(samples=8))
    bd.denoise(y, 0.1, method=bd.SGLD(sampler=Hmc))
"""

from bayesdip.lab.methods.dropout import Dropout
from bayesdip.lab.methods.linearised import Linearised
from bayesdip.lab.methods.samplers import SAMPLERS, Cyclical, Hmc, Sghmc, Sgld
from bayesdip.lab.methods.variational import Variational

__all__ = ["SAMPLERS", "Cyclical", "Dropout", "Hmc", "Linearised", "Sghmc", "Sgld", "Variational"]
