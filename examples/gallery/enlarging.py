# %% [markdown]
# # Enlarging
#
# A small picture becomes twice as wide and high. What is found is a large picture that gives the small one when it is made small again.

# %% [hidden]
import numpy as np
from figures import side_by_side
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

clean = np.asarray(Image.fromarray(data.chelsea()[60:156, 130:226]).convert("L"))
small = np.asarray(Image.fromarray(clean).resize((48, 48), Image.Resampling.LANCZOS))
bicubic = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC))

# %%
import bayesdip as bd

r = bd.upscale(small, factor=2, effort="fast")  # uint8 (48, 48) -> (96, 96)
print(f"{r.method}: it took {r.seconds:.1f} s")
print(f"PSNR: bicubic {psnr(clean, bicubic):.1f} dB, restored {psnr(clean, r.mean):.1f} dB")

# %% [hidden]
side_by_side({"small": small, "bicubic": bicubic, "restored": r.mean, "clean": clean})

# %% [markdown]
# **When not to:** if detail shall be invented that looks plausible, take a network that was trained on many pictures. Here nothing is added that the picture does
# not hold itself. If the picture was made small by another filter, say which: `kind="area"` for averages of pixels.
