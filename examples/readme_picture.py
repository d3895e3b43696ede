"""Make docs/assets/example.png, the picture in the README.

Half of the pixels of a part of scikit-image's ``astronaut`` are missing; method ``patches`` fills them in.
Run: python examples/readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import bayesdip as bd

OUT = Path(__file__).parent.parent / "docs" / "assets" / "example.png"


def main() -> None:
    """Restore the picture and save the figure."""
    clean = data.astronaut()[:160, 144:304]
    missing = np.random.default_rng(0).random(clean.shape[:2]) < 0.5
    damaged = np.where(missing[..., None], 0, clean).astype(np.uint8)
    r = bd.inpaint(damaged, missing, channel_axis=-1, method="patches", seed=0)
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), constrained_layout=True)
    titles = (
        "half of the pixels missing",
        f"restored by {r.method}: {psnr(clean, r.mean):.1f} dB",
        "standard deviation",
        "true error",
    )
    error = np.abs(clean.astype(float) - r.mean).mean(axis=-1)
    for axis, title, picture in zip(axes, titles, (damaged, r.mean, r.std.mean(axis=-1), error), strict=True):
        image = axis.imshow(picture, cmap="magma", vmin=0, vmax=20)
        axis.set_title(title)
        axis.set_axis_off()
    figure.colorbar(image, ax=axes[2:], label="gray levels", shrink=0.9)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT, dpi=75)
    with Image.open(OUT) as picture:  # 256 colours are enough, for a third of the bytes
        small = picture.convert("RGB").quantize(256)
    small.save(OUT, optimize=True)
    print(f"{OUT}: {OUT.stat().st_size // 1000} kB, {psnr(clean, r.mean):.2f} dB, {r.seconds:.0f} s")


if __name__ == "__main__":
    main()
