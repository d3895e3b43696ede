"""Protection from broken and hostile files: every problem becomes one clear line, never a traceback."""

from __future__ import annotations

import logging
import math
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesdip.errors import BayesDipError, FileError, ResourceError, one_line

FilePath = str | os.PathLike[str]
#: The name that stands for standard input, and for standard output.
PIPE = "-"

#: Most pixels of a picture in any format. From this number on Pillow takes a file for a decompression bomb.
LARGEST_GRID = 178_956_970


def message(path: FilePath, given: str, expected: str, advice: str) -> str:
    """Return the one line of an error about a file: which file, what was given and expected, what to do."""
    return f"{one_line(os.fspath(path))}: {given}; {expected} expected: {advice}"


def file_error(path: FilePath, given: str, expected: str, advice: str) -> FileError:
    """Return a FileError with the text of :func:`message`."""
    return FileError(message(path, given, expected, advice))


def read_bytes(path: FilePath) -> bytes:
    """Read a whole file; ``-`` is standard input.

    Raises
    ------
    FileError
        If it is missing, empty, a directory or another special file, or may not be read.
    ResourceError
        If it is larger than half of the machine's memory.
    """
    if os.fspath(path) == PIPE:
        data = sys.stdin.buffer.read()
        if not data:
            raise file_error(path, "standard input is empty", "a picture is", "write one into the pipe")
        return data
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise file_error(path, "is a directory", "a picture file is", "name one inside it")
        if not stat.S_ISREG(status.st_mode):
            raise file_error(path, "is not a regular file", "a picture file is", "save it as one first")
        if status.st_size == 0:
            raise file_error(path, "is empty (0 bytes)", "a picture file is", "make or fetch it again")
        refuse_bytes(path, status.st_size)
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise file_error(path, "no such file", "an existing picture is", "check the name") from error
    except PermissionError as error:
        given, advice = "permission to read it is denied", "change its permissions"
        raise file_error(path, given, "a readable file is", advice) from error
    except BayesDipError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero character
        given = f"cannot be read ({reason_of(error)})"
        raise file_error(path, given, "a readable file is", "check the name and the disk") from error


def reason_of(error: BaseException) -> str:
    """Return what an error says, on one line; the name of its class where it says nothing."""
    return one_line(getattr(error, "strerror", None) or error) or type(error).__name__


def refuse_bytes(path: FilePath, size: int) -> None:
    """Raise ResourceError if ``size`` bytes are more than half of this machine's memory."""
    import psutil

    memory = psutil.virtual_memory().total
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
        given = f"is too large to unpack ({reason_of(error)})"
        expected = f"at most {LARGEST_GRID:,} pixels that fit in memory are"
        raise ResourceError(message(path, given, expected, "crop it or cut it into tiles")) from error
    except Exception as error:
        given = f"is damaged or cut short ({reason_of(error)})"
        raise file_error(path, given, f"a whole {kind} file is", "fetch or export it again") from error
    finally:
        logger.setLevel(level)
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated
