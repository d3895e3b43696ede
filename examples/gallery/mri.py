# %% [markdown]
# # Magnetic resonance imaging
#
# The scanner measures frequencies, and a quicker scan measures fewer: here every line near the middle and a quarter of the others. The data are complex
# numbers.

# %% [hidden]
import numpy as np
from figures import side_by_side
from skimage import data
from skimage.transform import resize

rng = np.random.default_rng(1)
clean = resize(data.retina()[300:1100, 300:1100].mean(axis=-1) / 255, (64, 64), anti_aliasing=True)

# %%
import bayesdip as bd

lines = rng.random(64) < 0.25
lines[26:39] = True
A = bd.operators.MaskedFourier(np.broadcast_to(lines, clean.shape), real=True)
pairs = A.forward(clean[None]) + rng.normal(0, 0.01, (2, *clean.shape))
kspace = pairs[0] + 1j * pairs[1]  # what the scanner gives, (64, 64)
r = bd.restore(kspace, A, bd.Gaussian(0.01), effort="fast")
print(f"{r.method}: {lines.mean():.0%} of the lines measured; it took {r.seconds:.1f} s")

# %% [hidden]
measured = np.where(lines, kspace, 0)
quick = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(measured), norm="ortho")).real
old, new = (np.sqrt(np.mean((picture - clean) ** 2)) for picture in (quick, r.mean.reshape(clean.shape)))
print(f"root mean square error: zeros for what was not measured {old:.3f}, restored {new:.3f}")
side_by_side(
    {
        "true": clean,
        "zeros for the rest": quick,
        "restored": r.mean.reshape(clean.shape),
        "std": r.std.reshape(clean.shape),
    }
)

# %% [markdown]
# **When not to:** where coils differ, give their maps (`coil_maps=`); motion and field maps need a function of your own. Without them, what is said of the uncertainty
# is wrong. Pictures for diagnosis are made by methods that were tested for it.
