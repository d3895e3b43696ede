# %% [markdown]
# # An astronomical frame with cosmic rays
#
# Two short exposures of the same sky: photons and read noise everywhere, and pixels that cosmic rays have hit. A ray hits one exposure: this makes the
# mask, one for each. Both are restored together, as channels.

# %% [hidden]
import numpy as np
from figures import side_by_side
from skimage import data
from skimage.draw import line

rng = np.random.default_rng(3)
sky = data.hubble_deep_field()[400:476, 150:226].astype(float).mean(axis=-1) * 4
frames = rng.poisson(sky, (2, *sky.shape)) + rng.normal(0, 5, (2, *sky.shape))
for number, row, column in rng.integers(0, (2, 70, 70), (40, 3)):
    length = rng.integers(0, 6, 2)
    frames[number][line(row, column, row + length[0], column + length[1])] += rng.uniform(300, 3000)

# %%
import bayesdip as bd

lower = np.maximum(frames.min(axis=0), 0)
expected = np.sqrt(2 * (lower + 5**2))  # photons and read noise, in the difference of two exposures
hit = frames - lower > 6 * expected
r = bd.inpaint(frames, hit, sigma="auto", channel_axis=0, effort="fast")  # (2, 76, 76)
print(f"{r.method}: {hit.mean():.1%} of the values were hit; it took {r.seconds:.1f} s")

# %% [hidden]
error = np.abs(r.mean - sky)
print(
    f"median error where a ray hit: {np.median(error[hit]):.0f} photons, elsewhere: {np.median(error[~hit]):.0f}"
)
side_by_side(
    {"one exposure": frames[0], "hit": hit[0] * 400, "restored": r.mean[0], "true": sky}, vmin=0, vmax=400
)

# %% [markdown]
# **When not to:** with one exposure alone `bd.denoise` finds hit pixels that stand by themselves, but tracks of several pixels look like stars to it. Photometry of
# faint sources wants the data, with the noise that is known in them.
