"""What a visitor may ask for, and what the page says of more."""

from __future__ import annotations

from bayesdip.errors import BayesDipError

MEGA = 10**6
# Of one file. A 16-bit colour photograph of 25 megapixels is 150 MB.
MOST_BYTES = 200 * MEGA
MOST_PIXELS = 25 * MEGA
# Of one visitor: files and finished runs kept (the oldest goes), and runs that wait or go on.
MOST_FILES, MOST_RUNS, MOST_WAITING = 24, 12, 3
# Of all visitors.
MOST_VISITS, MOST_IN_QUEUE = 200, 100
# Seconds without a word from the browser after which a visit ends, after its tab was closed (a page that is loaded again
# closes first), and where the visitor chose that runs go on.
IDLE, CLOSED, DETACHED = 15 * 60.0, 20.0, 24 * 3600.0
# Of the whole page's architecture text, options and the like.
MOST_TEXT = 20_000
# Posterior samples: each is a picture that the browser loads.
MOST_SAMPLES = 32


class Refused(BayesDipError):
    """What the page does not do, with the HTTP status that says so.

    Parameters
    ----------
    text : str
    status : int
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def check_bytes(size: int) -> None:
    """Refuse a file above `MOST_BYTES`.

    Raises
    ------
    Refused
    """
    if size > MOST_BYTES:
        raise Refused(
            f"the file has more than {MOST_BYTES // MEGA} MB: expected a smaller one; restore it on the command line",
            413,
        )


def check_pixels(grid: tuple[int, ...], factor: int = 1) -> None:
    """Refuse a picture that has, or comes out with, more than `MOST_PIXELS`.

    Raises
    ------
    Refused
    """
    pixels = grid[0] * grid[1] * factor**2
    if pixels > MOST_PIXELS:
        raise Refused(
            f"the picture has {pixels / MEGA:.1f} megapixels: expected at most {MOST_PIXELS // MEGA} on this page; crop it, or "
            "restore it on the command line",
            413,
        )
