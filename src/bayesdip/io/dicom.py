"""DICOM: pictures, volumes and films in the units of the modality, written back as derived images.

Source: DICOM PS3.3, sections C.7.6.3 (image pixels), C.11.1 (rescaling), C.7.5.1.1.2 (padding), C.7.6.1 (derivation).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np

from bayesdip.errors import one_line
from bayesdip.io.guards import FilePath, decoding, file_error, refuse_huge
from bayesdip.io.optional import library
from bayesdip.io.picture import Array, Picture, native

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_OF_STORAGE = (
    *(
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "SmallestPixelValueInSeries",
        "LargestPixelValueInSeries",
    ),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
_LONGEST_NAME = 64  # characters of a series' description


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A data set without its pixels, and how values come of stored ones.

    Attributes
    ----------
    dataset : pydicom.Dataset
    slope, intercept : float
        Value over stored value, and the value of a stored 0.
    padding : tuple (bool array, array) or None
        Where stored values stand for "outside of the picture", and these values.
    """

    dataset: Any
    slope: float
    intercept: float
    padding: tuple[Array, Array] | None


def is_dicom(data: bytes) -> bool:
    """Whether bytes begin as a DICOM file does."""
    return data[128:132] == b"DICM"


def read_dicom(path: FilePath, data: bytes) -> Picture:
    """Decode a DICOM file: gray in the modality's units, or RGB; several frames are a volume (K, M, N).

    Whole numbers stay whole where the slope is 1. MONOCHROME1 of no units is turned round, so that bright is large. Padding is
    declared to be no data, and is as it was in what is written.
    """
    pydicom = library("DICOM", path)
    with decoding(path, "DICOM"):
        dataset = pydicom.dcmread(BytesIO(data))
        if not any(name in dataset for name in _PIXELS):
            raise file_error(path, "holds no pixels", "an image is", "choose a file with pixels")
        frames = int(dataset.get("NumberOfFrames") or 1)
        refuse_huge(path, (int(dataset.Rows), int(dataset.Columns), frames * int(dataset.SamplesPerPixel)), 4)
        meaning = str(dataset.PhotometricInterpretation)
        if meaning.startswith("PALETTE"):
            raise file_error(path, "has a palette", "gray or colour is", "convert it to RGB first")
        stored = _decoded(pydicom, path, dataset)
        slope, intercept = (
            float(dataset.get(n) or d) for n, d in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        if not np.isfinite([slope, intercept]).all() or slope == 0:
            raise ValueError(f"RescaleSlope is {slope:g} and RescaleIntercept {intercept:g}")
        padded = _padding(dataset, stored)
    notes = []
    is_colour = int(dataset.SamplesPerPixel) == 3
    is_turned = meaning == "MONOCHROME1" and (slope, intercept) == (1, 0) and stored.dtype.kind in "ui"
    if is_turned:
        slope, intercept = -1.0, float(_limits(dataset, stored.dtype)[0] + _limits(dataset, stored.dtype)[1])
        notes.append("MONOCHROME1, where 0 is white, was turned round, and is turned back in DICOM")
    elif meaning == "MONOCHROME1":
        notes.append("MONOCHROME1: small values are bright, and the values are as the file gives them")
    pixels = _rescaled(stored, slope, intercept)
    no_data = None
    if padded is not None:
        value = pixels[padded].min()  # one value stands for a range of them
        pixels[padded], no_data = value, float(value)
        if (pixels[~padded] == value).any():
            no_data = None  # that is data, too
    dataset = _without_pixels(dataset)
    return Picture(
        native(pixels),
        format="DICOM",
        bits=int(dataset.get("BitsStored") or 8 * stored.dtype.itemsize),
        colour="rgb" if is_colour else "gray",
        volume=frames > 1,
        no_data=no_data,
        header=DicomFile(dataset, slope, intercept, None if padded is None else (padded, stored[padded])),
        notes=tuple(notes),
    )


def _decoded(pydicom: Any, path: FilePath, dataset: Any) -> Array:
    """The stored samples, YBR as RGB."""
    try:
        return np.array(pydicom.pixels.pixel_array(dataset))
    except (RuntimeError, NotImplementedError) as error:
        name = dataset.file_meta.TransferSyntaxUID.name
        given = f"is compressed as {name}, which is not decoded here ({one_line(error)[:120]})"
        advice = "install pylibjpeg with its plugins, or convert it (gdcmconv --raw)"
        raise file_error(path, given, "uncompressed pixels are", advice) from error


def _padding(dataset: Any, stored: Array) -> Array | None:
    """Where gray pixels are outside of the picture; None where none is, or all are."""
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int) or int(dataset.SamplesPerPixel) != 1 or stored.dtype.kind not in "ui":
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    ends = sorted((first, last if isinstance(last, int) else first))
    padded: Array = (stored >= ends[0]) & (stored <= ends[1])
    return padded if padded.any() and not padded.all() else None


