# %% [markdown]
# # An electrocardiogram with gaps
#
# The electrode lost contact three times, and there is noise. Heart beats are alike: cut at their peaks and laid below each other they make a picture, in which each gap has
# other beats above and below.

# %% [hidden]
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
starts = np.cumsum(rng.integers(205, 235, 13)) - 150  # of the beats; 250 values are one second
waves = ((0.12, 45, 6.0), (-0.14, 65, 2.2), (1.1, 71, 2.7), (-0.22, 77, 2.7), (0.28, 130, 11.0))
time = np.arange(starts[-1] + 200)
clean = sum(h * np.exp(-((time - start - at) ** 2) / (2 * w**2)) for start in starts for h, at, w in waves)
signal = clean + rng.normal(0, 0.04, time.shape)
for begin, end in ((820, 860), (1290, 1330), (1755, 1800)):
    signal[begin:end] = np.nan

# %%
from scipy.signal import find_peaks

import bayesdip as bd

peaks = find_peaks(np.nan_to_num(signal), height=0.6, distance=100)[0]
places = peaks[(peaks >= 60) & (peaks < signal.size - 130)][:, None] + np.arange(-60, 130)
r = bd.inpaint(signal[places], sigma="auto")  # (beats, 190); NaN is missing
low, high = r.interval(0.9)
print(f"{r.method}: {len(places)} beats, sigma {r.sigma[0]:.3f} millivolt; it took {r.seconds:.1f} s")

# %% [hidden]
gone = np.isnan(signal[places])
inside = ((low <= clean[places]) & (clean[places] <= high))[gone].mean()
print(
    f"in the gaps: root mean square error {np.sqrt(np.mean((r.mean - clean[places])[gone] ** 2)):.3f}, {inside:.0%} inside of the 90% interval"
)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), width_ratios=(1, 2))
axes[0].imshow(signal[places], aspect="auto", interpolation="none")
axes[0].set(title="beats, one below the other", yticks=[])
row = int(np.argmax(gone.sum(axis=1)))
axes[1].fill_between(places[row], low[row], high[row], alpha=0.3, label="90% interval")
axes[1].plot(places[row], signal[places[row]], ".", ms=3, color="0.4", label="measured")
axes[1].plot(places[row], r.mean[row], lw=1.2, label="restored")
axes[1].plot(places[row], clean[places[row]], "k--", lw=0.8, label="true")
axes[1].legend(fontsize=8)
axes[1].set(title="a beat with a gap (millivolt)")

# %% [markdown]
# **When not to:** a beat that is unlike the others and falls into a gap is not found. A diagnosis must not rest on what was filled in.
