# %% [markdown]
# # A microscope stack
#
# Planes at neighbouring depths, with few photons in each pixel. What is in one plane is seen in the next ones, too, a little less sharp: the planes are
# restored together, as channels are.

# %% [hidden]
import numpy as np
from figures import side_by_side
from scipy.ndimage import gaussian_filter
from skimage import data

cell = 255.0 - data.cell()[240:336, 150:246]
depth = np.stack([gaussian_filter(cell, blur) for blur in (0.0, 0.7, 1.4, 2.1)])
clean = 1 + 24 * (depth - depth.min()) / np.ptp(depth)
counts = np.random.default_rng(0).poisson(clean)

# %%
import bayesdip as bd

together = bd.denoise(counts, noise=bd.Poisson(), channel_axis=0, effort="fast")  # (4, 96, 96)
alone = bd.denoise(counts[0], noise=bd.Poisson(), effort="fast")


def rms(found):
    return np.sqrt(np.mean((found - clean[0]) ** 2))


print(f"{together.method}: it took {together.seconds:.1f} s for four planes")
print(
    f"error of the first plane: {rms(counts[0]):.2f} photons, alone {rms(alone.mean):.2f}, together {rms(together.mean[0]):.2f}"
)

# %% [hidden]
side_by_side({"photons": counts[0], "restored": together.mean[0], "clean": clean[0]})

# %% [markdown]
# **When not to:** planes that show different things, because they are far apart or the sample moved, are better restored one by one. Stacks that do not fit in memory:
# [from the disk to the disk](../guides/large-pictures.md).
