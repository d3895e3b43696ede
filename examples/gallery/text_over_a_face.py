# %% [markdown]
# # Text over a face
#
# A caption covers the picture. Its letters are one colour that nothing else has: this makes the mask.

# %% [hidden]
import numpy as np
from figures import side_by_side
from PIL import Image, ImageDraw
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

clean = data.astronaut()[16:144, 160:288]
image = Image.fromarray(clean)
draw = ImageDraw.Draw(image)
draw.fontmode = "1"  # hard edges
for row in range(4, 124, 20):
    draw.text((2, row), "the quick brown fox jumps", fill=(255, 255, 0))
captioned = np.asarray(image)

# %%
import bayesdip as bd

letters = (captioned == (255, 255, 0)).all(axis=-1)
r = bd.inpaint(captioned, letters, channel_axis=-1, effort="fast")
print(f"{r.method}: {letters.mean():.0%} missing; it took {r.seconds:.1f} s")
print(
    f"PSNR: {psnr(clean, captioned):.1f} dB before, {psnr(clean, r.mean):.1f} dB after; known pixels are unchanged"
)

# %% [hidden]
side_by_side({"with a caption": captioned, "restored": r.mean, "std": r.std.mean(axis=-1)})

# %% [markdown]
# **When not to:** text with soft edges is in more pixels than have its colour. Grow the mask by a pixel or two, or leave `grow_mask` on, which does it where it sees
# damage beside the mask. Strokes that hide an eye whole hide it for good: what comes back is a guess, and `r.std` says so.
