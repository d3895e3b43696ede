"""TIFF: 8 to 64 bits, whole and real numbers, any number of channels, planes or pages."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import numpy as np

from bayesdip.errors import one_line
from bayesdip.io.guards import FilePath, decoding, file_error, refuse_huge
from bayesdip.io.metadata import append_directories, exif_of_tiff, sound_dpi, tiff_tags
from bayesdip.io.picture import Array, Colour, Picture, TiffLayout, full_scale, native
from bayesdip.io.pixel_size import no_data_of, read_description, read_resolution, read_tags, with_type

# What a colour model is, by TIFF's name of it, and how many samples a pixel it takes.
_COLOURS: dict[str, tuple[Colour, int]] = {
    "minisblack": ("gray", 1),
    "miniswhite": ("gray", 1),
    "palette": ("gray", 1),
    "rgb": ("rgb", 3),
    "ycbcr": ("rgb", 3),
    "separated": ("cmyk", 4),
}
_PHOTOMETRIC = {"gray": "minisblack", "rgb": "rgb", "cmyk": "separated", "channels": "minisblack"}
_ASSOCIATED, _PLAIN_ALPHA = 1, 2
_ICC_PROFILE, _BYTES = 34675, 7
_X_RESOLUTION, _NO_UNIT, _INCH, _UNCOMPRESSED = 282, 1, 2, 1
_DESCRIPTION = 270
_JPEG = (6, 7, 33007, 34892)  # TIFF's codes for JPEG compression


def read_tiff(path: FilePath, data: bytes) -> Picture:
    """Decode a TIFF file; see :func:`bayesdip.io.read_picture`.

    Gray pages become channels. Thumbnails and masks beside the picture are passed over.
    """
    from tifffile import TiffFile

    with decoding(path, "TIFF"), TiffFile(BytesIO(data)) as tiff:
        series = _only_series(path, tiff)
        page = series.keyframe
        photometric = _name(page.photometric)
        pages = _checked_pages(path, series)
        stored = _decoded(path, series, pages)
        notes: list[str] = []
        if photometric == "palette":
            stored = _from_palette(stored[..., 0], page.colormap)
            notes.append("the palette became RGB")
        elif page.bitspersample not in (8, 16, 24, 32, 64):
            stored = _widened(stored, page.bitspersample)
            notes.append(f"{page.bitspersample}-bit samples became {8 * stored.dtype.itemsize}-bit ones")
        photometric = {"palette": "rgb", "ycbcr": "rgb"}.get(photometric, photometric)
        pixels, alpha, colour = _meaning(stored, photometric, page.extrasamples)
        if photometric == "miniswhite" and pixels.dtype.kind == "u":
            pixels, photometric = np.iinfo(pixels.dtype).max - pixels, "minisblack"
            notes.append("samples whose zero means white were turned round")
        layout = TiffLayout(
            "pages" if pages > 1 else "planar" if page.shaped[0] > 1 else "contiguous",
            photometric,
            tuple(int(code) for code in page.extrasamples),
            page.compression != _UNCOMPRESSED,
            read_tags(page),
            read_resolution(page),
            read_description(page),
        )
        has_dpi = _X_RESOLUTION in page.tags and page.resolutionunit != _NO_UNIT
        return Picture(
            pixels,
            alpha,
            format="TIFF",
            bits=int(page.bitspersample),
            colour=colour,
            icc_profile=page.tags.valueof(_ICC_PROFILE) or None,
            exif=exif_of_tiff(data),
            dpi=sound_dpi(page.get_resolution("inch")) if has_dpi else None,
            tiff=layout,
            no_data=no_data_of(layout.tags),
            notes=tuple(notes),
        )


def _name(code: Any) -> str:
    """Return tifffile's name of a code, or the number itself where it has none."""
    return str(getattr(code, "name", code)).lower()


def refuse_endless_pages(tiff: Any) -> None:
    """Raise where the chain of page directories comes back to one that it had: tifffile would follow it for minutes."""
    file, form = tiff.filehandle, tiff.tiff
    seen: set[int] = set()
    file.seek(8 if form.is_bigtiff else 4)
    while True:
        field = file.read(form.offsetsize)
        at = int.from_bytes(field, "little" if form.byteorder == "<" else "big")
        if len(field) < form.offsetsize or at == 0 or at >= file.size:
            return
        if at in seen:
            raise ValueError("its pages follow each other in a circle")
        seen.add(at)
        file.seek(at)
        count = int.from_bytes(file.read(form.tagnosize), "little" if form.byteorder == "<" else "big")
        file.seek(at + form.tagnosize + count * form.tagsize)


