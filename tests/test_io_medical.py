"""DICOM and NIfTI: what is read, and what of it is in the file that is written."""

import struct

import numpy as np
import pytest

from bayesdip import io
from bayesdip.errors import FileError
from science_files import dicom_file, nifti_file, scene, written

# DICOM


def test_dicom_values_are_in_the_units_of_the_modality(tmp_path):
    import pydicom

    stored = (scene() * 2000).astype(np.uint16)
    path = dicom_file(tmp_path / "a.dcm", stored, RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    picture = io.read_picture(path)
    assert picture.pixels.dtype == np.int16
    np.testing.assert_array_equal(picture.pixels, stored.astype(int) - 1024)
    copy = pydicom.dcmread(written(path, picture, "b.dcm", picture.pixels + 1))
    np.testing.assert_array_equal(copy.pixel_array, stored + 1)
    assert (copy.RescaleIntercept, copy.RescaleType, copy.PatientName) == (-1024, "HU", "Test^One")
    assert copy.ImageType[0] == "DERIVED" and "bayesdip" in copy.DerivationDescription
    assert (
        copy.SOPInstanceUID != "1.2.3.4" and copy.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    )


def test_dicom_signed_and_real_slopes(tmp_path):
    import pydicom

    stored = (scene() * 2000 - 1000).astype(np.int16)
    path = dicom_file(tmp_path / "a.dcm", stored, RescaleSlope="0.25", RescaleIntercept="3")
    picture = io.read_picture(path)
    np.testing.assert_allclose(picture.pixels, stored * 0.25 + 3)
    copy = written(path, picture, "b.dcm", picture.pixels + 0.26)
    np.testing.assert_array_equal(pydicom.dcmread(copy).pixel_array, stored + 1)
    too_much = written(path, picture, "c.dcm", picture.pixels + 1e9)
    assert pydicom.dcmread(too_much).pixel_array.max() == 2**11 - 1  # of the 12 bits that are stored


def test_dicom_inverted_padded_colour_and_frames(tmp_path):
    import pydicom

    stored = (scene() * 3000).astype(np.uint16)
    inverted = io.read_picture(dicom_file(tmp_path / "a.dcm", stored, "MONOCHROME1"))
    np.testing.assert_array_equal(inverted.pixels, 4095 - stored)
    copy = pydicom.dcmread(written(tmp_path / "a.dcm", inverted, "a2.dcm"))
    assert copy.PhotometricInterpretation == "MONOCHROME1"
    np.testing.assert_array_equal(copy.pixel_array, stored)

    signed = stored.astype(np.int16) - 1000
    signed[:4] = -2000
    padded = io.read_picture(
        dicom_file(tmp_path / "b.dcm", signed, PixelPaddingValue=-2000, RescaleIntercept=0, RescaleSlope=1)
    )
    assert padded.no_data == -2000
    copy = pydicom.dcmread(written(tmp_path / "b.dcm", padded, "b2.dcm", np.full_like(padded.pixels, 7)))
    assert (copy.pixel_array[:4] == -2000).all() and (copy.pixel_array[4:] == 7).all()

    rgb = (np.stack([scene(seed=i) for i in range(3)], -1) * 255).astype(np.uint8)
    colour = io.read_picture(dicom_file(tmp_path / "c.dcm", rgb, "RGB", 8))
    np.testing.assert_array_equal(colour.pixels, rgb)
    np.testing.assert_array_equal(io.read_picture(written(tmp_path / "c.dcm", colour, "c2.dcm")).pixels, rgb)

    frames = np.stack([stored, stored // 2, stored // 3])
    film = io.read_picture(dicom_file(tmp_path / "d.dcm", frames))
    assert film.volume and film.grid == (3, 24, 32) and film.channels == 1
    np.testing.assert_array_equal(io.read_picture(written(tmp_path / "d.dcm", film, "d2.dcm")).pixels, frames)


def test_dicom_is_made_from_dicom_only(tmp_path):
    with pytest.raises(FileError, match="from a DICOM file only"):
        io.write_picture(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8))


def test_dicom_pixel_spacing_and_place_in_an_enlarged_picture(tmp_path):
    import pydicom

    geometry = {
        "PixelSpacing": [2, 3],
        "ImagePositionPatient": [10, 20, 30],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    path = dicom_file(tmp_path / "a.dcm", (scene() * 99).astype(np.uint8), bits=8, **geometry)
    picture = io.read_picture(path)
    copy = pydicom.dcmread(written(path, picture, "b.dcm", picture.pixels.repeat(2, 0).repeat(2, 1)))
    assert list(copy.PixelSpacing) == [1, 1.5]
    assert list(copy.ImagePositionPatient) == [10 - 0.75, 20 - 0.5, 30]


# NIfTI


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("shape", [(32, 24), (32, 24, 5), (32, 24, 5, 2), (32, 24, 1, 3)])
def test_nifti_keeps_affine_units_and_type(tmp_path, name, shape):
    import nibabel

    values = (scene(shape) * 999).astype(np.int16)
    path = nifti_file(tmp_path / name, values)
    picture = io.read_picture(path)
    assert picture.volume == (shape[2:3] == (5,)) and picture.pixels.dtype == np.int16
    expected = np.swapaxes(values, 0, 2) if picture.volume else np.swapaxes(values, 0, 1)
    np.testing.assert_array_equal(picture.pixels, expected.reshape(picture.pixels.shape))
    copy = nibabel.load(written(path, picture, f"copy-{name}"))
    np.testing.assert_array_equal(np.asanyarray(copy.dataobj), values)
    np.testing.assert_array_equal(copy.affine, nibabel.load(path).affine)
    assert copy.header.get_xyzt_units() == ("mm", "sec") and copy.get_data_dtype() == np.int16
    assert (
        "a phantom" in str(copy.header["descrip"]) and b"bayesdip" in copy.header.extensions[0].get_content()
    )


def test_nifti_scaled_values_are_real(tmp_path):
    stored = (scene((32, 24, 5)) * 999).astype(np.int16)
    path = nifti_file(tmp_path / "a.nii", stored)
    data = bytearray(path.read_bytes())
    struct.pack_into("<ff", data, 112, 0.5, -10)  # scl_slope and scl_inter
    path.write_bytes(data)
    picture = io.read_picture(path)
    np.testing.assert_allclose(picture.pixels, np.swapaxes(stored, 0, 2) * 0.5 - 10)
    again = io.read_picture(written(path, picture, "b.nii"))
    assert again.pixels.dtype == np.float32
    np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_nifti_affine_of_an_enlarged_picture(tmp_path):
    import nibabel

    path = nifti_file(tmp_path / "a.nii", scene((32, 24)).astype(np.float32))
    picture = io.read_picture(path)
    copy = nibabel.load(written(path, picture, "b.nii", picture.pixels.repeat(3, 0).repeat(3, 1)))
    old = nibabel.load(path)
    np.testing.assert_allclose(copy.affine @ [28, 13, 0, 1], old.affine @ [9, 4, 0, 1])
    np.testing.assert_allclose(copy.header.get_zooms()[:2], (2 / 3, 2 / 3))


def test_nifti_complex_is_refused(tmp_path):
    path = nifti_file(tmp_path / "a.nii", scene((8, 8)).astype(np.complex64))
    with pytest.raises(FileError, match="complex64"):
        io.read_picture(path)
