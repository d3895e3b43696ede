# %% [markdown]
# # A hole, with samples
#
# Nobody knows what was in a hole. An untrained network continues what it sees around it, and its posterior samples show how differently it can.

# %% [hidden]
import numpy as np
from figures import side_by_side
from skimage import data

clean = data.brick()[100:164, 100:164]
hole = np.zeros(clean.shape, bool)
hole[22:42, 20:44] = True
torn = np.where(hole, 0, clean).astype(np.uint8)

# %%
import bayesdip as bd

r = bd.inpaint(torn, hole, method=bd.SGLD(steps=250, samples=4, seed=0))
print(f"{r.method}: {len(r.samples)} samples; it took {r.seconds:.1f} s")
print(f"standard deviation at the hole's rim {r.std[22, 32]:.0f}, in its middle {r.std[32, 32]:.0f}")

# %% [hidden]
side_by_side(
    {"torn": torn, "mean": r.mean, "one sample": r.samples[0], "another": r.samples[-1], "std": r.std}
)

# %% [markdown]
# The run is short, so that this page is built quickly; leave `steps` out for a picture of your own.
#
# **When not to:** an object that is hidden whole is not found again; no untrained method knows what a face looks like. Thin damage is better filled in by
# `patches`, in a tenth of the time.
