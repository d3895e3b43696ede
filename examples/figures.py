"""The figures of the gallery: pictures side by side."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

HEIGHT = 2.9  # inches


def side_by_side(pictures: dict[str, Any], **options: Any) -> Figure:
    """Show pictures side by side, each with its title; ``options`` are those of ``imshow``.

    Gray pictures have the same scale of black and white, that of the first unless ``vmin`` and ``vmax`` are given. A title that
    begins with ``std`` is shown in colours, from 0 on.
    """
    figure, axes = plt.subplots(1, len(pictures), figsize=(HEIGHT * len(pictures), HEIGHT + 0.3))
    first = next(iter(pictures.values()))
    shared = {"cmap": "gray", "vmin": first.min(), "vmax": first.max(), **options}
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, **({"cmap": "magma", "vmin": 0} if title.startswith("std") else shared))
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.tight_layout()
    return figure
