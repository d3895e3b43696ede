# %% [markdown]
# # Fill in missing pixels
#
# Some pixels of a picture are missing, and it is known which. `bayesdip.inpaint` estimates them from the
# others. This tutorial shows two cases that ask for two methods: missing pixels that are scattered, and a
# large hole.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

clean = data.camera()[80:176, 160:256]  # uint8, shape (96, 96)
missing = np.random.default_rng(0).random(clean.shape) < 0.5
damaged = np.where(missing, 0, clean).astype(np.uint8)

# %% [markdown]
# ## Scattered missing pixels
#
# The mask is `True` where a pixel is missing, as in scikit-image. The values of the picture there do not
# matter. Known pixels come back unchanged, unless `sigma` says that they are noisy.

# %%
r = bd.inpaint(damaged, missing, effort="fast", seed=0)
print(r.method, "-", r.why)
print(f"PSNR: {psnr(clean, r.mean):.2f} dB in {r.seconds:.0f} s")
print("known pixels unchanged:", bool((r.mean[~missing] == clean[~missing]).all()))


# %%
def show(pictures, **options):
    """Show pictures side by side, each with its title."""
    _, axes = plt.subplots(1, len(pictures), figsize=(3.6 * len(pictures), 3.8))
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, **({"cmap": "gray"} | options))
        axis.set_title(title)
        axis.set_axis_off()


show({"half is missing": damaged, "restored": r.mean, "clean": clean})
show(
    {"standard deviation": r.std, "error": np.abs(clean.astype(float) - r.mean)},
    cmap="magma",
    vmin=0,
    vmax=30,
)

# %% [markdown]
# The standard deviation is zero at known pixels. At missing ones it is calibrated on known pixels that were
# held out.
#
# ## A hole
#
# Inside a hole no patch has enough known pixels. A network continues edges into the hole; its samples show
# what else is possible there. The run here is short, so that this page is built quickly: leave `steps` out for
# a picture of your own.

# %%
hole = np.zeros(clean.shape, dtype=bool)
hole[34:58, 42:66] = True
torn = np.where(hole, 0, clean).astype(np.uint8)
method = bd.SGLD(steps=250, samples=4, seed=0)
filled = bd.inpaint(torn, hole, method=method)
print(filled.method, f"PSNR inside the hole: {psnr(clean[hole], filled.mean[hole], data_range=255):.1f} dB")
show({"torn": torn, "mean": filled.mean, "one sample": filled.samples[0], "clean": clean})

# %% [markdown]
# Nobody can know what was in a hole. Held-out pixels lie among known ones, so the calibration does not reach
# into a large hole: `filled.calibration.beyond` is the share of missing pixels that are farther from a known
# pixel than the held-out pixels were.
#
# ## On the command line
#
# ```
# bayesdip inpaint photo.png --mask scratches.png -o whole.png
# ```
#
# White is missing. More about masks: [Masks](../guides/masks.md).
