# %% [markdown]
# # Computed tomography
#
# Projections from 24 directions, which is few.

# %% [hidden]
import numpy as np
from figures import side_by_side
from skimage import data
from skimage.transform import iradon, resize

clean = resize(data.shepp_logan_phantom(), (48, 48), anti_aliasing=True)

# %%
import bayesdip as bd

angles = np.arange(24) * 7.5  # degrees
A = bd.operators.Tomography(clean.shape, angles)  # scikit-image's radon, with an exact adjoint
sinogram = A.forward(clean) + np.random.default_rng(0).normal(0, 0.1, A.output_shape)
r = bd.restore(sinogram, A, bd.Gaussian(0.1), effort="fast")
print(f"{r.method}: {sinogram.size} line integrals, {clean.size} pixels; it took {r.seconds:.1f} s")

# %% [hidden]
filtered = iradon(np.asarray(sinogram), theta=angles, output_size=48)
old, new = (np.sqrt(np.mean((picture - clean) ** 2)) for picture in (filtered, r.mean))
print(f"root mean square error: filtered back-projection {old:.3f}, restored {new:.3f}")
side_by_side({"true": clean, "filtered back-projection": filtered, "restored": r.mean, "std": r.std})

# %% [markdown]
# **When not to:** with hundreds of directions and little noise filtered back-projection is as good, and quicker. Metal and beam hardening are not linear:
# write a function, and give it to `bd.operators.from_function(..., linear=False)`.
