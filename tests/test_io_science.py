"""FITS, camera raw and OpenEXR: what is read and written; all such formats on the command line, missing libraries, bad files."""

import json
import struct
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from bayesdip import batch, io
from bayesdip.cli import app
from bayesdip.errors import BayesDipError, FileError
from science_files import dicom_file, dng_file, exr_file, fits_file, nifti_file, scene, written

LIBRARIES = {
    "astropy.io.fits": "fits",
    "pydicom": "dicom",
    "nibabel": "nifti",
    "rawpy": "raw",
    "OpenEXR": "exr",
}


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


# FITS


def test_fits_keeps_header_units_and_history(tmp_path):
    from astropy.io import fits

    words = {
        "OBJECT": "M 31",
        "BUNIT": "Jy/beam",
        "CRPIX1": 5.0,
        "CRPIX2": 7.0,
        "CDELT1": -0.1,
        "CTYPE1": "RA---TAN",
    }
    path = fits_file(tmp_path / "a.fits", scene().astype(">f4"), words)
    picture = io.read_picture(path)
    assert picture.pixels.dtype == np.float32 and picture.pixels.shape == (24, 32)
    header = fits.getheader(written(path, picture, "b.fits", picture.pixels + 1))
    assert {name: header[name] for name in words} == words
    assert "bayesdip" in str(header["HISTORY"])
    np.testing.assert_array_equal(fits.getdata(tmp_path / "b.fits"), picture.pixels + 1)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int8", "float64"])
def test_fits_gives_every_type_back(tmp_path, dtype):
    values = (scene() * 100).astype(dtype)
    path = fits_file(tmp_path / "a.fits", values)
    picture = io.read_picture(path)
    assert picture.pixels.dtype == values.dtype
    again = io.read_picture(written(path, picture, "b.fits"))
    assert again.pixels.dtype == values.dtype
    np.testing.assert_array_equal(again.pixels, values)


def test_fits_scaling_gives_physical_values_and_blank_is_missing(tmp_path):
    from astropy.io import fits

    stored = (scene() * 1000).astype(np.int16)
    expected = stored * 0.5 + 100
    expected[3, 4] = np.nan
    stored[3, 4] = -99
    part = fits.PrimaryHDU(stored, do_not_scale_image_data=True)
    part.header.update({"BSCALE": 0.5, "BZERO": 100.0, "BLANK": -99})
    path = tmp_path / "a.fits"
    part.writeto(path)
    np.testing.assert_allclose(fits.getdata(path), expected, rtol=1e-6)
    picture = io.read_picture(path)
    np.testing.assert_allclose(picture.pixels, expected, rtol=1e-6)
    assert np.isnan(picture.no_data)
    again = io.read_picture(written(path, picture, "b.fits", np.nan_to_num(picture.pixels)))
    np.testing.assert_allclose(again.pixels, np.nan_to_num(expected), rtol=1e-6)


def test_fits_blank_of_unscaled_whole_numbers_is_no_data(tmp_path):
    stored = (scene() * 1000).astype(np.int16)
    stored[3, 4] = -99
    path = fits_file(tmp_path / "a.fits", stored, BLANK=-99)
    picture = io.read_picture(path)
    assert picture.pixels.dtype == np.int16 and picture.no_data == -99


def test_fits_other_parts_stay_and_a_cube_has_channels(tmp_path):
    from astropy.io import fits

    path = tmp_path / "a.fits"
    cube = np.stack([scene(), 2 * scene(), 3 * scene(), scene()]).astype(np.float32)
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.arange(3.0))], name="LIST")
    parts = [fits.PrimaryHDU(), fits.ImageHDU(cube, name="SCI"), fits.ImageHDU(cube[0], name="ERR"), table]
    fits.HDUList(parts).writeto(path)
    picture = io.read_picture(path)
    assert picture.pixels.shape == (24, 32, 4) and "first of 2 images" in picture.notes[0]
    copy = written(path, picture, "b.fits", picture.pixels * 2)
    with fits.open(copy) as file:
        assert [part.name for part in file] == ["PRIMARY", "SCI", "ERR", "LIST"]
        np.testing.assert_array_equal(file["SCI"].data, 2 * cube)
        np.testing.assert_array_equal(file["ERR"].data, cube[0])
        np.testing.assert_array_equal(file["LIST"].data["x"], np.arange(3.0))


def test_fits_compressed_and_gzipped_and_radio_axes_of_length_one(tmp_path):
    from astropy.io import fits

    values = (scene() * 500).astype(np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values)]).writeto(tmp_path / "a.fits.fz")
    fits.PrimaryHDU(values[None, None]).writeto(tmp_path / "b.fits.gz")
    for name in ("a.fits.fz", "b.fits.gz"):
        picture = io.read_picture(tmp_path / name)
        np.testing.assert_array_equal(picture.pixels, values)
        again = written(tmp_path / name, picture, f"copy-{name[0]}.fits")
        np.testing.assert_array_equal(io.read_picture(again).pixels, values)
    assert fits.getdata(tmp_path / "copy-b.fits").shape == (1, 1, 24, 32)


