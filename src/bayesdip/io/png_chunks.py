"""PNG's chunks: what the codec neither checks, reads nor writes.

Source: PNG specification, third edition (W3C), sections 5 (structure) and 11 (chunk types).
"""

from __future__ import annotations

import struct
import zlib

from bayesdip.io.picture import Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The colour space in PNG's own forms, beside an embedded profile (section 11.3.2).
_COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_AFTER_HEADER = len(SIGNATURE) + 12 + 13  # an IHDR chunk has 13 bytes, and 12 around them
_METRES_PER_INCH = 0.0254


def read_chunks(data: bytes) -> dict[bytes, bytes]:
    """Return the chunks of a PNG file by name; of several with the same name the last.

    Raises
    ------
    ValueError
        If the file ends before its end chunk. (Decoders accept that once they have all pixels.)
    """
    found: dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while b"IEND" not in found:
        length, name = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        found[name] = data[at + 8 : at + 8 + length]
        at += 12 + length
        if at > len(data):
            raise ValueError("the file ends before its end chunk")
    return found


def colour_chunks(found: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the chunks, as (name, body), that say which colours the sample values mean."""
    return tuple((name, found[name]) for name in _COLOUR_CHUNKS if name in found)


def with_metadata(data: bytes, picture: Picture) -> bytes:
    """Add a picture's profile, EXIF block, resolution and colour chunks to an encoded PNG file."""
    parts = list(picture.png_chunks)
    if picture.icc_profile:
        parts.append((b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(picture.icc_profile)))
    if picture.dpi:
        per_metre = (max(round(value / _METRES_PER_INCH), 1) for value in picture.dpi)
        parts.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if picture.exif:
        parts.append((b"eXIf", picture.exif.removeprefix(b"Exif\x00\x00")))
    packed = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
    return data[:_AFTER_HEADER] + packed + data[_AFTER_HEADER:]
