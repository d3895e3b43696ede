# %% [markdown]
# # Bring your own operator
#
# `bayesdip.restore(y, operator, noise)` is the general form of the four tasks: the data are `y = A x + noise`.
# The operator `A` can be a function, a matrix, an operator of SciPy, PyLops or DeepInverse, or a class of your
# own.

# %%
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

clean = data.camera()[100:164, 200:264] / 255.0
rng = np.random.default_rng(0)

# %% [markdown]
# ## A function
#
# Write what the instrument does to a picture, in PyTorch. The adjoint is made by automatic differentiation.
# The function takes one picture, a tensor of the shape of the grid. Here it is a motion blur of five pixels, of
# which only every second row is kept.


# %%
def motion(x):
    """Average five neighbours in each row, then keep every second row."""
    padded = torch.nn.functional.pad(x, (2, 2), mode="replicate")
    return sum(padded[:, k : k + x.shape[1]] for k in range(5))[::2] / 5


A = bd.operators.from_function(motion, clean.shape)
print(A)
y = A.forward(clean) + rng.normal(scale=0.01, size=A.output_shape)
r = bd.restore(y, A, bd.Gaussian(0.01), method="gp", seed=0)
print(r.method, f"PSNR {psnr(clean, r.mean, data_range=1):.2f} dB")

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
for axis, (title, picture) in zip(axes, {"data": y, "restored": r.mean, "clean": clean}.items(), strict=True):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title)
    axis.set_axis_off()

# %% [markdown]
# A function of NumPy arrays needs its adjoint: `from_function(f, shape, adjoint=g)`. Whether the function is linear,
# and the adjoint right, is checked on random pictures.
#
# ## A matrix, or an operator of another package
#
# `from_matrix` takes a NumPy array, a tensor or a SciPy sparse matrix that acts on the flattened picture;
# `from_scipy` takes a `scipy.sparse.linalg.LinearOperator`; `from_pylops` and `from_deepinv` take operators of
# these packages.

# %%
rays = scipy.sparse.random_array((600, clean.size), density=0.02, rng=1, format="csr")
B = bd.operators.from_scipy(scipy.sparse.linalg.aslinearoperator(rays), clean.shape)
y = rays @ clean.ravel() + rng.normal(scale=0.01, size=600)
few = bd.restore(y, B, bd.Gaussian(0.01), method="gp", seed=0)
print(f"{len(y)} random sums of {clean.size} pixels: {psnr(clean, few.mean, data_range=1):.2f} dB")

# %% [markdown]
# ## Compose
#
# Operators compose with `@`, the last one applied on the left: `bd.Mask(missing) @ bd.Blur(shape, psf)` blurs
# first, then loses pixels.
#
# ## Channels
#
# An operator that does the same to every channel does not mention them. One that mixes channels (demosaicing,
# spectral filters, coils) has `input_channels` and `output_channels`. `ChannelMix` multiplies the channels of every pixel
# by a matrix. Here a camera sees two weighted sums of three colours:

# %%
colour = data.astronaut()[:48, 200:248] / 255.0
camera = bd.operators.ChannelMix(colour.shape[:2], np.array([[0.7, 0.3, 0.0], [0.0, 0.4, 0.6]]))
y = np.moveaxis(camera.forward(np.moveaxis(colour, -1, 0)), 0, -1)
y += rng.normal(scale=0.01, size=y.shape)
r = bd.restore(y, camera, bd.Gaussian(0.01), channel_axis=-1, method="gp", seed=0)
print("restored:", r.mean.shape, f"{psnr(colour, r.mean, data_range=1):.1f} dB")

# %% [markdown]
# ## A class
#
# Subclass `Operator` with `forward`, and with `adjoint` if you have a quicker one than automatic differentiation.
# Tensors have the shape `(..., *grid)`.


# %%
class Pairs(bd.operators.Operator):
    """A camera that adds neighbouring pixels of a row."""

    def __init__(self, shape):
        super().__init__(shape, (*shape[:-1], shape[-1] // 2))

    def forward(self, x):
        """Add pixels 0 and 1, 2 and 3, and so on."""
        return x[..., 0::2] + x[..., 1::2]


A = Pairs(clean.shape)
y = A.forward(clean) + rng.normal(scale=0.01, size=A.output_shape)
print(f"{psnr(clean, bd.restore(y, A, bd.Gaussian(0.01), method='gp', seed=0).mean, data_range=1):.2f} dB")

# %% [markdown]
# ## Non-linear operators
#
# `from_function(..., linear=False)` makes an operator that `sgld` and `map` can use: they need only its
# gradient. `patches` and `gp` refuse it, and say so.
#
# ## Complex data
#
# A function may return complex numbers, such as the frequencies that magnetic resonance imaging measures. Their real and
# imaginary parts are then channels of the data; `bayesdip.operators.as_pairs` brings complex data into this form.
#
# All operators: [reference](../reference/operators.md).