def test_fits_world_coordinates_stay_where_they_are_in_an_enlarged_picture(tmp_path):
    wcs_module = pytest.importorskip("astropy.wcs")
    words = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 10.0,
        "CRVAL2": 41.0,
        "CRPIX1": 5.0,
        "CRPIX2": 7.0,
    }
    matrix = {"CD1_1": -1e-3, "CD1_2": 2e-4, "CD2_1": 1e-4, "CD2_2": 1e-3}
    for i, scale in enumerate([{"CDELT1": -1e-3, "CDELT2": 1e-3}, matrix]):
        path = fits_file(tmp_path / f"a{i}.fits", scene().astype(np.float32), words | scale)
        picture = io.read_picture(path)
        copy = written(path, picture, f"b{i}.fits", picture.pixels.repeat(3, 0).repeat(3, 1))
        from astropy.io import fits

        before, after = wcs_module.WCS(fits.getheader(path)), wcs_module.WCS(fits.getheader(copy))
        # The centre of pixel (4, 9) is that of (13, 28): three fine pixels to a coarse one.
        np.testing.assert_allclose(
            after.wcs_pix2world([[28, 13]], 0), before.wcs_pix2world([[9, 4]], 0), atol=1e-9
        )


# OpenEXR


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr_keeps_type_attributes_and_other_channels(tmp_path, dtype):
    import OpenEXR

    planes = {name: (scene(seed=i) * 3).astype(dtype) for i, name in enumerate("RGBA")}
    planes["depth.Z"] = scene(seed=9).astype(np.float32)
    path = exr_file(tmp_path / "a.exr", planes, comments="a render", whiteLuminance=80.0)
    picture = io.read_picture(path)
    assert picture.colour == "rgb" and picture.alpha is not None and "depth.Z" in picture.notes[0]
    np.testing.assert_array_equal(picture.pixels[..., 1], planes["G"].astype(np.float32))
    copy = OpenEXR.File(str(written(path, picture, "b.exr")), separate_channels=True)
    assert {n: c.pixels.dtype for n, c in copy.channels().items()} == {n: a.dtype for n, a in planes.items()}
    for name, array in planes.items():
        np.testing.assert_array_equal(copy.channels()[name].pixels, array)
    assert copy.header()["whiteLuminance"] == 80 and copy.header()["comments"].startswith(
        "a render; restored by bayesdip"
    )


def test_exr_of_gray_and_of_named_channels(tmp_path):
    gray = io.read_picture(exr_file(tmp_path / "a.exr", {"Y": scene().astype(np.float32)}))
    assert gray.pixels.shape == (24, 32)
    planes = {"N.X": scene().astype(np.float32), "N.Y": scene(seed=1).astype(np.float32)}
    path = exr_file(tmp_path / "b.exr", planes)
    named = io.read_picture(path)
    assert named.pixels.shape == (24, 32, 2) and named.colour == "channels"
    assert io.read_picture(written(path, named, "c.exr")).header.names == ("N.X", "N.Y")


def test_exr_does_not_take_whole_numbers(tmp_path):
    with pytest.raises(FileError, match="real numbers"):
        io.write_picture(tmp_path / "a.exr", np.zeros((4, 4), np.uint8))


# Camera raw


def test_raw_is_a_mosaic_in_linear_units(tmp_path):
    levels = 0.5 * scene((32, 48))
    picture = io.read_picture(dng_file(tmp_path / "a.dng", (512 + levels * 3583).round().astype(np.uint16)))
    seen = np.isfinite(picture.pixels)
    assert picture.pixels.shape == (32, 48, 3) and (seen.sum(-1) == 1).all()
    assert seen[::2, ::2, 0].all() and seen[::2, 1::2, 1].all() and seen[1::2, 1::2, 2].all()
    for channel, gain in enumerate((2, 1, 2)):
        here = seen[..., channel]
        np.testing.assert_allclose(picture.pixels[..., channel][here], gain * levels[here], atol=2e-4 * gain)
    assert picture.findings[0].kind == "mosaic" and picture.format == "RAW"


def test_raw_on_the_command_line_is_demosaiced(tmp_path):
    colours = np.stack([0.4 * scene((24, 36), 5) * gain for gain in (0.5, 1, 0.5)], -1)
    mosaic = np.empty((24, 36))
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = colours[row::2, column::2, channel]
    path = dng_file(tmp_path / "a.dng", (512 + mosaic * 3583).round().astype(np.uint16))
    ended = run("inpaint", path, "-o", tmp_path / "b.tif", "--json", "--effort", "fast", "--sigma", "0")
    said = json.loads(ended.stdout)
    assert ended.exit_code == 0 and said["findings"][0]["kind"] == "mosaic"
    restored = io.read_picture(tmp_path / "b.tif").pixels
    assert restored.shape == (24, 36, 3)
    truth = colours * (2, 1, 2)
    assert np.sqrt(np.mean((restored - truth) ** 2)) < 0.01


