# %% [markdown]
# # Your own operator
#
# A rolling camera: each row of the sensor is read a moment later than the one above, and while the camera pans, each row is blurred along it and only every second one is
# read. Write that as a function of the picture, in PyTorch; its adjoint is found by automatic differentiation.

# %% [hidden]
import numpy as np
from figures import side_by_side
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr
from skimage.transform import resize

clean = data.camera()[106:170, 180:244] / 255.0

# %%
import torch

import bayesdip as bd


def camera(x):  # (64, 64) -> (32, 64)
    padded = torch.nn.functional.pad(x, (2, 2), mode="replicate")
    panned = sum(padded[:, k : k + 64] for k in range(5)) / 5
    return panned[::2]


A = bd.operators.from_function(camera, clean.shape)
seen = A.forward(clean) + np.random.default_rng(0).normal(0, 0.01, A.output_shape)
r = bd.restore(seen, A, bd.Gaussian(0.01), method="gp")
print(f"{r.method}: it took {r.seconds:.1f} s")

# %% [hidden]
stretched = resize(np.asarray(seen), clean.shape, order=3)
old, new = (psnr(clean, picture, data_range=1) for picture in (stretched, r.mean))
print(f"PSNR: stretched {old:.1f} dB, restored {new:.1f} dB")
side_by_side({"seen": seen, "stretched": stretched, "restored": r.mean, "clean": clean})

# %% [markdown]
# **When not to:** for noise, missing pixels, enlarging, a known blur, tomography, magnetic resonance, mosaics and seismic traces an operator is there already, which is
# quicker than a function. More on [operators of your own](../guides/own-operator.md).
