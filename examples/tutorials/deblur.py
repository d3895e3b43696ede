# %% [markdown]
# # Remove a known blur
#
# A picture was blurred by a known point spread function (PSF) and has noise. `bayesdip.deblur` estimates the
# sharp picture. The PSF must be known: measure it, compute it from the optics, or fit it to a point in the
# picture.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import convolve
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

clean = data.coins()[170:266, 70:166].astype(float)  # values from 0 to 255
x = np.arange(-6, 7)
psf = np.exp(-(x[:, None] ** 2 + x**2) / (2 * 1.6**2))
psf /= psf.sum()
blurred = convolve(clean, psf, mode="reflect") + np.random.default_rng(0).normal(scale=2, size=clean.shape)

# %%
r = bd.deblur(blurred, psf, sigma=2, effort="fast", seed=0)
print(r.method, "-", r.why)
before, after = (psnr(clean, picture, data_range=255) for picture in (blurred, r.mean))
print(f"PSNR: {before:.2f} dB before, {after:.2f} dB after, {r.seconds:.0f} s")

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2))
for axis, (title, picture) in zip(
    axes, {"blurred": blurred, "restored": r.mean, "clean": clean}.items(), strict=True
):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axis.set_title(title)
    axis.set_axis_off()

# %% [markdown]
# `boundary` says what the blur saw beyond the border: `"reflect"` (the picture mirrored, the default) or
# `"periodic"`. If neither is true, cut the border off after the restoration.
#
# The noise level decides how much sharpness is possible. If `sigma` is not given it is estimated.
#
# The standard deviation of a deblurred picture is **not calibrated**: the data are blurred, so a held-out
# value says nothing about detail that the blur removed.
#
# ## On the command line
#
# ```
# bayesdip deblur soft.tif -o sharp.tif --psf psf.npy
# ```