# Folders, volumes, command line, missing libraries, broken files


def test_a_volume_on_the_command_line_keeps_its_header_in_both_files(tmp_path):
    import nibabel

    truth = scene((10, 8, 4)) * 100
    noisy = truth + np.random.default_rng(0).normal(0, 5, truth.shape)
    path = nifti_file(tmp_path / "a.nii.gz", noisy.astype(np.float32))
    out, std = tmp_path / "b.nii.gz", tmp_path / "s.nii.gz"
    ended = run("denoise", path, "-o", out, "--std", std, "--sigma", "5", "--effort", "fast")
    assert ended.exit_code == 0 and "10 x 8 x 4 voxels" in ended.stdout
    restored = nibabel.load(out)
    assert np.sqrt(np.mean((restored.get_fdata() - truth) ** 2)) < 4
    for name in (out, std):
        np.testing.assert_array_equal(nibabel.load(name).affine, nibabel.load(path).affine)
    assert "standard deviation" in str(nibabel.load(std).header["descrip"])
    refused = run("denoise", path, "-o", tmp_path / "c.nii", "--report", tmp_path / "r")
    assert "--report was given" in refused.output


def test_fits_on_the_command_line_fills_in_nan_and_keeps_the_header(tmp_path):
    from astropy.io import fits

    values = (scene() * 100 + np.random.default_rng(0).normal(0, 3, (24, 32))).astype(np.float32)
    values[5:8, 9] = np.nan
    path = fits_file(tmp_path / "a.fits", values, {"BUNIT": "adu"})
    ended = run("denoise", path, "-o", tmp_path / "b.fits", "--std", tmp_path / "s.fits", "--json")
    assert ended.exit_code == 0 and json.loads(ended.stdout)["missing"] == 3
    restored, header = fits.getdata(tmp_path / "b.fits", header=True)
    assert np.isfinite(restored).all() and header["BUNIT"] == "adu"
    assert "standard deviation" in str(fits.getheader(tmp_path / "s.fits")["HISTORY"])


def test_a_folder_of_such_files_is_a_batch_and_its_no_data_are_missing(tmp_path):
    values = (scene() * 100 + np.random.default_rng(0).normal(0, 3, (24, 32))).astype(np.float32)
    values[5, 9] = np.nan
    fits_file(tmp_path / "a.fits", values)
    (tmp_path / "a.dng").write_bytes(b"not looked at: raw files are named")
    batch(
        [tmp_path],
        "denoise",
        output=tmp_path / "out",
        std=tmp_path / "out",
        sigma=3.0,
        method="patches",
        effort="fast",
        workers=1,
    )
    assert np.isfinite(io.read_picture(tmp_path / "out" / "a.fits").pixels).all()
    assert "standard deviation" in (tmp_path / "out" / "a_std.fits").read_bytes().decode("latin-1")


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_missing_library_is_one_line_that_says_what_to_install(tmp_path, monkeypatch, module):
    plane = scene().astype(np.float32)
    makers = {
        "astropy.io.fits": lambda: fits_file(tmp_path / "a", plane),
        "pydicom": lambda: dicom_file(tmp_path / "a", (plane * 99).astype(np.uint8), bits=8),
        "nibabel": lambda: nifti_file(tmp_path / "a.nii", plane),
        "rawpy": lambda: dng_file(tmp_path / "a", (plane * 4000).astype(np.uint16)),
        "OpenEXR": lambda: exr_file(tmp_path / "a", {"Y": plane}),
    }
    path = makers[module]()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FileError) as error:
        io.read_picture(path)
    assert f"pip install 'bayesdip[{LIBRARIES[module]}]'" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["fits", "dcm", "nii", "nii.gz", "exr", "dng"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_files_that_are_cut_short_are_one_line(tmp_path, kind, share):
    rough = np.random.default_rng(0).random((64, 96))
    path = tmp_path / f"a.{kind}"
    makers = {
        "fits": lambda: fits_file(path, rough),
        "dcm": lambda: dicom_file(path, (rough * 4000).astype(np.uint16)),
        "nii": lambda: nifti_file(path, rough),
        "nii.gz": lambda: nifti_file(path, rough),
        "exr": lambda: exr_file(path, {"Y": rough.astype(np.float32)}),
        "dng": lambda: dng_file(path, (rough * 4000).astype(np.uint16)),
    }
    data = makers[kind]().read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BayesDipError) as error:
        io.read_picture(path)
    assert "\n" not in str(error.value)


def test_a_header_that_claims_a_huge_picture_is_refused(tmp_path):
    path = nifti_file(tmp_path / "a.nii", np.zeros((4, 4, 4), np.float32))
    data = bytearray(path.read_bytes())
    struct.pack_into("<hhh", data, 42, 30000, 30000, 30000)
    path.write_bytes(data)
    with pytest.raises(BayesDipError, match=r"pixels|GiB"):
        io.read_picture(path)
