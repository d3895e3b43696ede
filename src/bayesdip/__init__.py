"""Restore one degraded picture, with no training data, and say how sure every pixel is.

>>> import bayesdip as bd
>>> r = bd.denoise(picture, sigma=25, channel_axis=-1)      # doctest: +SKIP
>>> r.mean, r.std, r.interval(0.9)                          # doctest: +SKIP

Everything is loaded when it is first used, so that importing the package stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from bayesdip._version import version as _built  # written by the build, from the tag
except ModuleNotFoundError:  # the source folder, never built
    _built = "0+unknown"
__version__: str = _built

# Where each public name lives. Submodules stand for themselves.
_HOME = {
    "denoise": "api",
    "inpaint": "api",
    "upscale": "api",
    "deblur": "api",
    "restore": "api",
    "batch": "batch_processing",
    "tiled": "tile_processing",
    "Tiled": "tile_processing",
    "BatchItem": "batch_processing",
    "compare": "comparison",
    "Comparison": "comparison",
    "Restoration": "result",
    "Finding": "findings",
    "Posterior": "result",
    "Method": "methods",
    "Patches": "methods",
    "GP": "methods",
    "SGLD": "methods",
    "MAP": "methods",
    "Stack": "methods",
    "Problem": "problem",
    "Progress": "progress",
    "Snapshot": "snapshot",
    "Estimate": "snapshot",
    "Gaussian": "noise",
    "Laplace": "noise",
    "Poisson": "noise",
    "PoissonGaussian": "noise",
    "Speckle": "noise",
    "detect_clipping": "noise",
    "estimate_looks": "noise",
    "estimate_sigma": "noise",
    "Identity": "operators",
    "Mask": "operators",
    "Downsample": "operators",
    "Blur": "operators",
    "BayesDipError": "errors",
    "ShapeError": "errors",
    "NonFiniteError": "errors",
    "FileError": "errors",
    "NoResultError": "errors",
    "ResourceError": "errors",
}
_MODULES = ("adapters", "arch", "errors", "gp", "io", "kernels", "methods", "noise", "operators", "patches")

__all__ = [
    "GP",
    "MAP",
    "SGLD",
    "BatchItem",
    "BayesDipError",
    "Blur",
    "Comparison",
    "Downsample",
    "Estimate",
    "FileError",
    "Finding",
    "Gaussian",
    "Identity",
    "Laplace",
    "Mask",
    "Method",
    "NoResultError",
    "NonFiniteError",
    "Patches",
    "Poisson",
    "PoissonGaussian",
    "Posterior",
    "Problem",
    "Progress",
    "ResourceError",
    "Restoration",
    "ShapeError",
    "Snapshot",
    "Speckle",
    "Stack",
    "Tiled",
    "adapters",
    "arch",
    "batch",
    "compare",
    "deblur",
    "denoise",
    "detect_clipping",
    "errors",
    "estimate_looks",
    "estimate_sigma",
    "gp",
    "inpaint",
    "io",
    "kernels",
    "methods",
    "noise",
    "operators",
    "restore",
    "tiled",
    "upscale",
]

if TYPE_CHECKING:
    from bayesdip import adapters, arch, errors, gp, io, kernels, methods, noise, operators
    from bayesdip.api import deblur, denoise, inpaint, restore, upscale
    from bayesdip.batch_processing import BatchItem, batch
    from bayesdip.comparison import Comparison, compare
    from bayesdip.errors import (
        BayesDipError,
        FileError,
        NonFiniteError,
        NoResultError,
        ResourceError,
        ShapeError,
    )
    from bayesdip.findings import Finding
    from bayesdip.methods import GP, MAP, SGLD, Method, Patches, Stack
    from bayesdip.noise import (
        Gaussian,
        Laplace,
        Poisson,
        PoissonGaussian,
        Speckle,
        detect_clipping,
        estimate_looks,
        estimate_sigma,
    )
    from bayesdip.operators import Blur, Downsample, Identity, Mask
    from bayesdip.problem import Problem
    from bayesdip.progress import Progress
    from bayesdip.result import Posterior, Restoration
    from bayesdip.snapshot import Estimate, Snapshot
    from bayesdip.tile_processing import Tiled, tiled


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"bayesdip.{name}")
    if name in _HOME:
        value = getattr(import_module(f"bayesdip.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'bayesdip' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
