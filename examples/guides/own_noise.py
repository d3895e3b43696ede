# %% [markdown]
# # Bring your own noise
#
# A noise model says how likely the data are, given the picture. `bayesdip.noise` has Gaussian (also clipped),
# Poisson, Poisson-Gaussian, Laplace and speckle noise. For any other, give the negative log-likelihood as a
# function: `noise.from_log_likelihood`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

# %% [markdown]
# ## Student-t noise
#
# Student-t noise with two degrees of freedom has many outliers. Its negative log-likelihood, up to a constant, for
# a residual \(r\) and a scale \(s\), is
#
# \[ -\log p(y \mid x) = \tfrac{3}{2} \log\left(1 + \frac{r^2}{2 s^2}\right). \]
#
# The function is given the data and the prediction, in the scale of the picture, and returns the value of every entry, or
# their sum. It must be differentiable by PyTorch.

# %%
scale = 0.1


def student_t(y, prediction):
    """Student-t with two degrees of freedom: -log p(y | prediction), up to a constant."""
    return 1.5 * torch.log1p((y - prediction) ** 2 / (2 * scale**2))


clean = data.camera()[100:164, 200:264] / 255.0
noisy = clean + scale * np.random.default_rng(0).standard_t(df=2, size=clean.shape)
noise = bd.noise.from_log_likelihood(student_t, name="Student-t noise")
method = bd.SGLD(steps=300, seed=0)
r = bd.denoise(noisy, noise=noise, method=method)

# %% [markdown]
# The same network under Gaussian noise of the same scale fits the outliers:

# %%
gaussian = bd.denoise(noisy, sigma=scale, method=method)
for name, found in {"Student-t": r, "Gaussian": gaussian}.items():
    print(f"{name}: {psnr(clean, found.mean, data_range=1):.2f} dB")

# %%
figure, axes = plt.subplots(1, 4, figsize=(14, 3.6))
shown = {"noisy": noisy, "Gaussian": gaussian.mean, "Student-t": r.mean, "clean": clean}
for axis, (title, picture) in zip(axes, shown.items(), strict=True):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title)
    axis.set_axis_off()

# %% [markdown]
# ## What a noise model is used for
#
# `sgld` and `map` use the likelihood itself. `gp` works with a Gaussian of some variance at every datum. By default that
# variance follows from the slope of the likelihood, as in iterated least squares: an outlier gets a large variance.
# `from_log_likelihood(f, variance=...)` gives another one. `patches` averages the variance over each patch, so it is not
# made for outliers.

# %%
quick = bd.denoise(noisy, noise=noise, method="gp", seed=0)
print(f"gp: {psnr(clean, quick.mean, data_range=1):.2f} dB in {quick.seconds:.1f} s")

# %% [markdown]
# A subclass of `bayesdip.noise.Noise` can give more, such as draws: [reference](../reference/noise.md).
