"""Picture files: read them, and write the restored picture back the same way.

PNG, JPEG, TIFF, WebP and ``.npy`` are read and written, BMP and GIF only read. With the libraries
that extras install, so are FITS, DICOM, NIfTI and OpenEXR; camera raw is only read. What a
file holds besides its pixels (bit depth, transparency, colour profile, EXIF, headers) is kept
in a :class:`Picture` and goes into the output. Every problem with a file is one line,
a :class:`bayesdip.errors.FileError` or a :class:`bayesdip.errors.ResourceError`.
"""

from __future__ import annotations

from bayesdip.io.guards import PIPE
from bayesdip.io.masks import Mask, check_mask, mask_of, read_mask, read_psf
from bayesdip.io.picture import Picture
from bayesdip.io.reading import read_picture
from bayesdip.io.writing import atomic_write, check_writable, holds_real_numbers, write_picture, write_std

__all__ = [
    "PIPE",
    "Mask",
    "Picture",
    "atomic_write",
    "check_mask",
    "check_writable",
    "holds_real_numbers",
    "mask_of",
    "read_mask",
    "read_picture",
    "read_psf",
    "write_picture",
    "write_std",
]
