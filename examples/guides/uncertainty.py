# %% [markdown]
# # Read the uncertainty
#
# Every method but `map` says how sure it is of every pixel. This guide shows what the numbers mean, and what
# they do not mean.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import bayesdip as bd

clean = data.camera()[80:176, 160:256]
missing = np.random.default_rng(0).random(clean.shape) < 0.5
damaged = np.where(missing, 0, clean).astype(np.uint8)
r = bd.inpaint(damaged, missing, effort="fast", seed=0)

# %% [markdown]
# ## Standard deviation and intervals
#
# `r.std` is the calibrated standard deviation of the *noise-free* picture, in the scale of the picture.
# `r.raw_std` is the model's own, before calibration. `r.interval(p)` is an interval that should hold the true
# value with probability `p`. For noisy data it is `mean` plus and minus a multiple of `std` (1.645 for 90%). For
# exact data (missing pixels without noise) its width comes from quantiles of the errors on held-out pixels.

# %%
for level in (0.5, 0.9):
    low, high = r.interval(level)
    inside = ((clean >= low) & (clean <= high))[missing].mean()
    print(f"{100 * level:.0f}% interval: holds {100 * inside:.0f}% of the missing values")

# %% [markdown]
# ## Was the calibration checked?
#
# `r.calibration` says what the held-out pixels showed: the correction, and the coverage of 90% intervals on
# held-out pixels that had no part in the correction, with its standard error.

# %%
c = r.calibration
print(
    f"coverage of 90% intervals: {c.coverage:.2f} +- {c.coverage_error:.2f}, from {c.count} held-out values"
)
print(f"coverage before calibration: {c.coverage_uncalibrated:.2f}")

# %% [markdown]
# ## Is it large where the error is large?
#
# Sort the missing pixels by their standard deviation and compare with the true error. On a picture of your
# own the true error is not known; here it is.

# %%
std, error = r.std[missing], np.abs(clean.astype(float) - r.mean)[missing]
groups = np.array_split(np.argsort(std), 10)
figure, axis = plt.subplots(figsize=(5, 4))
axis.plot(
    [std[g].mean() for g in groups], [np.sqrt((error[g] ** 2).mean()) for g in groups], "o-", label="measured"
)
axis.plot([0, std.max() / 2], [0, std.max() / 2], "--", color="gray", label="ideal")
axis.set_xlabel("predicted standard deviation, gray levels")
axis.set_ylabel("root mean squared error, gray levels")
axis.legend()

# %% [markdown]
# ## Questions about many pixels: use samples
#
# A standard deviation says nothing about how errors of neighbouring pixels go together. The mean brightness of a
# region, the length of a line, a count of cells: compute them on each posterior sample and look at the spread.
# `gp` and `sgld` give joint samples; `patches` does not.

# %%
samples = bd.inpaint(damaged, missing, method=bd.GP(samples=20, seed=0)).samples
region = samples[:, 40:60, 40:60].mean(axis=(1, 2))
print(f"mean brightness of the region: {region.mean():.1f} +- {region.std():.1f}")

# %% [markdown]
# ## Has the chain mixed?
#
# A sampled network (`sgld`) may not have visited all of its posterior. With the extra `arviz`,
# `r.diagnostics` has the split R-hat and the effective sample size of pixels and summaries. If R-hat is above
# 1.1, mean and standard deviation would still change in a longer run. `r.to_arviz()` gives the samples by chain,
# `r.to_xarray()` the arrays with named axes.
#
# ## What it cannot do
#
# - Coverage holds on average over the picture, not in every corner of it.
# - The noise level is taken as true. At sigma 25 and an error of 8, a sigma that is 1% too small makes the
#   calibrated standard deviation 9% too large.
# - In a hole, intervals go by held-out regions of its shape. Where the picture has no room for such regions, missing pixels are
#   farther from any known one than the held-out ones were: `r.calibration.beyond` is their share.
# - Held-out data say nothing about detail that a blur or a small picture does not show. Enlarged and deblurred pictures are
#   calibrated on a simulated picture that looks like the restored one (`r.calibration.simulated`).
#
# The mathematics: [Held-out pixels and calibration](../explanation/held-out.md).
