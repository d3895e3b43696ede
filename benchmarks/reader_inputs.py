"""What is given to the readers of files from strangers: bytes, of which the first says how they are laid out on the disk."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import torch

from bayesdip.io.stored import open_stored
from bayesdip.resuming.encoding import decoded, encoded
from benchmarks import malformed_files

# Of an array, so much is read.
MOST_SIDE = 64
VALUES = np.arange(30, dtype="<u2").reshape(5, 6)
# The metadata of a Zarr array of these values in one block, of version 3 and 2.
ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}


def metadata_3(*codecs: dict[str, Any]) -> dict[str, Any]:
    """Of an array."""
    bytes_codec = {"name": "bytes", "configuration": {"endian": "little"}}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [5, 6],
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [5, 6]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [bytes_codec, *codecs],
        "attributes": {},
        "dimension_names": ["y", "x"],
    }


METADATA_2 = {"zarr_format": 2, "shape": [5, 6], "chunks": [5, 6], "dtype": "<u2", "fill_value": 0}
METADATA_2 |= {"order": "C", "compressor": None, "filters": None, "dimension_separator": "."}
AXES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
SCALE = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}
OME = {"version": "0.5", "multiscales": [{"axes": AXES, "datasets": [SCALE], "name": "cells"}]}
GROUP_3 = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": OME}}
GROUP_2 = {"multiscales": [{"version": "0.4", "axes": AXES, "datasets": [SCALE]}], "omero": {"channels": []}}


def read_corners(path: Path) -> None:
    """Open an array and read where it begins and where it ends."""
    stored = open_stored(path)
    shape = stored.description.shape
    stored.read(tuple(slice(0, min(n, MOST_SIDE)) for n in shape))
    stored.read(tuple(slice(max(0, n - 2), n) for n in shape))


def read_checkpoint(path: Path) -> None:
    """That a damaged one is a `ValueError` is what its caller expects."""
    try:
        decoded(path.read_bytes())
    except ValueError:
        return


@dataclass(frozen=True)
class Layout:
    """Where the bytes stand on the disk, and what reads them there.

    Attributes
    ----------
    read : callable
    path : str
        What is given to it.
    given : str
        The file with the bytes.
    others : dict
        Sound files beside it.
    """

    read: Callable[[Path], None]
    path: str
    given: str
    others: dict[str, bytes]

    def place(self, folder: Path, content: bytes) -> Path:
        """Write all files; gives what is to be read."""
        for name, inside in {**self.others, self.given: content}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(inside)
        return folder / self.path


def as_json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts).encode()


RAW, ARRAY_2, ARRAY_3 = VALUES.tobytes(), as_json(METADATA_2), as_json(metadata_3())
LAYOUTS = (
    Layout(malformed_files.read, "a.bin", "a.bin", {}),
    Layout(read_corners, "a.tif", "a.tif", {}),
    Layout(read_corners, "three", "three/zarr.json", {"three/c/0/0": RAW}),
    Layout(read_corners, "two", "two/.zarray", {"two/0.0": RAW}),
    Layout(read_corners, "ome5", "ome5/zarr.json", {"ome5/0/zarr.json": ARRAY_3, "ome5/0/c/0/0": RAW}),
    Layout(
        read_corners,
        "ome4",
        "ome4/.zattrs",
        {"ome4/.zgroup": as_json({"zarr_format": 2}), "ome4/0/.zarray": ARRAY_2, "ome4/0/0.0": RAW},
    ),
    Layout(read_corners, "block", "block/c/0/0", {"block/zarr.json": as_json(metadata_3(ZSTD))}),
    Layout(read_checkpoint, "stage.safetensors", "stage.safetensors", {}),
)


def outcome(folder: Path, data: bytes, watch: malformed_files.Watch) -> str:
    """``"read"``, ``"refused"``, or what is wrong.

    Parameters
    ----------
    folder : Path
        In which the files are laid out; reading them shall change nothing there or elsewhere.
    data : bytes
        Not empty.
    watch : Watch

    Returns
    -------
    str
    """
    layout = LAYOUTS[data[0] % len(LAYOUTS)]
    path = layout.place(folder, data[1:])
    with watch:
        found = malformed_files.outcome_of(lambda: layout.read(path))
    return f"writes: {watch.writes[0]}" if watch.writes else found


def sound() -> list[bytes]:
    """Inputs that are not damaged, of every layout and every format whose library is installed."""
    import numcodecs

    files = [*malformed_files.originals().values(), *_of_science()]
    found = [bytes([0]) + content for content in files]
    found += [bytes([1]) + content for content in files if content[:2] in (b"II", b"MM")]
    checkpoint = encoded({"step": 3, "weights": [torch.zeros(2, 3)], "name": "adam", "rate": 0.1})
    others = [ARRAY_3, ARRAY_2, as_json(GROUP_3), as_json(GROUP_2)]
    others += [numcodecs.Zstd().encode(RAW), checkpoint]
    return found + [bytes([2 + n]) + content for n, content in enumerate(others)]


def _of_science() -> list[bytes]:
    """FITS, NIfTI, DICOM and OpenEXR."""
    gray, found = VALUES.astype(np.int16), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if find_spec("astropy"):
            from astropy.io import fits

            stream = io.BytesIO()
            fits.PrimaryHDU(gray).writeto(stream)
            found.append(stream.getvalue())
        if find_spec("nibabel"):
            import nibabel

            image = nibabel.Nifti1Image(gray, np.eye(4))
            found.append(image.to_bytes())
        if find_spec("OpenEXR"):
            import OpenEXR

            OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Y": VALUES.astype(np.float32)}).write(
                str(folder / "a.exr")
            )
            found.append((folder / "a.exr").read_bytes())
        if find_spec("pydicom"):
            found.append(_dicom(folder / "a.dcm"))
    return found


def _dicom(path: Path) -> bytes:
    import pydicom

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.set_pixel_data(VALUES, "MONOCHROME2", 12, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def packed(inputs: list[bytes], path: Path) -> None:
    """Keep inputs in one file; the same ones give the same bytes."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for number, data in enumerate(sorted(inputs, key=lambda data: (data[:1], len(data), data))):
            archive.writestr(ZipInfo(f"{number:04d}"), data, ZIP_DEFLATED)


def unpacked(path: Path) -> list[bytes]:
    """What :func:`packed` kept."""
    with ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]
