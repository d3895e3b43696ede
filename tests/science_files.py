"""Small files of the formats that need a library of their own."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdip import io


def scene(shape: tuple[int, ...] = (24, 32), seed: int = 0) -> np.ndarray:
    """Smooth blobs between 0 and 1."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    return 0.5 + 0.45 * np.prod([np.sin(a * rng.uniform(1, 2) + rng.uniform(0, 3)) for a in axes], 0)


def fits_file(
    path: Path, array: np.ndarray, header: dict[str, object] | None = None, **options: object
) -> Path:
    """One image; ``scaled=(BSCALE, BZERO)`` stores it so, ``blank=`` declares a stored value to be none."""
    fits = pytest.importorskip("astropy.io.fits")
    part = fits.PrimaryHDU(array)
    part.header.update(header or {})
    for name in ("BSCALE", "BZERO", "BLANK"):
        if name in options:
            part.header[name] = options[name]
    fits.HDUList([part]).writeto(path, output_verify="ignore")
    return path


def dicom_file(
    path: Path, stored: np.ndarray, meaning: str = "MONOCHROME2", bits: int = 12, **facts: object
) -> Path:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.SeriesInstanceUID, dataset.PatientName, dataset.ImageType = (
        "1.2.3",
        "Test^One",
        ["ORIGINAL", "PRIMARY"],
    )
    for name, value in facts.items():
        setattr(dataset, name, value)
    if facts.get("NumberOfFrames") is None and stored.ndim == 3 and stored.shape[-1] != 3:
        dataset.NumberOfFrames = stored.shape[0]
    dataset.set_pixel_data(stored, meaning, bits, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path


def nifti_file(path: Path, array: np.ndarray) -> Path:
    """``array`` in NIfTI's order, columns first."""
    nibabel = pytest.importorskip("nibabel")
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"a phantom"
    nibabel.save(image, path)
    return path


def exr_file(path: Path, channels: dict[str, np.ndarray], **header: object) -> Path:
    openexr = pytest.importorskip("OpenEXR")
    facts = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage, **header}
    openexr.File(facts, dict(channels)).write(str(path))
    return path


def dng_file(
    path: Path, mosaic: np.ndarray, black: int = 512, white: int = 4095, gains: tuple[int, ...] = (2, 1, 2)
) -> Path:
    """A Bayer mosaic, red first, as a DNG; ``gains`` are the camera's white balance of red, green and blue."""
    identity = sum(((round(10000 * x), 10000) for x in np.eye(3).ravel()), ())
    neutral = sum(((1, gain) for gain in gains), ())
    tags = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "Test camera", True),
        (50714, "H", 1, black, True),
        (50717, "H", 1, white, True),
        (50721, "2i", 9, identity, True),
        (50728, "2I", 3, neutral, True),
        (50778, "H", 1, 21, True),
        (271, "s", 0, "A maker", True),
    ]
    out = BytesIO()
    tifffile.imwrite(out, mosaic, photometric=32803, metadata=None, software=False, extratags=tags)
    path.write_bytes(out.getvalue())
    return path


def written(path, like, name, pixels=None, **options):
    """The same picture, or other pixels, in a new file beside `path`."""
    copy = path.with_name(name)
    io.write_picture(copy, like.pixels if pixels is None else pixels, like, **options)
    return copy
