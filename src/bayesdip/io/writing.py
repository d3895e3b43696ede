"""From pixels to a file: whole or not at all, and never over an existing file unasked."""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from bayesdip.errors import FileError
from bayesdip.io.encoding import (
    FORMATS,
    REAL_FORMATS,
    REAL_SUFFIXES,
    Encoding,
    as_type,
    choose_encoding,
    encode,
    fitted_alpha,
    suffix_of,
    to_rgb,
)
from bayesdip.io.guards import PIPE, FilePath, file_error, reason_of
from bayesdip.io.picture import Array, Picture, colour_of, full_scale
from bayesdip.io.pixel_size import enlarged

# Formats for people to look at.
_VIEWED = ("PNG", "JPEG", "TIFF", "WEBP")
# Compressed formats seldom get smaller than this share of the samples; the others need all of it.
_SMALLEST_SHARE = 0.02


@contextmanager
def atomic_write(path: FilePath, force: bool = False) -> Iterator[Path]:
    """Give a temporary name to write to; the file appears under its own name once it is whole.

    The temporary file lies in the same folder and is renamed at the end. After any error or
    interrupt it is gone, and an existing file is as it was.

    Parameters
    ----------
    path : path-like
        The file to write. A symbolic link stays one, and its target is replaced.
    force : bool
        Replace an existing file.

    Yields
    ------
    Path
        The temporary name; an empty file stands there.

    Raises
    ------
    FileError
        If the file exists and ``force`` is not set, if it is a directory or a special file,
        or if the folder or the disk does not let it be written.
    """
    target = _target(path, force)
    temporary = _beside(target)
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        with open(temporary, "r+b") as handle:
            os.fsync(handle.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        _target(path, force)  # another program may have made it meanwhile
        os.replace(temporary, target)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_writable(
    path: FilePath,
    force: bool = False,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: DTypeLike | None = None,
    like: Picture | None = None,
) -> tuple[str, ...]:
    """Raise now, before a long run, what :func:`write_picture` would raise after it.

    The folder is tried by making and removing an empty file in it, and its free space is compared
    with what the output needs at least.

    Parameters
    ----------
    path, force, like
        As for :func:`write_picture`.
    shape : tuple of int, optional
        Shape of the picture that will be written; by default that of ``like``.
    dtype : optional
        Sample type that will be written; by default that of ``like``. Without a shape and a
        type only the name, the folder and ``force`` are checked.

    Returns
    -------
    tuple of str
        What the format cannot keep, one phrase each, to be shown to the user.

    Raises
    ------
    FileError
        As :func:`write_picture`, and if the disk is too full.
    """
    if like is not None:
        shape = shape or like.pixels.shape
        dtype = like.pixels.dtype if dtype is None else dtype
    if shape is None or dtype is None:
        shape, dtype = (1, 1), np.uint8  # every format holds that
    encoding = choose_encoding(_named(path, like), shape, np.dtype(dtype), like)
    if os.fspath(path) == PIPE:
        return encoding.notes
    target = _target(path, force)
    size = math.prod(shape) * encoding.dtype.itemsize
    if encoding.format not in REAL_FORMATS:
        size = max(int(size * _SMALLEST_SHARE), 1)
    probe = _beside(target)
    try:
        probe.touch(exist_ok=False)
        if shutil.disk_usage(target.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            probe.unlink()
    return encoding.notes


def write_picture(
    path: FilePath,
    pixels: Array,
    like: Picture | None = None,
    force: bool = False,
    *,
    alpha: Literal["keep", "opaque"] = "keep",
    dtype: DTypeLike | None = None,
) -> tuple[str, ...]:
    """Write a picture in the format its name asks for, like the picture it was made from.

    The sample type is the source's: real numbers are rounded and clipped to it. Transparency,
    colour profile, EXIF (as it is, a thumbnail in it included) and resolution go along where the
    format holds them. JPEG is written at quality 95 without colour subsampling, WebP without loss. CMYK
    becomes RGB in PNG and WebP; 16 bits become 8 in JPEG and WebP. Floating-point samples are an
    error there and in PNG, because their scale is not known: write ``.tif`` or ``.npy``.

    Parameters
    ----------
    path : path-like
        Ends in .png, .jpg, .jpeg, .tif, .tiff, .webp, .npy, .fits, .dcm, .nii, .nii.gz or .exr; ``-`` is standard output, in the
        source's format, or as PNG where that is only read.
    pixels : array, shape (M, N), (M, N, C) or (M,)
        In the scale of ``like.pixels``; of another size than it where the picture was enlarged.
    like : Picture, optional
        What was read. Without it the type of ``pixels`` decides, and 3 channels are RGB.
    force : bool
        Replace an existing file.
    alpha : {"keep", "opaque"}
        Write the source's transparency back (resized with the picture), or make it opaque, as
        after filling in the transparent pixels.
    dtype : optional
        Sample type in the file; by default that of ``like``, or of ``pixels``.

    Returns
    -------
    tuple of str
        What the format could not keep, one phrase each, to be shown to the user.

    Raises
    ------
    FileError
        If the format cannot hold the picture, or the file cannot be written.
    NonFiniteError
        If NaN or infinity would have to become a whole number.
    """
    pixels = np.asarray(pixels)
    if dtype is None:
        dtype = pixels.dtype if like is None else like.pixels.dtype
    dtype = np.dtype(dtype)
    target = choose_encoding(_named(path, like), pixels.shape, dtype, like)
    like = like or Picture(pixels, colour=colour_of(pixels.shape))
    source = enlarged(like, pixels.shape[:2])
    values = as_type(pixels, dtype, path)
    transparency = _transparency(target, source, values.shape, alpha)
    if target.format in _VIEWED and target.colour == "rgb" and values.shape[2:] != (3,):
        values = to_rgb(values, source.colour, source.icc_profile)
    data = encode(target, values, transparency, source, path)
    if os.fspath(path) == PIPE:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return target.notes
    with atomic_write(path, force) as temporary:
        temporary.write_bytes(data)
    return target.notes


def holds_real_numbers(path: FilePath, like: Picture | None = None) -> bool:
    """Whether a file of that name can hold real numbers restored from whole ones.

    Parameters
    ----------
    path : path-like
    like : Picture, optional
        What was read: its transparency is of whole numbers, and so are the pixels beside it.

    Returns
    -------
    bool
    """
    return suffix_of(path) in REAL_SUFFIXES and (like is None or like.alpha is None)


def write_std(path: FilePath, std: Array, like: Picture, force: bool = False) -> tuple[str, ...]:
    """Write the standard deviation of a picture, with the header of the picture's file where the format is the same.

    Parameters
    ----------
    path : path-like
        Of a format that holds real numbers.
    std : array
        In the scale of ``like.pixels``.
    like : Picture
        What was read.
    force : bool
        Replace an existing file.

    Returns
    -------
    tuple of str
        As of :func:`write_picture`.
    """
    own = like.header is not None and FORMATS.get(suffix_of(path)) == like.format
    if own or like.volume:
        plain = replace(like, alpha=None, is_std=True)
        return write_picture(path, std, plain, force, dtype=std.dtype)
    return write_picture(path, std, force=force)


def _transparency(target: Encoding, source: Picture, shape: tuple[int, ...], alpha: str) -> Array | None:
    """Return the transparency to write, at the size of the picture; None where there is none to write."""
    if not target.alpha or source.alpha is None:
        return None
    grid = (shape[0], shape[1])
    if alpha == "opaque":
        return np.full(grid, full_scale(source.alpha.dtype), source.alpha.dtype)
    return fitted_alpha(source.alpha, grid)


def _named(path: FilePath, like: Picture | None) -> FilePath:
    """The name that says the format: that of the source for standard output."""
    if os.fspath(path) != PIPE:
        return path
    kind = like.format if like is not None else "NPY"
    kind = "TIFF" if kind == "RAW" else kind
    return PIPE + next((suffix for suffix, name in FORMATS.items() if name == kind), ".png")


def _beside(target: Path) -> Path:
    """Return an unused name in the same folder, so that renaming the file to ``target`` is one step."""
    return target.with_name(f".bayesdip-{secrets.token_hex(6)}.part")


def _target(path: FilePath, force: bool) -> Path:
    """Return the file to replace, or raise FileError where it must not be."""
    target = Path(os.path.realpath(path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            given = "its folder does not exist"
            raise file_error(path, given, "an existing folder is", "make it first") from None
        return target
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    if stat.S_ISDIR(mode):
        raise file_error(path, "is a directory", "a file name is", "add one to it")
    if not stat.S_ISREG(mode):
        raise file_error(path, "is not a regular file", "a file on disk is", "choose another name")
    if not force:
        advice = "choose one, or replace the file with --force (force=True)"
        raise file_error(path, "exists already", "a new name is", advice)
    return target


def _unwritable(path: FilePath, error: OSError | ValueError) -> FileError:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return file_error(path, "the disk is full", "room for the file is", "free some, or write elsewhere")
    reason = reason_of(error)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        given, advice = (
            f"writing there is not allowed ({reason})",
            "change its permissions, or write elsewhere",
        )
        return file_error(path, given, "a writable folder is", advice)
    return file_error(path, f"cannot be written ({reason})", "a usable file name is", "write elsewhere")
