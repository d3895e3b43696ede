# %% [markdown]
# # A noisy photograph
#
# Taken at night, at a high sensitivity. How strong the noise is, is not known.

# %% [hidden]
import numpy as np
from figures import side_by_side
from skimage import data

clean = data.coffee()[60:188, 200:328]
noisy = np.clip(np.rint(clean + np.random.default_rng(0).normal(0, 25, clean.shape)), 0, 255).astype(np.uint8)

# %%
import bayesdip as bd

r = bd.denoise(noisy, channel_axis=-1, effort="fast")  # uint8 (128, 128, 3)
low, high = r.interval(0.9)
print(r.method, f"found sigma {r.sigma[0]:.1f}; it took {r.seconds:.1f} s")
print(
    f"the noise-free value lies in the 90% interval in {np.mean((low <= clean) & (clean <= high)):.0%} of the pixels"
)

# %% [hidden]
side_by_side({"noisy": noisy, "restored": r.mean, "std of each pixel": r.std.mean(axis=-1)})

# %% [markdown]
# **When not to:** a photograph without visible noise comes back a little smoother than it was. Give `sigma`, if you know that there is less noise than
# is found, or leave the picture as it is.
