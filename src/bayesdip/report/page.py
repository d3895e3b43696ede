"""The page: one HTML file about one restoration."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.io import Picture, atomic_write

if TYPE_CHECKING:
    from jinja2 import Template

    from bayesdip.result import Restoration

PAGE = "report.html"


def write_report(
    folder: str | Path,
    before: NDArray[Any],
    restoration: Restoration,
    *,
    title: str,
    task: str,
    command: str,
    force: bool = False,
    like: Picture | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> Path:
    """Write ``report.html`` into a folder: one file that needs nothing beside it, and no network.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.
    before : array, shape (M,), (M, N) or (M, N, C)
        What was restored, in its own scale; channels, if any, last.
    restoration : Restoration
        With its channels last.
    title, task, command : str
        The page's heading, the verb, and the command line that repeats the run.
    force : bool
        Replace an earlier page.
    like : Picture, optional
        The picture as it was read: its colours, orientation and transparency.
    missing : bool array, shape (M, N) or (M, N, C), optional
        True where a pixel, or a channel of it, of ``before`` was missing.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileError
        The page exists and ``force`` is not set, or it cannot be written.
    """
    # Matplotlib takes 0.3 s to import, which a run without a report does not need.
    from bayesdip.report.content import Subject, content_of

    subject = Subject(np.asarray(before), restoration, task, like, missing)
    return write_html(
        Path(folder) / PAGE, "report.html.j2", force, title=title, command=command, **content_of(subject)
    )


def write_html(file: Path, name: str, force: bool, **content: Any) -> Path:
    """Fill in the template ``name`` of this package and write it to a file, whose folder is made if it is not there.

    Raises
    ------
    FileError
        The file exists and ``force`` is not set, or it cannot be written.
    """
    html = template(name).render(**content)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, force) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return file


@lru_cache(maxsize=2)
def template(name: str) -> Template:
    """Return the compiled template of that name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("bayesdip.report", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(name)
