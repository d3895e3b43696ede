# %% [markdown]
# # Deblurring with a measured PSF
#
# The blur of an instrument was measured by a picture of one bright point. It is noisy, lies on a background and is not in the middle of its picture; all that
# is mended.

# %% [hidden]
import numpy as np
from figures import side_by_side
from scipy.ndimage import convolve
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

rng = np.random.default_rng(0)
y, x = np.mgrid[-6:7, -6:7]
true_psf = np.exp(-((x + 0.6 * y) ** 2 / 5 + y**2 / 2))  # an oblique blur
point = 40 + 2000 * np.roll(true_psf, (1, -1), (0, 1)) + rng.normal(0, 4, true_psf.shape)
coins, part = data.coins().astype(float), np.s_[184:248, 84:148]
clean = coins[part]
blurred = convolve(coins, true_psf / true_psf.sum())[part] + rng.normal(0, 1.5, clean.shape)

# %%
import bayesdip as bd

r = bd.deblur(blurred, point, effort="fast")  # float64 (64, 64), and the picture of the point (13, 13)
print(f"{r.method}: it took {r.seconds:.1f} s")
print(
    f"PSNR: {psnr(clean, blurred, data_range=255):.1f} dB before, {psnr(clean, r.mean, data_range=255):.1f} dB after"
)
for finding in r.findings:
    print("-", finding.text)

# %% [hidden]
side_by_side({"blurred": blurred, "restored": r.mean, "clean": clean})

# %% [markdown]
# **When not to:** a blur that is not the same everywhere (motion of one object, depth) is not undone by one PSF; cut out a part in which it is. A wrong PSF gives rings:
# measure it at the same focus.
