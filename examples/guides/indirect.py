# %% [markdown]
# # Indirect data
#
# A scanner does not measure pixels. It measures line integrals, frequencies, intensities or one colour at a time:
# `y = A x + noise`. Choose the operator of the instrument, and `bayesdip.restore(y, A, noise)` gives the picture, with a
# standard deviation at every pixel.
#
# | instrument | operator | data |
# |---|---|---|
# | computed tomography | `Tomography(shape, angles)`, `FanBeam(shape, angles, source_distance)` | (detector, view), angles in degrees |
# | magnetic resonance imaging | `MaskedFourier(mask, coil_maps)` | complex, (coil, *shape) |
# | phase retrieval | `PhaseRetrieval(masks, real=True)` | intensities, (mask, *shape) |
# | raw data of a camera | `Mosaic(shape, "RGGB")` | one number at each pixel |
# | spectral cameras, stains | `ChannelMix(shape, matrix)` | measured channels |
# | seismic section | `MissingTraces(shape, missing)` | the section, anything in missing traces |
# | microscope, 3-D too | `bd.Blur(shape, psf)` | the blurred picture |
#
# All but phase retrieval are linear, and every method takes them. Lengths are in pixels. The noise is in the units of the
# data.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage.data import shepp_logan_phantom
from skimage.transform import iradon, resize

import bayesdip as bd

side = 32
phantom = resize(shepp_logan_phantom(), (side, side), anti_aliasing=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## Tomography
#
# The geometry of `Tomography` is that of `skimage.transform.radon`, so that its sinograms, and its filtered back-projection,
# fit. Any angles will do: few of them (sparse view), or less than half a turn (limited angle). `FanBeam` is for a point source
# and a flat detector.

# %%
angles = np.arange(0, 180, 6)
A = bd.operators.Tomography(phantom.shape, angles)
y = A.forward(phantom)
sigma = 0.02 * y.max()
y += rng.normal(scale=sigma, size=y.shape)
r = bd.restore(y, A, bd.Gaussian(sigma), effort="fast", seed=0)
back_projection = iradon(y, angles, circle=False, output_size=side)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.2))
shown = {
    "data": y,
    "filtered back-projection": back_projection,
    "restored": r.mean,
    "standard deviation": r.std,
}
for axis, (title, picture) in zip(axes, shown.items(), strict=True):
    axis.imshow(picture, cmap="gray", vmax=None if title in ("data", "standard deviation") else 1)
    axis.set_title(title)
    axis.set_axis_off()


# %%
def decibels(picture):
    """PSNR against the phantom."""
    return f"{-10 * np.log10(np.mean(np.abs(picture - phantom) ** 2)):.1f} dB"


print(f"{r.method}: {decibels(r.mean)}; filtered back-projection: {decibels(back_projection)}")

# %% [markdown]
# ## Magnetic resonance imaging
#
# The mask is True where a frequency is **measured**, as the field has it, with frequency zero in the middle. Data and pictures
# are complex: their real and imaginary parts are channels, real parts first, which `from_pairs` joins again. Give
# `coil_maps` of several coils; say `real=True` where the picture is known to be real.

# %%
mask = np.zeros(phantom.shape, bool)
mask[:, ::3] = mask[:, 12:20] = True
B = bd.operators.MaskedFourier(mask)
rows, columns = np.indices(phantom.shape) / side
turned = phantom * np.exp(1j * (rows + 2 * columns))
y = bd.operators.from_pairs(B.forward(bd.operators.as_pairs(turned)))
y += mask * (rng.normal(scale=0.01, size=y.shape) + 1j * rng.normal(scale=0.01, size=y.shape))
r = bd.restore(y, B, bd.Gaussian(0.01), method="gp", effort="fast", seed=0)
found = bd.operators.from_pairs(np.moveaxis(r.mean, -1, 0))
print(f"{r.method}: {decibels(np.abs(found))}")

# %% [markdown]
# Without `method=`, `patches` run here. They take longer than `gp`, which is a first look.
#
# ## Raw data of a camera
#
# Each pixel of a mosaic has seen one colour. That is a picture of which each channel lacks most pixels, and methods are told
# so. On the command line it is `bayesdip inpaint raw.tif --mosaic RGGB -o colour.tif`.

# %%
camera = bd.operators.Mosaic(phantom.shape, "RGGB")
colours = np.stack([phantom, phantom**2, 1 - phantom])
r = bd.restore(camera.forward(colours)[0], camera, bd.Gaussian(0), effort="fast", seed=0)
error = np.mean((r.mean - np.moveaxis(colours, 0, -1)) ** 2)
print(f"{r.method}: {r.mean.shape}, {-10 * np.log10(error):.1f} dB")

# %% [markdown]
# ## DeepInverse
#
# `bd.adapters.DeepinvReconstructor()` is a model of that library: `x = model(y, physics)`, on batches. Its operators come in by
# `bd.operators.from_deepinv(physics, shape, input_channels=C)`. `pip install 'bayesdip[deepinv]'`.
#
# ## An instrument of your own
#
# [Bring your own operator](own-operator.md). How well each case is restored, beside classical methods:
# `python -m benchmarks indirect`, in [Benchmarks](../benchmarks.md).
