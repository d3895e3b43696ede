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
# The function takes and returns tensors of shape `(C, *grid)`. Here it is a motion blur of five pixels, of
# which only every second row is kept.


# %%
def motion(x):
    """Average five neighbours of each row, then keep every second row."""
    padded = torch.nn.functional.pad(x, (2, 2), mode="replicate")
    return sum(padded[..., k : k + x.shape[-1]] for k in range(5))[..., ::2, :] / 5


A = bd.operators.from_function(motion, clean.shape)
y = motion(torch.as_tensor(clean)[None])[0].numpy() + rng.normal(scale=0.01, size=(32, 64))
r = bd.restore(y, A, bd.Gaussian(0.01), method="gp", seed=0)
print(r.method, f"PSNR {psnr(clean, r.mean, data_range=1):.2f} dB")

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
for axis, (title, picture) in zip(axes, {"data": y, "restored": r.mean, "clean": clean}.items(), strict=True):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title)
    axis.set_axis_off()

# %% [markdown]
# Check an adjoint of your own with the dot-product test: `<A x, v> = <x, A^T v>` for random `x` and `v`.

# %%
x = torch.randn(1, *A.input_shape, dtype=torch.float64)
v = torch.randn(1, *A.output_shape, dtype=torch.float64)
print(f"{abs((A.forward(x) * v).sum() - (x * A.adjoint(v)).sum()):.1e}")

# %% [markdown]
# ## A matrix, or an operator of another package
#
# `from_matrix` takes a NumPy array, a tensor or a SciPy sparse matrix that acts on the flattened picture;
# `from_scipy` takes a `scipy.sparse.linalg.LinearOperator`; `from_pylops` and `from_deepinv` take operators of
# these packages.

# %%
pixels = clean.size
rays = scipy.sparse.random(600, pixels, density=0.02, rng=1, format="csr")
B = bd.operators.from_scipy(scipy.sparse.linalg.aslinearoperator(rays), clean.shape)
y = rays @ clean.ravel() + rng.normal(scale=0.01, size=600)
few = bd.restore(y, B, bd.Gaussian(0.01), method="gp", seed=0)
print(f"{len(y)} random sums of {pixels} pixels: {psnr(clean, few.mean, data_range=1):.2f} dB")

# %% [markdown]
# ## Compose
#
# Operators compose with `@`, the last one applied on the left: `bd.Mask(missing) @ bd.Blur(shape, psf)` blurs
# first, then loses pixels.
#
# ## Channels
#
# An operator that does the same to every channel does not mention them. One that mixes channels (demosaicing,
# spectral filters, coils) sets `input_channels` and `output_channels`. Here a camera sees two weighted sums of
# three colours:


# %%
class TwoFilters(bd.operators.Operator):
    """Two weighted sums of three channels."""

    weights = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.4, 0.6]])

    def __init__(self, shape):
        super().__init__(shape, shape, input_channels=3, output_channels=2)

    def forward(self, x):
        return torch.einsum("oc,chw->ohw", self.weights.to(x), x)

    def adjoint(self, y):
        return torch.einsum("oc,ohw->chw", self.weights.to(y), y)


colour = data.astronaut()[:48, 200:248] / 255.0
camera = TwoFilters(colour.shape[:2])
y = camera.forward(torch.as_tensor(colour).movedim(-1, 0)).movedim(0, -1).numpy()
y += rng.normal(scale=0.01, size=y.shape)
r = bd.restore(y, camera, bd.Gaussian(0.01), channel_axis=-1, method="gp", seed=0)
print("restored:", r.mean.shape, f"{psnr(colour, r.mean, data_range=1):.1f} dB")

# %% [markdown]
# ## Non-linear operators
#
# `from_function(..., linear=False)` makes an operator that `sgld` and `map` can use: they need only its
# gradient. `patches` and `gp` refuse it, and say so. Complex data are passed as pairs of real numbers.
#
# All operators: [reference](../reference/operators.md).
