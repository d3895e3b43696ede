"""bayesdip in napari: a panel for each of the four tasks.

``axes`` says which axes of a layer are restored together, ``plane_run`` restores one after the other what is restored by itself,
``placement`` keeps masks and results where their picture lies, and ``panels`` is what napari shows (``napari.yaml``).
"""

from __future__ import annotations
