"""A page on this machine: drop a picture, see it restored, and how sure every pixel is.

``server`` answers the browser; ``visits`` keeps what each visitor sent, in a folder of its own that is removed again;
``run_queue`` lets a few runs go on at a time, each in a process (``bayesdip.cli.studio_run``) that a defect or lack of memory may end
without harm to others; ``page`` holds what the browser loads, all of it from here.
"""

from __future__ import annotations
