"""Input from strangers: whatever comes in, there is a result or one line that says what is wrong, and nothing else happens."""

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from benchmarks import malformed_files
from benchmarks.malformed_files import Watch
from benchmarks.reader_inputs import outcome, packed, sound, unpacked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms

import bayesdip as bd
from bayesdip.batch_processing import batch_function
from bayesdip.batch_processing.sources import find_sources
from bayesdip.errors import BayesDipError, FileError
from bayesdip.io import read_picture, write_picture
from bayesdip.io.stored import open_stored
from bayesdip.tile_processing import tiled_function
from tiled_arrays import in_process

FEW = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
DTYPES = st.sampled_from(
    [
        "bool",
        "uint8",
        "int8",
        "uint16",
        "int32",
        "uint64",
        "float16",
        "float32",
        "float64",
        ">f4",
        "complex64",
    ]
)
PICTURES = DTYPES.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=7))
)
SIGMAS = st.one_of(
    st.none(), st.floats(), st.just("auto"), st.lists(st.floats(0, 100), max_size=4).map(tuple)
)
METHODS = st.sampled_from(["auto", "gp", "patches"])


def result_or_one_line(run, image):
    """What is given back is a whole and finite picture; what is refused is refused in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            found = run()
        except BayesDipError as error:
            assert str(error).strip() and "\n" not in str(error)
            return
    assert np.isfinite(found.mean).all()
    assert found.std is None or (np.isfinite(found.std).all() and (found.std >= 0).all())


@FEW
@given(image=PICTURES, sigma=SIGMAS, axis=st.sampled_from([None, 0, -1, 2, 7]), method=METHODS)
def test_any_array_is_denoised_or_refused(image, sigma, axis, method):
    before = image.tobytes()
    options = {"channel_axis": axis, "method": method, "effort": "fast", "device": "cpu"}
    result_or_one_line(lambda: bd.denoise(image, sigma, **options), image)
    assert image.tobytes() == before, "what is given is not changed"


@FEW
@given(image=PICTURES, data=st.data(), method=METHODS)
def test_any_mask_is_filled_in_or_refused(image, data, method):
    fitting = arrays.arrays(bool, image.shape)
    other = arrays.arrays(
        st.sampled_from(["bool", "uint8", "float64"]), arrays.array_shapes(max_dims=3, max_side=7)
    )
    mask = data.draw(st.one_of(fitting, other, st.none()))
    result_or_one_line(lambda: bd.inpaint(image, mask, method=method, effort="fast", device="cpu"), image)


@FEW
@given(
    image=PICTURES,
    factor=st.one_of(st.integers(-1, 3), st.floats(-2, 4)),
    kind=st.sampled_from(["lanczos", "bicubic", "area", "best"]),
)
def test_any_array_is_enlarged_or_refused(image, factor, kind):
    result_or_one_line(lambda: bd.upscale(image, factor, kind=kind, effort="fast", device="cpu"), image)


@FEW
@given(image=PICTURES, psf=PICTURES, sigma=SIGMAS)
def test_any_array_is_deblurred_or_refused(image, psf, sigma):
    result_or_one_line(lambda: bd.deblur(image, psf, sigma=sigma, effort="fast", device="cpu"), image)


@FEW
@given(
    data=PICTURES,
    operator=st.sampled_from(
        [
            bd.Identity,
            lambda shape: bd.Mask(np.arange(np.prod(shape)).reshape(shape) % 3 == 0),
            lambda shape: bd.Downsample(shape, 2),
            lambda shape: bd.Blur(shape, np.ones((3, 3)) / 9),
        ]
    ),
    shape=st.one_of(st.none(), st.lists(st.integers(-1, 7), max_size=4).map(tuple)),
    noise=st.sampled_from([bd.Gaussian, bd.Laplace, bd.Poisson, bd.Speckle]),
    level=st.one_of(st.floats(), st.floats(0, 50)),
)
def test_any_measurement_is_restored_or_refused(data, operator, shape, noise, level):
    options = {"method": "gp", "effort": "fast", "device": "cpu"}

    def run():
        return bd.restore(data, operator(data.shape if shape is None else shape), noise(level), **options)

    result_or_one_line(run, data)


@FEW
@given(image=PICTURES, axis=st.sampled_from([None, 0, -1, 5]))
def test_any_array_is_measured_or_refused(image, axis):
    for measure in (
        lambda: bd.estimate_sigma(image, channel_axis=axis),
        lambda: bd.estimate_looks(image, channel_axis=axis),
        lambda: bd.detect_clipping(image),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                measure()
            except BayesDipError as error:
                assert str(error).strip() and "\n" not in str(error)


@settings(FEW, max_examples=25)
@given(
    image=PICTURES,
    axes=st.sampled_from([None, "yx", "zyx", "yxs", "tyx", "xyz", "qq"]),
    across=st.sampled_from([None, "yx", "zyx", "x"]),
    sigma=SIGMAS,
    suffix=st.sampled_from([".ome.zarr", ".zarr", ".ome.tif", ".tif", ".png"]),
)
def test_any_array_is_restored_in_tiles_or_refused(tmp_path_factory, image, axes, across, sigma, suffix):
    pytest.importorskip("zarr")
    output = tmp_path_factory.mktemp("tiled") / f"out{suffix}"
    options = {"method": "gp", "effort": "fast", "device": "cpu", "tile": 32, "sigma": sigma}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        patch.setattr(tiled_function, "_pool", lambda *given: in_process())
        try:
            found = bd.tiled(image, output=output, axes=axes, across=across, **options)
        except BayesDipError as error:
            assert str(error).strip() and "\n" not in str(error) and not output.exists()
            return
    assert found.tiles >= 1 and output.exists()
    stored = open_stored(output)
    assert sorted(stored.description.shape) == sorted(image.shape)  # a format may have an order of its own


@settings(FEW, max_examples=25)
@given(images=st.lists(PICTURES, max_size=3), sigma=SIGMAS, axis=st.sampled_from([None, -1]))
def test_any_arrays_are_restored_one_by_one_or_refused(images, sigma, axis):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        patch.setattr(batch_function, "_pool", lambda *given: in_process())
        options = {"method": "gp", "effort": "fast", "device": "cpu", "channel_axis": axis}
        try:
            items = bd.batch(images, "denoise", sigma=sigma, **options)
        except BayesDipError as error:
            assert not images and "\n" not in str(error)
            return
    for item in items:
        assert (item.restoration is None) == bool(item.error)
        assert "\n" not in item.error and "defect" not in item.error


class Unwanted:
    def __reduce__(self):
        return os.mkdir, ("it-was-run",)


@pytest.mark.parametrize("name", ["a.npy", "a.png", "a.tif"])
def test_a_pickle_is_not_run_whatever_it_is_called(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    array = np.array([Unwanted(), 1], dtype=object)
    with open(name, "wb") as file:
        np.save(file, array, allow_pickle=True)
    with pytest.raises(FileError):
        read_picture(name)
    Path(name).write_bytes(pickle.dumps(Unwanted()))
    with pytest.raises(FileError):
        read_picture(name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_picture_that_claims_to_be_huge_is_refused_at_once(tmp_path):
    import struct
    import zlib

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    (tmp_path / "text.png").write_bytes(
        bomb[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"0" * 10**8)) + bomb[33:]
    )
    for name in ("bomb.png", "text.png"):
        with pytest.raises(BayesDipError):
            read_picture(tmp_path / name)


def test_tiff_pages_that_follow_each_other_in_a_circle_are_refused_at_once(tmp_path):
    import struct

    import tifffile

    file = tmp_path / "circle.tif"
    tifffile.imwrite(file, np.zeros((4, 5), np.uint8), metadata=None)
    data = bytearray(file.read_bytes())
    first = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[first : first + 2])[0]
    data[first + 2 + 12 * count : first + 6 + 12 * count] = struct.pack("<I", first)
    file.write_bytes(data)
    for read in (read_picture, open_stored):
        with pytest.raises(FileError, match="in a circle"):
            read(file)


PROFILES = {
    "of another colour model": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    "of colours for a gray picture": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "of noise": np.random.default_rng(0).bytes(400),
    "that is empty": b"",
    "whose size is a lie": b"\xff\xff\xff\xff"
    + ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[4:],
}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_profile_that_lies_changes_no_pixel(tmp_path, suffix, profile):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 9), dtype=np.uint8)
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"in{suffix}", icc_profile=profile, **options)
    with Image.open(tmp_path / f"in{suffix}") as stored:
        wanted = np.asarray(stored.convert("L"))
    picture = read_picture(tmp_path / f"in{suffix}")
    gray = picture.pixels if picture.pixels.ndim == 2 else picture.pixels[..., 0]
    assert np.array_equal(gray, wanted)
    write_picture(tmp_path / f"out{suffix}", picture.pixels, picture)
    with Image.open(tmp_path / f"out{suffix}") as written:
        written.load()


NAMES = [
    "a b.npy",
    "-o.npy",
    "..a.npy",
    "ä.npy",
    "a\nb.npy",
    "\x1b[31m.npy",
    "CON.npy",
    "a;rm -rf x.npy",
    "%s.npy",
]


@pytest.mark.skipif(os.name == "nt", reason="such names do not exist there")
def test_odd_names_stay_inside_the_output_folder(tmp_path, monkeypatch):
    (tmp_path / "work" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    for name in NAMES:
        np.save(Path("in") / name, np.random.default_rng(0).normal(100, 10, (8, 8)))
    options = {"sigma": 10, "method": "gp", "effort": "fast", "workers": 1}
    items = bd.batch([Path("in") / name for name in NAMES], "denoise", output="out", **options)
    assert [item.error for item in items] == [""] * len(NAMES)
    assert sorted(path.name for path in Path("out").glob("*.npy")) == sorted(NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]
    assert sorted(path.name for path in Path().iterdir()) == ["in", "out"]


@pytest.mark.parametrize("name", ["../a.npy", "in/../../a.npy", "in/../a.npy"])
def test_a_name_that_climbs_gives_an_output_inside_the_folder(tmp_path, monkeypatch, name):
    (tmp_path / "work" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    np.save(name, np.ones((4, 4)))
    for source in find_sources([name]):
        assert not source.name.is_absolute() and ".." not in source.name.parts


def test_damaged_metadata_blocks_and_checkpoints_are_read_or_refused_and_write_nothing(tmp_path):
    """Of every format and layout that the fuzzer is given, Zarr and OME-Zarr among them."""
    pytest.importorskip("zarr")
    watch, inputs, rng = Watch(), sound(), np.random.default_rng(0)
    for data in inputs:
        outcome(tmp_path, data, watch)  # loads libraries, which may write what they compile
    assert [outcome(tmp_path, data, watch) for data in inputs].count("read") == len(inputs) - 1  # a pickle
    contents = [data[1:] for data in inputs]
    for data in inputs * 4:
        damaged = data[:1] + malformed_files.damaged(data[1:], contents, rng)
        assert outcome(tmp_path, damaged, watch) in ("read", "refused"), damaged.hex()


def test_a_corpus_comes_back_as_it_was_kept(tmp_path):
    inputs = [b"\0a", b"\3", b"\0" + bytes(300)]
    packed(inputs, tmp_path / "a.zip")
    packed(inputs[::-1], tmp_path / "b.zip")
    assert sorted(unpacked(tmp_path / "a.zip")) == sorted(inputs)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
