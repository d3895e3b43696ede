"""``python -m bayesdip``, as the ``bayesdip`` program."""

from __future__ import annotations

from bayesdip.cli import main

if __name__ == "__main__":
    main()
