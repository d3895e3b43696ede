"""PNG where Pillow falls short: 16-bit colour, the checks of its chunks, and a writer for all depths.

Source: PNG specification, third edition (W3C), sections 5 (chunks), 9 (filters), 11 (chunk types).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import numpy as np

from bayesdip.io.picture import Array, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of samples a pixel, transparency included
_ROWS_AT_ONCE = 256


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the chunks of a PNG file as (name, body), up to its end chunk.

    Raises
    ------
    ValueError
        If the file ends before its end chunk, or the checksum of a critical chunk is wrong.
        (Pillow lets both pass once it has all the pixels it asked for.)
    """
    at = len(SIGNATURE)
    while True:
        length, name = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if not name or at > len(data):
            raise ValueError("the file ends before its end chunk")
        if name[:1].isupper() and zlib.crc32(name + body) != struct.unpack_from(">I", data, at - 4)[0]:
            raise ValueError(f"wrong checksum in chunk {name.decode('ascii', 'replace')}")
        yield name, body
        if name == b"IEND":
            return


def header(data: bytes) -> tuple[int, int]:
    """Return (bits per sample, colour type) of a PNG file."""
    depth, colour_type = struct.unpack_from(">BB", data, 24)
    return depth, colour_type


def colour_chunks(found: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Pick the chunks that say what the sample values look like."""
    return tuple((name, found[name]) for name in _COLOUR_CHUNKS if name in found)


def colour_key(data: bytes, found: dict[bytes, bytes]) -> tuple[int, ...] | None:
    """Return the one colour that a gray or RGB file declares transparent, in the scale of the pixels read."""
    depth, colour_type = header(data)
    body = found.get(b"tRNS", b"")
    samples = {0: 1, 2: 3}.get(colour_type, 0)
    if not samples or len(body) < 2 * samples:
        return None
    widen = 255 // (2**depth - 1) if depth < 8 else 1  # 1, 2 and 4 bits are read as 8
    return tuple(value * widen for value in struct.unpack_from(f">{samples}H", body))


def read_16_bit_colour(data: bytes) -> Array:
    """Decode a 16-bit PNG with colour or transparency, of which Pillow alone keeps the high bytes only.

    Pillow's decoder undoes compression, filters and interlacing for 16-bit samples and then
    drops every second byte. Which byte it drops follows from the byte order it is told, so two
    passes give both halves. Gray with transparency is 4 bytes a pixel, as 8-bit RGBA is, and
    needs one pass.

    Returns
    -------
    array, shape (M, N, 2), (M, N, 3) or (M, N, 4), uint16
    """

    def decoded(rawmode: str | None) -> Array:
        from PIL import Image

        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            if rawmode:
                image.tile = [tile._replace(args=rawmode) for tile in image.tile]
            return np.asarray(image)

    if header(data)[1] == 4:
        pairs = decoded("RGBA").astype(np.uint16)
        return pairs[..., 0::2] << 8 | pairs[..., 1::2]
    mode = "RGBA" if header(data)[1] == 6 else "RGB"
    high, low = decoded(f"{mode};16B"), decoded(f"{mode};16L")
    return high.astype(np.uint16) << 8 | low


def encode(samples: Array, picture: Picture) -> bytes:
    """Write a PNG file of 8 or 16 bits, gray or RGB, with or without transparency.

    Parameters
    ----------
    samples : array, shape (M, N, 1..4), uint8 or uint16
        Gray, gray and transparency, RGB, or RGB and transparency.
    picture : Picture
        Its profile, EXIF block, resolution and colour chunks go along.
    """
    rows, columns, count = samples.shape
    depth = 8 * samples.dtype.itemsize
    head = struct.pack(">IIBBBBB", columns, rows, depth, _COLOUR_TYPE[count], 0, 0, 0)
    parts: list[tuple[bytes, bytes]] = [(b"IHDR", head), *picture.png_chunks]
    if picture.icc_profile:
        parts.append((b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(picture.icc_profile)))
    if picture.dpi:
        per_metre = (max(round(value / 0.0254), 1) for value in picture.dpi)
        parts.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if picture.exif:
        parts.append((b"eXIf", picture.exif.removeprefix(b"Exif\x00\x00")))
    parts += [(b"IDAT", body) for body in _compressed(samples) if body]
    return SIGNATURE + b"".join(_packed([*parts, (b"IEND", b"")]))


def _packed(parts: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, body in parts:
        yield struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _compressed(samples: Array) -> Iterator[bytes]:
    step = samples.shape[2] * samples.dtype.itemsize  # bytes from a pixel to its neighbour
    lines = np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder(">"))
    lines = lines.view(np.uint8).reshape(len(samples), -1)
    above: Array = np.zeros((1, lines.shape[1]), np.uint8)
    packer = zlib.compressobj()
    for start in range(0, len(lines), _ROWS_AT_ONCE):
        block = lines[start : start + _ROWS_AT_ONCE]
        yield packer.compress(_filtered(block, np.concatenate([above, block[:-1]]), step).tobytes())
        above = block[-1:]
    yield packer.flush()


def _filtered(block: Array, up: Array, step: int) -> Array:
    """Filter each row by none, sub, up or Paeth, whichever leaves the smallest sum (section 12.7)."""
    left, corner = np.zeros_like(block), np.zeros_like(block)
    left[:, step:], corner[:, step:] = block[:, :-step], up[:, :-step]
    predictions: dict[int, Any] = {0: 0, 1: left, 2: up, 4: _paeth(left, up, corner)}
    candidates = [block - prediction for prediction in predictions.values()]
    sums = [np.abs(rest.view(np.int8).astype(np.int16)).sum(axis=1) for rest in candidates]
    best = np.argmin(sums, axis=0)
    kinds = np.array(list(predictions), np.uint8)[best]
    chosen = np.stack(candidates)[best, np.arange(len(block))]
    return np.concatenate([kinds[:, None], chosen], axis=1)


def _paeth(left: Array, up: Array, corner: Array) -> Array:
    """Predict by whichever neighbour is nearest to left + up - corner (section 9.4)."""
    a, b, c = (side.astype(np.int16) for side in (left, up, corner))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner))
    return nearest.astype(np.uint8)
