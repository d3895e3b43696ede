"""Formats that need a library of their own, which an extra installs: FITS, DICOM, NIfTI, camera raw and OpenEXR."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bayesdip.io.guards import FilePath, file_error

# The library of each format: its module, its name, and the extra of this package that installs it.
LIBRARIES = {
    "FITS": ("astropy.io.fits", "astropy", "fits"),
    "DICOM": ("pydicom", "pydicom", "dicom"),
    "NIFTI": ("nibabel", "nibabel", "nifti"),
    "RAW": ("rawpy", "rawpy", "raw"),
    "EXR": ("OpenEXR", "OpenEXR", "exr"),
}


def library(kind: str, path: FilePath) -> Any:
    """Import the library of a format.

    Parameters
    ----------
    kind : str
        One of `LIBRARIES`.
    path : path-like
        For the message.

    Returns
    -------
    module

    Raises
    ------
    FileError
        If it is not installed.
    """
    module, name, extra = LIBRARIES[kind]
    try:
        return import_module(module)
    except ImportError as error:
        given = f"needs the library {name}, which is not installed"
        raise file_error(path, given, name + " is", f"pip install 'bayesdip[{extra}]'") from error
