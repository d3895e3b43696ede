"""What stands between a hostile or broken file and the user: one clear line, never a traceback."""

from __future__ import annotations

import logging
import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesdip.errors import BayesDipError, FileError, ResourceError

FilePath = str | os.PathLike[str]

#: Pillow refuses pictures of more pixels than this as decompression bombs; all formats share the limit.
LARGEST_GRID = 178_956_970


def one_line(text: object) -> str:
    """Return the text on one line, unprintable characters escaped."""
    return _printable(" ".join(str(text).split()))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def message(path: FilePath, given: str, expected: str, advice: str) -> str:
    """Return the one line that an error about a file is: which file, what it is, what it should be, what to do."""
    return f"{_printable(os.fspath(path))}: {given}; {expected} expected: {advice}"


def read_bytes(path: FilePath) -> bytes:
    """Read a whole file.

    Raises
    ------
    FileError
        If it is missing, empty, a directory or another special file, or may not be read.
    ResourceError
        If it is larger than half of the machine's memory.
    """
    try:
        status = os.stat(path)
        _check_kind(path, status)
        refuse_bytes(path, status.st_size)
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        text = message(path, "no such file", "an existing picture is", "check the name")
        raise FileError(text) from error
    except PermissionError as error:
        text = message(
            path, "permission to read it is denied", "a readable file is", "change its permissions"
        )
        raise FileError(text) from error
    except BayesDipError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero character
        reason = one_line(getattr(error, "strerror", None) or error)
        text = message(
            path, f"cannot be read ({reason})", "a readable file is", "check the name and the disk"
        )
        raise FileError(text) from error


def _check_kind(path: FilePath, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise FileError(message(path, "is a directory", "a picture file is", "name one inside it"))
    if not stat.S_ISREG(status.st_mode):
        raise FileError(message(path, "is not a regular file", "a picture file is", "save it as one first"))
    if status.st_size == 0:
        raise FileError(message(path, "is empty (0 bytes)", "a picture file is", "make or fetch it again"))


def refuse_bytes(path: FilePath, size: int) -> None:
    """Raise ResourceError if ``size`` bytes are more than half of this machine's memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if size > memory // 2:
        given = f"needs {size / 2**30:.1f} GiB to be read"
        expected = f"at most half of this machine's {memory / 2**30:.1f} GiB is"
        raise ResourceError(message(path, given, expected, "crop it or cut it into tiles"))


def refuse_huge(path: FilePath, shape: tuple[int, ...], itemsize: int) -> None:
    """Raise ResourceError before a picture of ``shape`` (M, N, ...) that is too large is unpacked."""
    rows, columns = shape[:2]
    if rows * columns > LARGEST_GRID:
        given = f"claims to have {columns}x{rows} pixels"
        advice = "crop it or cut it into tiles, if it is not damaged"
        raise ResourceError(message(path, given, f"at most {LARGEST_GRID:,} are", advice))
    refuse_bytes(path, math.prod(shape) * itemsize)


@contextmanager
def decoding(path: FilePath, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad file into one FileError, and keep the decoders quiet.

    Decoders of foreign bytes raise almost anything (``SyntaxError``, ``struct.error``,
    ``KeyError``, ...), hence the wide net.
    """
    from PIL import Image, ImageFile

    logger = logging.getLogger("tifffile")
    level, truncated = logger.level, ImageFile.LOAD_TRUNCATED_IMAGES
    logger.setLevel(logging.CRITICAL + 1)
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # other libraries switch it on, and gray bands come out
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BayesDipError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        given = f"is too large to unpack ({one_line(error) or 'out of memory'})"
        expected = f"at most {LARGEST_GRID:,} pixels that fit in memory are"
        raise ResourceError(message(path, given, expected, "crop it or cut it into tiles")) from error
    except Exception as error:
        given = f"is damaged or cut short ({one_line(error) or type(error).__name__})"
        raise FileError(
            message(path, given, f"a whole {kind} file is", "fetch or export it again")
        ) from error
    finally:
        logger.setLevel(level)
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated
