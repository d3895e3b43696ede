# %% [markdown]
# # Remove noise
#
# A picture `x` was measured as `y = x + noise`. `bayesdip.denoise` estimates `x`, and the standard deviation
# of its error at every pixel. No other picture is needed.
#
# This tutorial takes a clean picture, adds noise, and compares the result with the clean picture. With a
# picture of your own there is no clean one to compare with; the last section says what to look at then.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

clean = data.astronaut()[:160, 144:304]  # uint8, shape (160, 160, 3)
noise = np.random.default_rng(0).normal(scale=25, size=clean.shape)
noisy = np.clip(np.round(clean + noise), 0, 255).astype(np.uint8)

# %% [markdown]
# ## Restore
#
# `channel_axis=-1` says that the last axis holds the colours, as in scikit-image. The noise level is
# estimated, because `sigma` is not given.

# %%
r = bd.denoise(noisy, channel_axis=-1, effort="fast", seed=0)
print(r.method, "-", r.why)
print(f"sigma: {r.sigma[0]:.1f} (true: 25)")
print(f"PSNR: {psnr(clean, noisy):.2f} dB before, {psnr(clean, r.mean):.2f} dB after, {r.seconds:.0f} s")

# %% [markdown]
# The result has the type and the scale of the input: `r.mean` is `uint8` here. `r.method` names the method
# that ran, and `r.why` says why it was chosen: [Which method, and when none](../explanation/index.md).


# %%
def show(pictures, **options):
    """Show pictures side by side, each with its title."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(4 * len(pictures), 4.2))
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        image = axis.imshow(picture, **options)
        axis.set_title(title)
        axis.set_axis_off()
    return figure, axes, image


show({"clean": clean, "noisy": noisy, "restored": r.mean})

# %% [markdown]
# ## How sure is it?
#
# `r.std` is the standard deviation of the noise-free picture, per pixel and channel, in the scale of the
# picture. It is calibrated on pixels that were held out: [Held-out pixels and
# calibration](../explanation/held-out.md). `r.interval(0.9)` gives the lower and the upper end of an
# interval that holds the true value with a probability of 90%.

# %%
low, high = r.interval(0.9)
inside = ((clean >= low) & (clean <= high)).mean()
print(f"true values inside their 90% interval: {100 * inside:.0f}%")
figure, axes, image = show(
    {"standard deviation": r.std.mean(axis=-1), "error": np.abs(clean.astype(float) - r.mean).mean(axis=-1)},
    vmin=0,
    vmax=20,
    cmap="magma",
)
figure.colorbar(image, ax=axes, label="gray levels")

# %% [markdown]
# The standard deviation is large where the error is large: at edges and in texture.
#
# ## Without a clean picture
#
# A small share of the pixels is held out first: the method predicts them without their values.
# `r.held_out` is the root mean square of these errors. It contains the noise of the held-out pixels
# themselves, so it cannot fall below `sigma`.

# %%
print(f"error on {r.held_out_count} held-out values: {r.held_out:.1f}, noise: {r.sigma[0]:.1f}")
print({name: round(value, 3) for name, value in r.calibration.summary().items()})

# %% [markdown]
# ## Other kinds of noise
#
# Photon noise grows with the brightness. Say so with `noise=`: the noise models are listed in
# [the reference](../reference/noise.md).

# %%
photons = np.random.default_rng(1).poisson(data.camera()[64:192, 128:256] / 8.0)  # about 16 photons a pixel
counts = bd.denoise(photons, noise=bd.Poisson(), effort="fast", seed=0)
show({"photons counted": photons, "restored": counts.mean}, cmap="gray")

# %% [markdown]
# ## On the command line
#
# ```
# bayesdip denoise noisy.png -o clean.png
# bayesdip denoise noisy.png -o clean.png --sigma 25 --std uncertainty.tif --report out/
# ```
