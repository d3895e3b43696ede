# %% [markdown]
# # Bring your own method
#
# A method is one class with a `fit`. Held-out pixels, calibration, units, progress and the result are the same for every
# method, so a method of your own gets all of them without further work.

# %%
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

# %% [markdown]
# This one smooths the picture by a Gaussian filter, for which a missing or held-out pixel has no weight. Its standard
# deviation is the same everywhere; calibration gives it its size.


# %%
@dataclass(frozen=True, kw_only=True)
class GaussianFilter(bd.Method):
    """Normalised convolution with a Gaussian window."""

    width: float = 1.5  # pixels

    name: ClassVar[str] = "gaussian-filter"
    summary: ClassVar[str] = "a Gaussian filter that ignores missing pixels"

    def fit(self, problem: bd.Problem, progress: bd.Progress) -> bd.Posterior:
        """Smooth the pixels that may be seen."""
        known = problem.observed.to(problem.y)
        lags = torch.arange(-6, 7, dtype=known.dtype)
        window = torch.exp(-(lags**2) / (2 * self.width**2))
        kernel = (window[:, None] * window)[None, None]

        def smooth(x):
            return torch.nn.functional.conv2d(x[:, None], kernel, padding=6)[:, 0]

        mean = smooth(problem.y * known) / smooth(known).clamp_min(1e-12)
        return bd.Posterior(mean, std=torch.full_like(mean, 0.05))


clean = data.camera()[100:164, 200:264]
noisy = clean + np.random.default_rng(0).normal(scale=15, size=clean.shape)
r = bd.restore(noisy, bd.Identity(clean.shape), bd.Gaussian(15), method=GaussianFilter(width=1.0))
print(r.method, "-", r.why)
print(f"{psnr(clean, r.mean, data_range=255):.2f} dB")
print(f"coverage of 90% intervals: {r.calibration.coverage:.2f}")

# %% [markdown]
# `fit` is called with the problem in working units (the range of the data mapped to 0..1), as tensors of shape
# `(C, *grid)`. Where pixels are held out, its operator hides them. A method that can take them in afterwards overrides
# `update`; one that cannot handle a problem overrides `check` and raises a `BayesDipError` that says what to use
# instead. Long loops ask `progress.should_stop()` and call `progress.advance(...)`; then time budgets, Ctrl-C and
# callbacks work.
#
# Base class: [reference](../reference/methods.md).
