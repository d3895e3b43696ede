"""A picture as it was in its file: the pixels, and what is needed to write it back the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesdip.findings import Finding

if TYPE_CHECKING:
    from bayesdip.noise.jpeg import JPEG

Array = NDArray[Any]
Colour = Literal["gray", "rgb", "cmyk", "channels"]


@dataclass(frozen=True)
class TiffTag:
    """A tag of a TIFF file: its number, type and count by TIFF's codes, and its value (a string or a tuple)."""

    code: int
    dtype: int
    count: int
    value: Any


@dataclass(frozen=True)
class TiffLayout:
    """How a TIFF file arranges its samples.

    Attributes
    ----------
    arrangement : {"contiguous", "planar", "pages"}
        Channels next to each other, one plane after the other, or one page each.
    photometric : str
        The file's colour model by TIFF's name, such as ``"minisblack"`` or ``"rgb"``.
    extrasamples : tuple of int
        TIFF's codes for the samples beyond the colours: 0 unspecified, 1 transparency with
        the colours multiplied by it, 2 plain transparency.
    compressed : bool
        Whether the samples were compressed.
    tags : tuple of TiffTag
        Where the pixels lie on Earth, and what GDAL says of them.
    resolution : (float, float, int) or None
        Pixels a unit along columns and rows, and TIFF's code of the unit: 1 none (ImageJ's
        description names it then), 2 inch, 3 centimetre.
    description : str
        What ImageJ or OME says of the pixels: axes, units, sizes. Other descriptions are in the EXIF block.
    """

    arrangement: Literal["contiguous", "planar", "pages"] = "contiguous"
    photometric: str = "minisblack"
    extrasamples: tuple[int, ...] = ()
    compressed: bool = False
    tags: tuple[TiffTag, ...] = ()
    resolution: tuple[float, float, int] | None = None
    description: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and what its file said about it.

    Attributes
    ----------
    pixels : array, shape (M, N), (M, N, C), from ``.npy`` and FITS (M,), or, of a volume, (K, M, N) or (K, M, N, C)
        The samples in the file's own type and scale, as stored: an EXIF orientation is not
        applied but kept, in ``exif``. NaN and infinity are possible in floating-point files.
    alpha : array, shape (M, N), or None
        The transparency in the type and scale of ``pixels``; 0 is fully transparent.
    format : str
        "PNG", "JPEG", "TIFF", "WEBP", "NPY", "BMP", "GIF", "FITS", "DICOM", "NIFTI", "RAW" or "EXR".
    bits : int
        Bits per sample in the file, which may be fewer than the type of ``pixels`` has.
    colour : {"gray", "rgb", "cmyk", "channels"}
        What the last axis of ``pixels`` means. CMYK is ink: 0 is paper.
    icc_profile : bytes or None
        The colour profile.
    exif : bytes or None
        The EXIF block, with its leading ``Exif`` and two zero bytes.
    dpi : pair of float or None
        Horizontal and vertical resolution, in pixels an inch.
    png_chunks : tuple of (name, body)
        The colour space in PNG's other forms (gamma, chromaticities, ...), as in the file.
    tiff : TiffLayout or None
        The arrangement of a TIFF file.
    no_data : float or None
        The value that the file declares to stand for "no data", NaN among them; None if it declares none.
    jpeg : JPEG or None
        The error that the compression of a JPEG file of gray or colour made, by its table.
    volume : bool
        Whether the pixels are the K planes of a volume or film, each (M, N).
    header : object or None
        What FITS, DICOM, NIfTI and OpenEXR files say besides, for the same format to be written with it.
    findings : tuple of Finding
        What the user has to know of how the file was understood.
    is_std : bool
        Whether what is written is the standard deviation of the picture, and not it.
    notes : tuple of str
        What was changed on reading, one phrase each, to be shown to the user.
    """

    pixels: Array
    alpha: Array | None = None
    format: str = "NPY"
    bits: int = 8
    colour: Colour = "gray"
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    tiff: TiffLayout | None = None
    no_data: float | None = None
    jpeg: JPEG | None = None
    volume: bool = False
    header: Any = None
    findings: tuple[Finding, ...] = ()
    is_std: bool = False
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape without the channels: (M, N), (K, M, N) for a volume, or (M,) for a signal."""
        return self.pixels.shape[: 3 if self.volume else 2]

    @property
    def channels(self) -> int:
        """Number of channels, transparency not counted."""
        return self.pixels.shape[-1] if self.has_channels else 1

    @property
    def has_channels(self) -> bool:
        """Whether the pixels have an axis of channels, the last one."""
        return self.pixels.ndim > (3 if self.volume else 2)

    @property
    def remark(self) -> str:
        """The line for the history of a file that is written."""
        from bayesdip import __version__

        what = "standard deviation of the picture restored" if self.is_std else "restored"
        public, _, _ = __version__.partition("+")  # headers have room for a few words
        return f"{what} by bayesdip {public}"

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8; 1, upright, when the file does not say."""
        from bayesdip.io.metadata import orientation_of

        return orientation_of(self.exif)


def channels_of(shape: tuple[int, ...]) -> int:
    """Return the number of channels of an array of this shape."""
    return shape[2] if len(shape) == 3 else 1


def colour_of(shape: tuple[int, ...]) -> Colour:
    """Guess what the channels of a bare array are: one is gray, three are red, green and blue."""
    colours: dict[int, Colour] = {1: "gray", 3: "rgb"}
    return colours.get(channels_of(shape), "channels")


def native(array: Array) -> Array:
    """Return a copy in this machine's byte order, contiguous and writable."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def upright(stored: Array, orientation: int) -> Array:
    """Turn stored pixels (M, N, ...) as their EXIF orientation, 1 to 8, says a viewer shows them."""
    return _flipped(stored.swapaxes(0, 1) if orientation >= 5 else stored, orientation)


def as_stored(viewed: Array, orientation: int) -> Array:
    """Undo :func:`upright`: turn pixels (M, N, ...) as a viewer shows them back to how they are stored."""
    flipped = _flipped(viewed, orientation)
    return flipped.swapaxes(0, 1) if orientation >= 5 else flipped


def _flipped(array: Array, orientation: int) -> Array:
    """Reverse the rows, the columns or both; orientations from 5 on exchange rows and columns besides."""
    rows, columns = (-1 if orientation in turned else 1 for turned in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return array[::rows, ::columns]


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the value that stands for white, or for opaque, in samples of this type."""
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0
