# %% [markdown]
# # An old photograph with scratches
#
# The scratches are marked, roughly. The print is grainy, too: with `sigma="auto"` the grain is removed along with the scratches.

# %% [hidden]
import numpy as np
from figures import side_by_side
from scipy.ndimage import binary_dilation
from skimage import data
from skimage.draw import bezier_curve

rng = np.random.default_rng(5)
clean = data.camera()[60:188, 170:298].astype(float)
scratched = np.zeros(clean.shape, bool)
for _ in range(7):
    rows, columns = rng.integers(0, 128, 3), rng.integers(0, 128, 3)
    scratched[
        bezier_curve(rows[0], columns[0], rows[1], columns[1], rows[2], columns[2], 1, shape=clean.shape)
    ] = True
scratched = binary_dilation(scratched)
photo = np.clip(np.rint(np.where(scratched, 235, clean) + rng.normal(0, 8, clean.shape)), 0, 255).astype(
    np.uint8
)

# %%
import bayesdip as bd

r = bd.inpaint(photo, scratched, sigma="auto", effort="fast")  # True is missing
print(
    f"{r.method}: sigma {r.sigma[0]:.1f}, {r.held_out_count} pixels held out to check; it took {r.seconds:.1f} s"
)

# %% [hidden]
side_by_side({"photograph": photo, "restored": r.mean, "std": r.std})

# %% [markdown]
# **When not to:** damage wider than the details around it is a [hole](hole-with-samples.md). A fold or a stain through which the picture still shows is no missing
# pixel: marking it throws away what is there.
