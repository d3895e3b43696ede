# %% [markdown]
# # Bring your own network
#
# The prior of `sgld` and `map` is an untrained network. Any `torch.nn.Module` that maps a latent input to a picture of
# the same size can be one.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr
from torch import nn

import bayesdip as bd

clean = data.camera()[100:164, 200:264] / 255.0
noisy = clean + np.random.default_rng(0).normal(scale=0.1, size=clean.shape)

# %% [markdown]
# ## A module
#
# `from_module` takes a function that makes a new module for a number of picture channels and of grid axes. The latent input
# has 32 features.


# %%
def build(channels, dims):
    """An encoder and a decoder of two halvings each."""

    def block(inputs, outputs, stride=1):
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))

    up = nn.Upsample(scale_factor=2, mode="bilinear")
    encoder = block(32, 32, stride=2), block(32, 64, stride=2)
    decoder = up, block(64, 32), up, block(32, 32)
    return nn.Sequential(*encoder, *decoder, nn.Conv2d(32, channels, 1))


network = bd.arch.from_module(build, multiple_of=4)
r = bd.denoise(noisy, sigma=0.1, method=bd.SGLD(arch=network, steps=300, seed=0))
before, after = (psnr(clean, picture, data_range=1) for picture in (noisy, r.mean))
print(f"{before:.2f} dB before, {after:.2f} dB after")

# %% [markdown]
# Running statistics of batch norm are switched off: a deep image prior is always normalised by the current picture. A
# network that halves its grid twice says so with `multiple_of=4`, and the input is padded to fit.
#
# ## A built-in architecture
#
# The built-in architectures are descriptions that can be read twice: as a trainable module of finite width, and as the
# covariance of the Gaussian process that the network becomes at infinite width.

# %%
skip = bd.arch.skip(scales=2, width=32)
kernel = skip.kernel(lags=31)
figure, axis = plt.subplots(figsize=(5, 3.6))
values = kernel.values / kernel.values.max()
axis.plot(np.arange(-31, 32), values[31])
axis.set_xlabel("distance, pixels")
axis.set_ylabel("correlation")
same = bd.denoise(noisy, sigma=0.1, method=bd.GP(arch=skip, seed=0))
print(f"the kernel of skip(scales=2): {psnr(clean, same.mean, data_range=1):.2f} dB in {same.seconds:.1f} s")

# %% [markdown]
# A module of your own has no such description, so asking for its kernel raises an error;
# `network.monte_carlo_kernel(grid)` estimates it from random draws.
#
# More: [Networks and their kernels](../explanation/networks.md); [reference](../reference/arch.md).
