"""Picture files of every format, damaged at random: each is read, or refused in one line, in time, and nothing is written."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import resource
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from bayesdip.errors import explanation, one_line
from bayesdip.io import Picture, mask_of, read_picture
from bayesdip.lab.results import Row

# Seconds in which a file of a few kB is read or refused; bytes that reading it may take.
PATIENCE, MOST_MEMORY = 60.0, 6 * 2**30
# What a reader has no business to do, by the names of Python's audit events, besides opening files for writing.
CHANGES = {
    *(
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
    ),
    *("os.exec", "os.fork", "os.posix_spawn", "os.system", "subprocess.Popen", "socket.connect"),
}
PNG = b"\x89PNG\r\n\x1a\n"
# Numbers that counts, offsets and sizes in a header are set to.
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def originals() -> dict[str, bytes]:
    """Sound files by name; the suffix says the format."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (14, 17), dtype=np.uint8)
    deep, colour = (gray.astype(np.uint16) * 257), rng.integers(0, 256, (14, 17, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    files: dict[str, bytes] = {}

    def pillow(name: str, array: Any, mode: str | None = None, **options: Any) -> None:
        image = Image.fromarray(array)
        stream = io.BytesIO()
        (image.convert(mode) if mode else image).save(
            stream, name.rsplit(".")[-1].upper().replace("JPG", "JPEG"), **options
        )
        files[name] = stream.getvalue()

    def tiff(name: str, array: Any, **options: Any) -> None:
        stream = io.BytesIO()
        tifffile.imwrite(stream, array, **options)
        files[name] = stream.getvalue()

    def npy(name: str, array: Any) -> None:
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        files[name] = stream.getvalue()

    pillow("gray.png", gray)
    pillow("deep.png", deep)
    pillow("colour.png", colour, icc_profile=profile, exif=exif)
    pillow("palette.png", colour, "P", transparency=0)
    pillow("alpha.png", colour, "RGBA")
    pillow("colour.jpg", colour, icc_profile=profile, exif=exif)
    pillow("gray.jpg", gray, progressive=True)
    pillow("colour.webp", colour, lossless=True, exif=exif)
    pillow("colour.bmp", colour)
    pillow("gray.gif", gray)
    tiff("gray.tif", gray, description="a note", resolution=(300, 300))
    tiff("float.tif", gray.astype(np.float32), compression="deflate", predictor=True)
    tiff("tiled.tif", deep, tile=(16, 16), compression="lzw")
    tiff("big.tif", colour, bigtiff=True, photometric="rgb")
    tiff("imagej.tif", gray, imagej=True, metadata={"unit": "um", "spacing": 2.0})
    npy("float.npy", gray.astype(np.float64))
    npy("integer.npy", deep)
    npy("pickle.npy", np.array([{"a": 1}, Unwanted()], dtype=object))
    return files


class Unwanted:
    """What a pickle would do if it were read."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        return os.mkdir, ("pickle-was-read",)


def damaged(content: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """The content after one to four random changes, most of them near the beginning, where headers stand."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            return bytes(data)
        near = len(data) if rng.random() < 0.4 else min(len(data), 160)
        at, length = int(rng.integers(near)), int(rng.integers(1, 17))
        kind = rng.integers(8)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + length] = rng.bytes(min(length, len(data) - at))
        elif kind == 2:
            number, order = int(rng.choice(EXTREMES)), "<>"[int(rng.integers(2))]
            width = "HI"[int(rng.integers(2))]
            packed = struct.pack(order + width, number & (0xFFFF if width == "H" else 0xFFFFFFFF))
            data[at : at + len(packed)] = packed
        elif kind == 3:
            del data[int(rng.integers(len(data))) :]
        elif kind == 4:
            del data[at : at + length]
        elif kind == 5:
            data[at:at] = rng.bytes(length)
        elif kind == 6:
            data[at:at] = data[at : at + 4 * length]
        else:
            other = others[int(rng.integers(len(others)))]
            data[at : at + length] = other[at : at + length]
    if bytes(data[:8]) == content[:8] and content.startswith(PNG) and rng.random() < 0.5:
        return with_checksums(bytes(data))
    return bytes(data)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have right checksums again, so that more than these is looked at."""
    found, at = bytearray(data), len(PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        found[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(found)


def watched(folder: Path, seeds: range, connection: Connection) -> None:
    """A process that damages and reads the files of some seeds, and tells of each what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    logging.disable()
    os.chdir(folder)
    files = originals()
    names, contents = list(files), list(files.values())
    watch = Watch()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        which = int(rng.integers(len(names)))
        path = Path(f"{seed}-{names[which]}")
        path.write_bytes(damaged(contents[which], contents, rng))
        connection.send(("begins", seed, names[which]))
        with watch:
            found = outcome_of(lambda path=path: read(path))
        path.unlink()
        connection.send(("ended", found, watch.writes))
    connection.send(("done",))


class Watch:
    """Notes, in the block, what a reader has no business to do.

    Attributes
    ----------
    writes : list of str
        Files that were opened for writing, and other changes.
    """

    def __init__(self) -> None:
        self.writes: list[str] = []
        self._on = False
        sys.addaudithook(self._note)

    def __enter__(self) -> None:
        self.writes, self._on = [], True

    def __exit__(self, *error: object) -> None:
        self._on = False

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open" and isinstance(arguments[2], int):
            if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                self.writes.append(str(arguments[0]))
        elif event in CHANGES:
            self.writes.append(f"{event} {arguments}")


def read(path: Path) -> None:
    """As a picture, and as a mask."""
    picture = read_picture(path)
    mask_of(path, Picture(picture.pixels))


def outcome_of(work: Callable[[], object]) -> str:
    """``"read"``, ``"refused"``, or what is wrong with how it was refused."""
    try:
        work()
    except Exception as error:
        said = explanation(error)
        if said is None:
            return f"{type(error).__name__}: {one_line(error)[:200]}"
        return "refused" if "\n" not in str(error) else f"more than one line: {one_line(error)[:200]}"
    return "read"


def read_all(folder: Path, count: int, told: Callable[[int], None]) -> list[Row]:
    """Rows that count, by format, how the files with the seeds ``0 .. count - 1`` ended.

    Parameters
    ----------
    folder : Path
        An empty one, in which they are written.
    count : int
    told : callable
        Called with the number of files so far.

    Returns
    -------
    list of dict
    """
    rows: dict[str, Row] = {}
    begin = 0
    while begin < count:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=watched, args=(folder, range(begin, count), theirs), daemon=True)
        process.start()
        theirs.close()
        name, found, writes = "", "", []
        try:
            while True:
                if not wait([ours], PATIENCE):
                    found = "hangs"
                    break
                message = ours.recv()
                if message[0] == "begins":
                    _, begin, name = message
                    continue
                if message[0] == "done":
                    begin = count
                    break
                _, found, writes = message
                _note(rows, name, begin, found, writes)
                begin += 1
                if begin % 500 == 0:
                    told(begin)
                found = ""
        except EOFError:
            found = "ended the program"
        process.kill()
        process.join()
        if found:
            _note(rows, name, begin, found, [])
            begin += 1
    return list(rows.values())


def _note(rows: dict[str, Row], name: str, seed: int, found: str, writes: list[str]) -> None:
    row = rows.setdefault(
        name.rsplit(".")[-1],
        {
            "part": "files",
            "format": name.rsplit(".")[-1],
            "files": 0,
            "read": 0,
            "refused": 0,
            "tracebacks": 0,
            "hangs": 0,
            "writes": 0,
            "failures": [],
        },
    )
    row["files"] += 1
    row["writes"] += bool(writes)
    if found in ("read", "refused"):
        row[found] += 1
    else:
        row["hangs" if found == "hangs" else "tracebacks"] += 1
    if writes or found not in ("read", "refused"):
        row["failures"].append({"seed": seed, "file": name, "found": found, "writes": writes[:3]})
