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

part = np.s_[170:266, 70:166]  # what the camera saw of a larger scene
coins = data.coins().astype(float)  # values from 0 to 255
clean = coins[part]
x = np.arange(-6, 7)
psf = np.exp(-(x[:, None] ** 2 + x**2) / (2 * 1.6**2))
psf /= psf.sum()
blurred = convolve(coins, psf)[part] + np.random.default_rng(0).normal(scale=2, size=clean.shape)

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
# A blur mixes pixels near the border with some that lie beyond it. These are restored too, as far as the blur reaches, and cut off
# again. Only where the data along the border clearly say that the blur saw the picture mirrored or repeated there, as in many
# simulations, they are taken so, and `r.findings` says it. `boundary="unknown"`, `"reflect"` or `"periodic"` says it instead.
#
# The noise level decides how much sharpness is possible. If `sigma` is not given it is estimated.
#
# Of a deblurred picture nobody sees the detail that the blur took off. Its standard deviation is calibrated on a simulated
# picture that looks like the restored one: it is right for most pictures, and not for one whose fine detail is unlike its coarse.
#
# ## On the command line
#
# ```
# bayesdip deblur soft.tif -o sharp.tif --psf psf.npy
# ```