def _only_series(path: FilePath, tiff: Any) -> Any:
    """Return the file's one picture, as tifffile's series of equal pages."""
    refuse_endless_pages(tiff)
    series = [s for s in tiff.series if not (s.keyframe.is_reduced or s.keyframe.is_mask)]
    series = series or list(tiff.series)
    if len(series) != 1:
        sizes = ", ".join("x".join(map(str, s.shape)) for s in series[:4]) or "none"
        given = f"holds {len(series)} pictures of different sizes or types ({sizes})"
        raise file_error(path, given, "one is", "save the page you want by itself")
    return series[0]


def _checked_pages(path: FilePath, series: Any) -> int:
    """Return the number of pages of a series that makes one picture which this program handles."""
    page = series.keyframe
    separate, depth, rows, columns, contiguous = page.shaped
    samples, photometric = separate * contiguous, _name(page.photometric)
    if 0 in page.shaped:
        raise ValueError(f"it describes a picture of {columns}x{rows} pixels")
    if math.prod(page.chunked) != len(page.dataoffsets):  # tifffile would fill the rest with zeros
        raise ValueError(
            f"{math.prod(page.chunked)} strips or tiles are announced, {len(page.dataoffsets)} there"
        )
    pages: int = math.prod(series.shape) // math.prod(page.shaped)
    if photometric not in _COLOURS:
        expected = "gray, RGB, CMYK, YCbCr or a palette is"
        raise file_error(path, f"has the colour model {photometric}", expected, "convert it to one")
    if depth > 1 or (pages > 1 and (samples > 1 or photometric == "palette")):
        given = f"holds {pages * depth} colour pages of {columns}x{rows} pixels"
        expected = "one picture, or one gray page for each channel, is"
        raise file_error(path, given, expected, "save the page you want by itself")
    if page.dtype is None or page.dtype.kind not in "buif":
        given = f"holds samples of type {page.dtype}"
        raise file_error(path, given, "whole or real numbers are", "convert them")
    refuse_huge(path, (rows, columns, pages * samples), page.dtype.itemsize)
    return pages


def _decoded(path: FilePath, series: Any, pages: int) -> Array:
    """Return the samples, (M, N, channels) whatever their arrangement; YCbCr becomes RGB."""
    page = series.keyframe
    separate, _, rows, columns, contiguous = page.shaped
    try:
        stored = np.asarray(series.asarray()).reshape(pages, separate, rows, columns, contiguous)
    except (ValueError, NotImplementedError) as error:
        if not isinstance(error, NotImplementedError) and "not supported" not in str(error):
            raise
        given = f"is compressed ({_name(page.compression)}) in a way not decoded here ({one_line(error)})"
        advice = "convert it, if it is not damaged"
        raise file_error(path, given, "an uncompressed or deflate file is", advice) from error
    # One of pages, separate and contiguous is longer than 1 at most.
    samples = native(np.moveaxis(stored, (0, 1), (2, 3)).reshape(rows, columns, -1))
    if _name(page.photometric) == "ycbcr" and page.compression not in _JPEG:  # the JPEG codec does it
        from PIL import Image

        samples = np.asarray(Image.frombytes("YCbCr", (columns, rows), samples.tobytes()).convert("RGB"))
    return samples


def _meaning(stored: Array, photometric: str, extras: tuple[int, ...]) -> tuple[Array, Array | None, Colour]:
    """Say what the channels of (M, N, samples) are; transparency is taken out where it is the only extra one."""
    colour, count = _COLOURS[photometric]
    alpha = None
    if len(extras) == 1 and extras[0] in (_ASSOCIATED, _PLAIN_ALPHA) and stored.shape[2] == count + 1:
        stored, alpha = stored[..., :-1].copy(), stored[..., -1].copy()
    if stored.shape[2] != count:
        colour = "gray" if stored.shape[2] == 1 else "channels"
    return (stored[..., 0] if stored.shape[2] == 1 else stored), alpha, colour


