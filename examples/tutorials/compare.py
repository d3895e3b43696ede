# %% [markdown]
# # Find the best method for a picture
#
# `bayesdip.compare` restores one picture by several methods, those of this package and classical ones, and
# ranks them **without a clean picture**. Each classical method has one parameter, which is tuned by the same
# estimate that ranks them all.

# %%
import numpy as np
from skimage import data

import bayesdip as bd

clean = data.camera()[100:164, 200:264]
noisy = np.clip(np.round(clean + np.random.default_rng(0).normal(scale=25, size=clean.shape)), 0, 255)
noisy = noisy.astype(np.uint8)

# %%
found = bd.compare(noisy, methods=["patches", "gp", "nlm", "tv"], effort="fast", truth=clean, seed=0)
print(found.sentence)
print(found.table())

# %% [markdown]
# `truth` is optional. It has no influence on the ranking; it adds PSNR, SSIM and GMSD to the table, and how
# well the ranking without a clean picture agrees with the true one.
#
# Look at the pictures too: a number is no substitute for them.

# %%
figure = found.figure()

# %% [markdown]
# ## How it works
#
# **Held-out pixels** (missing pixels, blur, enlarging). A tenth of the observed pixels is held out; the
# squared error there, less the variance of the noise, is compared. For missing pixels they are held out in
# squares of such a size that they lie as far from known pixels as the missing ones do. For blurred and small
# pictures this is the error of the *predicted data*: two restorations that blur to the same picture look alike
# to it, so read that ranking with care.
#
# **Recorruption** (noise). With fresh noise \(n\) like that of the picture, the methods are given
# \(y + n/2\) and are judged on \(y - 2n\). The two have independent noise, so the squared error is
# unbiased up to a known constant, for any method (Pang et al., CVPR 2021; Oliveira, Lei and Tibshirani,
# EJS 2024). It is the error at a noise level that is 12% larger than yours.
#
# There are up to three rounds, each with other held-out pixels or other noise. Methods that are clearly behind
# leave after a round. Intervals hold 95%, by a bootstrap over squares of 8x8 pixels. If the difference of two
# methods may be zero, the sentence says that they cannot be told apart.
#
# ## The classical methods
#
# | name | what | from |
# |---|---|---|
# | `tv` | total variation, for all four tasks | scikit-image |
# | `nlm` | non-local means | scikit-image |
# | `wavelet` | BayesShrink, averaged over shifts | scikit-image |
# | `bilateral` | bilateral filter | OpenCV |
# | `bm3d` | BM3D | the package `bm3d`, if it is installed |
# | `biharmonic` | biharmonic inpainting | scikit-image |
# | `navier-stokes`, `telea` | inpainting | OpenCV |
# | `lanczos`, `bicubic` | enlarging | Pillow |
# | `wiener` | Wiener filter with a prior on the Laplacian | scikit-image |
# | `richardson-lucy` | Richardson-Lucy | scikit-image |
#
# `pip install 'bayesdip[compare]'` adds OpenCV and PyWavelets. The package `bm3d` is not a dependency, because
# its licence allows non-commercial use only. A method that does not apply stays in the table with its reason.
#
# ## On the command line
#
# ```
# bayesdip compare noisy.png
# bayesdip compare torn.png --mask mask.png --report out/
# bayesdip compare blurred.png --psf psf.png
# ```
