"""The comparison as a folder: one self-contained page, the figure, the facts, and every restoration."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdip import __version__
from bayesdip.comparison.text import ESTIMATED, TASKS
from bayesdip.io import Picture, atomic_write, write_picture
from bayesdip.report.page import write_html
from bayesdip.report.pictures import uri

if TYPE_CHECKING:
    from bayesdip.comparison.ranking import Comparison

PAGE, FIGURE, FACTS = "compare.html", "compare.svg", "compare.json"
# Of the figure on the page: pixels of pictures up to some 400 pixels wide can be told apart.
DOTS_PER_INCH = 150


def files_of(names: list[str], suffix: str) -> tuple[str, ...]:
    """What :func:`write_comparison` may write, for methods of these names."""
    return (PAGE, FIGURE, FACTS, *(f"{name}{suffix}" for name in names))


def suffix_for(picture: Picture) -> str:
    """PNG for whole numbers of gray or colour pictures, else ``.npy``, which holds everything."""
    fits = picture.pixels.dtype in ("uint8", "uint16") and picture.colour in ("gray", "rgb")
    return ".png" if fits else ".npy"


def write_comparison(
    folder: Path,
    comparison: Comparison,
    like: Picture,
    *,
    title: str,
    command: str,
    facts: str,
    force: bool = False,
) -> Path:
    """Write everything into a folder, which is made if it is not there.

    Parameters
    ----------
    folder : Path
    comparison : Comparison
    like : Picture
        The picture as it was read: the restorations are written alike.
    title, command : str
        The page's heading, and the command line that repeats the run.
    facts : str
        The same as JSON.
    force : bool
        Replace files that exist.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileError
        A file exists and ``force`` is not set, or it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for entry in comparison.applied:
        assert entry.restored is not None
        write_picture(folder / f"{entry.name}{suffix_for(like)}", entry.restored, like, force)
    figure, shown = comparison.figure(), BytesIO()
    figure.savefig(shown, format="png", dpi=DOTS_PER_INCH)
    with atomic_write(folder / FIGURE, force) as temporary:
        figure.savefig(temporary, format="svg", dpi=DOTS_PER_INCH)
    with atomic_write(folder / FACTS, force) as temporary:
        temporary.write_text(facts + "\n", encoding="utf-8")
    return write_html(
        folder / PAGE,
        "compare.html.j2",
        force,
        title=title,
        sentence=comparison.sentence,
        task=TASKS[comparison.setup.task],
        estimated=ESTIMATED[comparison.estimator],
        comparison=comparison,
        picture=uri(shown.getvalue()),
        command=command,
        version=__version__,
    )
