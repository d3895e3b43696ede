"""The error of JPEG: its size by the file's table, pictures that compress to the same coefficients, files of photographs."""

import json
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn
from skimage import data
from typer.testing import CliRunner

import bayesdip as bd
from bayesdip.cli import app
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise import JPEG

QUALITIES = (10, 20, 40, 75)


def photo(colour, side=96):
    picture = data.astronaut()[20 : 20 + side, 170 : 170 + side]
    return picture if colour else np.asarray(Image.fromarray(picture).convert("L"))


def compressed(path, picture, quality):
    Image.fromarray(picture).save(path, quality=quality)
    return bd.io.read_picture(path)


def tensor(pixels):
    return torch.from_numpy(np.moveaxis(np.atleast_3d(pixels), -1, 0).astype(float))


def error(one, other):
    return float(np.sqrt(np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)))


def blocks(plane):
    rows, columns = (n // 8 for n in plane.shape)
    return plane.reshape(rows, 8, columns, 8).swapaxes(1, 2)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("quality", QUALITIES)
def test_the_table_says_how_large_the_error_is(tmp_path, colour, quality):
    truth = photo(colour)
    picture = compressed(tmp_path / "a.jpg", truth, quality)
    told = float(picture.jpeg.variance(tensor(picture.pixels)).mean()) ** 0.5
    assert 0.7 < told / error(picture.pixels, truth) < 1.6


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_consistent_picture_has_the_coefficients_of_the_file_and_is_no_farther_from_the_truth(
    tmp_path, quality
):
    truth = np.clip(photo(False), 1, 254)
    picture = compressed(tmp_path / "a.jpg", truth, quality)
    y, noise = tensor(picture.pixels), picture.jpeg
    rough = tensor(truth) + 20 * torch.randn(
        y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype
    )
    moved = noise.consistent(rough, y)
    away = dctn(blocks(moved[0].numpy() - y[0].numpy()), axes=(2, 3), norm="ortho") / noise.steps
    inside = ~((picture.pixels == 0) | (picture.pixels == 255)).reshape(12, 8, 12, 8).any((1, 3))
    assert inside.any() and (abs(away[inside]) < 0.5 + 2.5 / noise.steps).all()
    assert error(moved[0], truth) < error(rough[0], truth)
    assert error(noise.consistent(moved, y), moved) < 1e-6


def test_blocks_of_another_table_are_left_alone(tmp_path):
    picture = compressed(tmp_path / "a.jpg", photo(False), 30)
    shifted = tensor(np.roll(picture.pixels, (3, 5), (0, 1)))
    smooth = torch.full_like(shifted, 100.0)
    assert float((picture.jpeg.consistent(smooth, shifted) != smooth).double().mean()) < 0.1


def test_other_units_change_nothing(tmp_path):
    picture = compressed(tmp_path / "a.jpg", photo(True), 20)
    y = tensor(picture.pixels)
    own = picture.jpeg.rescaled(10.0, 5.0)
    in_own = own.consistent((y - 30 - 10) / 5, (y - 10) / 5) * 5 + 10
    torch.testing.assert_close(in_own, picture.jpeg.consistent(y - 30, y))
    torch.testing.assert_close(own.variance((y - 10) / 5) * 25, picture.jpeg.variance(y))
    std = torch.ones_like(y)
    torch.testing.assert_close(own.std_left(std, (y - 10) / 5) * 5, picture.jpeg.std_left(5 * std, y))


@pytest.mark.parametrize("colour", [False, True])
def test_its_error_is_reduced_and_intervals_hold(tmp_path, colour):
    truth = photo(colour)
    for quality in (10, 40) if colour else (20,):
        picture = compressed(tmp_path / "a.jpg", truth, quality)
        axis = -1 if colour else None
        r = bd.denoise(picture.pixels, noise=picture.jpeg, channel_axis=axis, effort="fast")
        gain = 20 * np.log10(error(picture.pixels, truth) / error(r.mean, truth))
        assert gain > 0.5, (quality, gain)
        assert 0.8 < np.mean(abs(r.mean.astype(float) - truth) <= 1.645 * r.std) < 0.99


def test_a_file_is_taken_for_compressed_by_the_command_line_and_said(tmp_path):
    truth = photo(True)
    path = tmp_path / "a.jpg"
    picture = compressed(path, truth, 20)
    words = ["denoise", str(path), "-o", str(tmp_path / "b.png"), "--json", "--effort", "fast"]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    assert [f["kind"] for f in json.loads(ended.stdout)["findings"]] == ["compression"]
    assert error(bd.io.read_picture(tmp_path / "b.png").pixels, truth) < 0.95 * error(picture.pixels, truth)
    words[3] = str(tmp_path / "c.png")
    white = json.loads(CliRunner().invoke(app, [*words, "--sigma", "3"]).stdout)
    assert all(f["kind"] != "compression" for f in white["findings"])


def test_a_file_with_clear_noise_is_not_taken_for_compressed_alone(tmp_path):
    from bayesdip.cli.verbs import compression_alone

    noisy = photo(False, 160) + np.random.default_rng(0).normal(0, 25, (160, 160))
    picture = compressed(tmp_path / "a.jpg", np.clip(noisy, 0, 255).astype(np.uint8), 95)
    assert compression_alone(picture) is None
    assert compression_alone(compressed(tmp_path / "b.jpg", photo(False), 20)) is not None
    assert compression_alone(bd.io.Picture(photo(False))) is None


def test_what_has_no_table_of_brightness_and_what_is_no_table(tmp_path):
    Image.fromarray(photo(True)).convert("CMYK").save(tmp_path / "a.jpg")
    assert bd.io.read_picture(tmp_path / "a.jpg").jpeg is None
    with pytest.raises(BayesDipError, match="64 of at least 1"):
        JPEG([1, 2, 3])
    with pytest.raises(ShapeError, match="8x8"):
        bd.denoise(np.arange(12.0).reshape(3, 4), noise=JPEG(np.full(64, 9)))


def test_the_picture_is_drawn_by_compressing_it():
    truth = tensor(photo(False))
    noise = JPEG(np.full((8, 8), 24))
    out = BytesIO()
    Image.fromarray(photo(False)).save(out, "JPEG", qtables=[[24] * 64], subsampling=0)
    decoded = np.asarray(Image.open(BytesIO(out.getvalue())))
    drawn = noise.sample(truth)[0].clamp(0, 255)  # but for coefficients half way between two steps
    assert error(drawn, decoded) < 0.25 * error(photo(False), decoded)


def test_blocks_of_equal_values_come_back_as_numbers():
    steps = np.random.default_rng(0).integers(60, 200, (6, 6))
    flat = np.kron(steps, np.ones((8, 8)))
    r = bd.denoise(flat, 12.0, method="patches")
    assert np.isfinite(r.mean).all()