def _widened(stored: Array, bits: int) -> Array:
    """Spread samples of odd widths, such as 1, 4 or 12 bits, over 8 or 16 bits, so that white stays white."""
    if stored.dtype.kind not in "bu" or bits > 16:
        return stored
    wide = np.dtype(np.uint8 if bits < 8 else np.uint16)
    scaled: Array = np.rint(stored * (full_scale(wide) / (2**bits - 1))).astype(wide)
    return scaled


def _from_palette(indices: Array, colormap: Any) -> Array:
    table = np.asarray(colormap).T
    if table.max() > 255:  # 16 bits each; some programs write 8
        table = table >> 8
    colours: Array = table.astype(np.uint8)[indices.astype(np.intp)]
    return colours


def encode(pixels: Array, alpha: Array | None, colour: Colour, like: Picture) -> bytes:
    """Write a TIFF file, arranged as the source was if that was one.

    Parameters
    ----------
    pixels : array, shape (M, N) or (M, N, C)
    alpha : array, shape (M, N), or None
        Of the same type.
    colour : {"gray", "rgb", "cmyk", "channels"}
    like : Picture
        Its profile, EXIF block, resolution and arrangement are used.
    """
    from tifffile import TiffWriter

    layout = like.tiff or TiffLayout()
    samples = pixels.reshape(*pixels.shape[:2], -1)
    if alpha is not None:
        samples = np.concatenate([samples, alpha[..., None]], axis=-1)
    pages, words = _arranged(samples, colour, layout, alpha is not None)
    extratags, directories = tiff_tags(like.exif)
    if like.icc_profile:
        extratags.append((_ICC_PROFILE, _BYTES, len(like.icc_profile), like.icc_profile, True))
    extratags += [(tag.code, tag.dtype, tag.count, tag.value, True) for tag in layout.tags]
    if layout.description and _same_planes(pixels, like.pixels):
        text = with_type(layout.description, str(pixels.dtype))
        extratags = [tag for tag in extratags if tag[0] != _DESCRIPTION]
        extratags.append((_DESCRIPTION, "s", 0, text.encode(), True))
    *resolution, unit = layout.resolution or (*(like.dpi or ()), _INCH)
    out = BytesIO()
    with TiffWriter(out, byteorder="<") as writer:
        for page in pages:
            writer.write(
                np.ascontiguousarray(page),
                compression="zlib" if layout.compressed else None,
                resolution=tuple(resolution) or None,
                resolutionunit=unit if resolution else None,
                metadata=None,
                software=False,
                extratags=extratags if page is pages[0] else (),
                **words,
            )
    return append_directories(out.getvalue(), directories)


def _same_planes(pixels: Array, before: Array) -> bool:
    """Whether there are as many channels as before: descriptions count them."""
    return pixels.shape[2:] == before.shape[2:]


def _arranged(
    samples: Array, colour: Colour, layout: TiffLayout, has_alpha: bool
) -> tuple[list[Array], dict[str, Any]]:
    """Put (M, N, samples) into the pages and axes that the layout asks for, with tifffile's words for them."""
    count = samples.shape[2]
    same = colour in ("channels", _COLOURS[layout.photometric][0])
    photometric = layout.photometric if same else _PHOTOMETRIC[colour]
    if count < _COLOURS[photometric][1]:
        photometric = "minisblack"
    if count == 1:
        return [samples[..., 0]], {"photometric": photometric}
    if layout.arrangement == "pages" and colour == "channels" and not has_alpha:
        return list(np.moveaxis(samples, -1, 0)), {"photometric": "minisblack"}
    extras = count - _COLOURS[photometric][1]
    codes = layout.extrasamples if len(layout.extrasamples) == extras else (0,) * extras
    if has_alpha and codes[-1] not in (_ASSOCIATED, _PLAIN_ALPHA):
        codes = (*codes[:-1], _PLAIN_ALPHA)
    planar = layout.arrangement == "planar"
    words = {"photometric": photometric, "planarconfig": "separate" if planar else "contig"}
    return [np.moveaxis(samples, -1, 0) if planar else samples], {**words, "extrasamples": codes}