def _limits(dataset: Any, dtype: np.dtype[Any]) -> tuple[int, int]:
    """Least and largest stored value."""
    bits = int(dataset.get("BitsStored") or 8 * dtype.itemsize)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == "i" else (0, 2**bits - 1)


def _rescaled(stored: Array, slope: float, intercept: float) -> Array:
    """Values in the modality's units: whole numbers where all of them are, in the smallest type that holds them."""
    if (slope, intercept) == (1, 0):
        return stored
    if stored.dtype.kind == "f" or abs(slope) != 1 or intercept != round(intercept):
        return (stored * slope + intercept).astype(np.float32)
    values = stored.astype(np.int64) * int(slope) + int(intercept)
    low, high = int(values.min()), int(values.max())
    kinds = (stored.dtype, np.dtype(np.int16), np.dtype(np.int32))
    fits = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return values.astype(next(fits, np.dtype(np.int64)))


def _without_pixels(dataset: Any) -> Any:
    for name in (*_PIXELS, *_OF_STORAGE):
        if name in dataset:
            delattr(dataset, name)
    return dataset


def encode(pixels: Array, like: Picture, path: FilePath) -> bytes:
    """Write a derived image: the source's data set with new pixels, a number of its own, and a series for all such images.

    `like` was read from a DICOM file.
    """
    pydicom = library("DICOM", path)
    source = like.header
    assert isinstance(source, DicomFile)
    with decoding(path, "DICOM"):
        dataset = deepcopy(source.dataset)
        stored = _stored(pixels, source, dataset)
        down, across = (n / old for n, old in zip(_grid(pixels, like), _grid(like.pixels, like), strict=True))
        if (down, across) != (1, 1):
            _enlarge(dataset, across, down)
        meaning = "RGB" if like.colour == "rgb" else str(dataset.PhotometricInterpretation)
        bits = int(dataset.BitsStored)
        dataset.set_pixel_data(stored, meaning, bits, generate_instance_uid=False)
        # The same input gives the same numbers: slices of one series stay together.
        old_image, old_series = (
            str(dataset.get("SOPInstanceUID", "")),
            str(dataset.get("SeriesInstanceUID", "")),
        )
        new_uid = pydicom.uid.generate_uid
        dataset.SOPInstanceUID = new_uid(entropy_srcs=[old_image, like.remark, _digest(stored)])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        if old_series:
            dataset.SeriesInstanceUID = new_uid(entropy_srcs=[old_series, like.remark])
        kinds = list(dataset.get("ImageType") or ["ORIGINAL", "PRIMARY"])
        dataset.ImageType = ["DERIVED", *kinds[1:]]
        before = str(dataset.get("DerivationDescription", ""))
        dataset.DerivationDescription = f"{before}; {like.remark}".lstrip("; ")
        series = f"{dataset.get('SeriesDescription', '')} (restored)".lstrip()
        dataset.SeriesDescription = series[-_LONGEST_NAME:]
        if old_image and "SOPClassUID" in dataset:
            reference = pydicom.Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
                dataset.SOPClassUID,
                old_image,
            )
            dataset.SourceImageSequence = [reference]
        out = BytesIO()
        dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _digest(stored: Array) -> str:
    return sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()


def _grid(pixels: Array, like: Picture) -> tuple[int, ...]:
    return pixels.shape[1:3] if like.volume else pixels.shape[:2]


def _stored(pixels: Array, source: DicomFile, dataset: Any) -> Array:
    """Stored samples of values in the modality's units, with the padding that was there."""
    kind = "i" if int(dataset.PixelRepresentation) else "u"
    dtype = np.dtype(f"{kind}{int(dataset.BitsAllocated) // 8}")
    values = np.rint((pixels.astype(np.float64) - source.intercept) / source.slope)
    stored: Array = np.clip(values, *_limits(dataset, dtype)).astype(dtype)
    if source.padding is not None and stored.shape == source.padding[0].shape:
        where, before = source.padding
        stored[where] = before
    return stored


def _enlarge(dataset: Any, across: float, down: float) -> None:
    """Distances of pixels, and the place of the first one's centre, in a picture of more pixels."""
    spacing = dataset.get("PixelSpacing")
    if spacing is not None and len(spacing) == 2:
        rows, columns = (float(value) for value in spacing)  # between rows, between columns
        dataset.PixelSpacing = [f"{rows / down:.10g}", f"{columns / across:.10g}"]
        place, directions = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
        if place is not None and directions is not None and len(directions) == 6:
            along_row, along_column = np.array(directions[:3], float), np.array(directions[3:], float)
            first = np.array(place, float)
            first += along_row * columns * (1 / across - 1) / 2 + along_column * rows * (1 / down - 1) / 2
            dataset.ImagePositionPatient = [f"{value:.10g}" for value in first]
    imager = dataset.get("ImagerPixelSpacing")
    if imager is not None and len(imager) == 2:
        dataset.ImagerPixelSpacing = [f"{float(imager[0]) / down:.10g}", f"{float(imager[1]) / across:.10g}"]
