"""The public functions: what goes in comes back restored, in its own shape, scale and type."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import bayesdip as bd
from conftest import smooth_picture

METHODS = ["patches", "gp", "map", "sgld"]


def small(name, arch, **options):
    """A method by name, its network a tiny one."""
    if name == "patches":
        return bd.Patches()
    kept = {key: value for key, value in options.items() if name != "map"}
    return bd.methods.create(name, arch=arch, **kept)


def psnr(a, b, peak=1.0):
    return 10 * np.log10(peak**2 / np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [
        ((40,), None),
        ((1, 1), None),
        ((3, 3), None),
        ((1, 50), None),
        ((12, 20), None),
        ((9, 14, 3), -1),
        ((7, 9, 10), 0),
    ],
)
def test_shape_and_type_come_back(method, shape, channel_axis, quick, tiny_arch):
    image = np.random.default_rng(0).uniform(3, 9, shape).astype(np.float32)
    r = bd.denoise(image, sigma=0.5, channel_axis=channel_axis, method=small(method, tiny_arch, samples=3))
    assert r.mean.shape == shape and r.mean.dtype == np.float32
    assert np.isfinite(r.mean).all()
    assert r.samples.shape[1:] == shape
    if method != "map":
        assert r.std.shape == shape and (r.std >= 0).all()
        low, high = r.interval(0.9)
        assert (low <= r.mean).all() and (r.mean <= high).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_every_type_keeps_its_scale(dtype, quick, tiny_arch):
    image = (100 + 80 * smooth_picture((16, 16))).astype(dtype)
    r = bd.denoise(image, sigma=2, method="gp")
    assert r.mean.dtype == dtype
    assert np.abs(r.mean.astype(float) - image.astype(float)).mean() < 4


@pytest.mark.slow
@pytest.mark.parametrize("method", ["patches", "gp", "sgld"])
def test_the_result_follows_shift_and_scale(method, quick, tiny_arch):
    rng = np.random.default_rng(1)
    image = smooth_picture((16, 16)) + rng.normal(0, 0.1, (16, 16))
    options = {"method": small(method, tiny_arch, samples=0), "seed": 3}
    plain = bd.denoise(image, sigma=0.1, **options)
    moved = bd.denoise(1000 + 50 * image, sigma=5.0, **options)
    assert np.allclose(moved.mean, 1000 + 50 * plain.mean, atol=0.5)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_picture_stays_constant(method, quick, tiny_arch):
    r = bd.denoise(np.full((8, 8), 7.0), method=small(method, tiny_arch))
    assert np.abs(r.mean - 7).max() < (0.5 if method in ("patches", "gp") else 7)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_a_run_to_the_bit(method, quick, tiny_arch):
    image = smooth_picture((16, 16)) + np.random.default_rng(0).normal(0, 0.1, (16, 16))
    runs = [bd.denoise(image, 0.1, method=small(method, tiny_arch, samples=2), seed=s) for s in (5, 5, 6)]
    assert np.array_equal(runs[0].mean, runs[1].mean) and np.array_equal(runs[0].samples, runs[1].samples)
    assert not np.array_equal(runs[0].samples, runs[2].samples) or method in ("map", "patches")


def test_known_pixels_come_back_unchanged_and_certain():
    image = (255 * smooth_picture((32, 32), 3)).astype(np.uint8)
    mask = np.random.default_rng(0).random((32, 32)) < 0.5
    r = bd.inpaint(image, mask, channel_axis=-1, method="gp")
    assert np.array_equal(r.mean[~mask], image[~mask])
    assert (r.std[~mask] == 0).all() and (r.std[mask] > 0).all()
    assert psnr(r.mean, image, 255) > 30


@pytest.mark.parametrize("channel_axis", [None, 0])
def test_known_pixels_of_double_precision_come_back_to_the_last_bit(channel_axis):
    image = np.random.default_rng(1).normal(1e3, 0.1, (24, 24)) / 3  # no binary fractions
    image = image if channel_axis is None else np.stack([image, image.T])
    mask = np.zeros((24, 24), dtype=bool)
    mask[5:9, 4:12] = True
    r = bd.inpaint(image, mask, sigma=0, channel_axis=channel_axis, method="gp", samples=2)
    for picture in (r.mean, *r.samples):
        assert picture.dtype == np.float64 and np.array_equal(picture[..., ~mask], image[..., ~mask])


def test_nan_pixels_are_filled_when_asked_for_and_an_error_otherwise():
    image = smooth_picture((24, 24))
    holed = image.copy()
    holed[3:6, 4:9] = np.nan
    holed[20, 20] = np.inf
    with pytest.raises(bd.NonFiniteError, match="16 values"):
        bd.denoise(holed, method="gp")
    r = bd.inpaint(holed, missing="nan", method="gp")
    assert psnr(r.mean, image) > 30


def test_upscale_gives_the_large_picture_that_explains_the_small_one():
    large = smooth_picture((32, 32))
    small = large.reshape(16, 2, 16, 2).mean((1, 3))
    r = bd.upscale(small, 2, kind="area", method="gp")
    assert r.mean.shape == (32, 32)
    assert np.abs(r.mean.reshape(16, 2, 16, 2).mean((1, 3)) - small).max() < 0.02
    assert psnr(r.mean, large) > psnr(np.kron(small, np.ones((2, 2))), large) + 3


def test_deblur_is_sharper_than_its_input():
    from scipy.ndimage import convolve

    rng = np.random.default_rng(0)
    sharp = (smooth_picture((40, 40)) > 0.5).astype(float)
    psf = np.ones((5, 5)) / 25
    blurred = convolve(sharp, psf, mode="mirror") + rng.normal(0, 0.005, sharp.shape)
    r = bd.deblur(blurred, psf, sigma=0.005, method="gp")
    assert psnr(r.mean, sharp) > psnr(blurred, sharp) + 1


def test_restore_takes_any_operator():
    import torch

    truth = smooth_picture((20, 20))
    operator = bd.Mask(torch.rand(20, 20, generator=torch.Generator().manual_seed(0)) < 0.3) @ bd.Blur(
        (20, 20), torch.ones(3, 3) / 9
    )
    y = operator.forward(torch.from_numpy(truth)[None])[0].numpy()
    r = bd.restore(y, operator, bd.Gaussian(0.01), method="gp")
    assert psnr(r.mean, truth) > 25


@pytest.mark.parametrize("noise", [bd.Poisson(), bd.PoissonGaussian(gain=2.0, sigma=3.0, offset=10.0)])
@pytest.mark.parametrize("method", ["gp", "sgld"])
def test_counts_are_denoised(noise, method, quick, tiny_arch):
    import torch

    mean = torch.from_numpy(20 + 60 * smooth_picture((24, 24)))[None]
    y = noise.sample(mean, torch.Generator().manual_seed(0))[0].numpy()
    r = bd.denoise(y, noise=noise, method=small(method, tiny_arch))
    assert r.sigma is None and np.isfinite(r.mean).all()
    if method == "gp":
        assert np.mean((r.mean - mean[0].numpy()) ** 2) < 0.5 * np.mean((y - mean[0].numpy()) ** 2)


@pytest.mark.slow
def test_sgld_denoises_and_its_fit_stays_at_the_noise():
    rng = np.random.default_rng(0)
    clean = smooth_picture((48, 48), 3)
    r = bd.denoise(
        clean + rng.normal(0, 0.1, clean.shape),
        0.1,
        channel_axis=-1,
        method=bd.SGLD(effort="fast", arch=bd.arch.shuffle(scales=2, width=24)),
    )
    assert psnr(r.mean, clean) > 20 + 8
    late = [f for f, s in zip(r.trace["fit"], r.trace["sampling"], strict=True) if s]
    assert 0.9 < np.mean(late) < 1.15
    inside = np.abs(r.mean - clean) < 1.645 * r.std
    # A picture smoother than those that the network expects: its intervals are too long rather than too short.
    assert 0.75 < inside.mean() < 0.997


def test_bad_arguments_are_named():
    image = np.zeros((8, 8))
    for wrong, words in [
        ({"method": "magic"}, "auto, patches, gp, sgld, map, stack"),
        ({"effort": "lazy"}, "fast, balanced, best"),
        ({"method": bd.SGLD(arch="resnet99")}, "resnet99"),
        ({"device": "tpu9"}, "tpu9"),
        ({"method": bd.GP(kernel="nothing")}, "nothing"),
        ({"sigma": -1.0}, "sigma"),
        ({"time_budget": -3}, "time_budget"),
        ({"seed": -1}, "seed"),
        ({"channel_axis": 5}, "channel_axis"),
    ]:
        with pytest.raises(bd.BayesDipError, match=words):
            bd.denoise(image, **wrong)
    with pytest.raises(bd.BayesDipError, match="no pixel is missing"):
        bd.inpaint(image, np.zeros((8, 8), bool))
    with pytest.raises(bd.BayesDipError, match="every pixel is missing"):
        bd.inpaint(image, np.ones((8, 8), bool))
    with pytest.raises(bd.ShapeError, match=r"\(8, 9\)"):
        bd.inpaint(image, np.ones((8, 9), bool))
    with pytest.raises(bd.BayesDipError, match="factor is 0"):
        bd.upscale(image, 0)
    with pytest.raises(bd.BayesDipError, match="complex"):
        bd.denoise(image + 1j)
    with pytest.raises(bd.ShapeError, match="at least one pixel"):
        bd.denoise(np.zeros((0, 4)))


def test_work_that_cannot_fit_is_refused_before_it_starts(monkeypatch):
    from bayesdip import memory

    monkeypatch.setattr(memory, "available_memory", lambda device: 10_000)
    for method in ("patches", "sgld"):
        with pytest.raises(bd.ResourceError, match="GiB are free"):
            bd.denoise(np.zeros((64, 64)), 0.1, method=method)


def test_an_interrupted_run_gives_its_best_so_far(tiny_arch):
    image = smooth_picture((16, 16))
    r = bd.denoise(image, 0.1, method=bd.SGLD(arch=tiny_arch), callback=lambda p: p.step >= 30)
    assert r.stopped == "interrupted" and np.isfinite(r.mean).all()


def test_saving_and_loading_is_a_round_trip(tmp_path):
    image = (255 * smooth_picture((16, 16))).astype(np.uint8)
    r = bd.denoise(image, 10, method="gp", samples=2)
    again = bd.Restoration.load(r.save(tmp_path / "out"))
    assert np.array_equal(again.mean, r.mean) and np.array_equal(again.samples, r.samples)
    assert np.array_equal(again.std, r.std) and again.settings == r.settings and again.trace == r.trace
    with pytest.raises(bd.BayesDipError, match="no restoration"):
        bd.Restoration.load(tmp_path)


def test_importing_the_package_loads_neither_torch_nor_numpy():
    code = "import sys, bayesdip; assert not {'torch', 'numpy', 'scipy'} & set(sys.modules), 'heavy'; bayesdip.denoise"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_samples_go_to_arviz_and_xarray():
    image = (255 * smooth_picture((8, 9), 3)).astype(np.uint8)
    r = bd.denoise(image, 10, channel_axis=-1, method="gp", samples=5)
    assert r.to_arviz().posterior["picture"].shape == (1, 5, 8, 9, 3)
    dataset = r.to_xarray()
    assert dataset["mean"].dims == ("row", "column", "channel")
    assert np.array_equal(dataset["std"].values, r.std)
    assert dataset["samples"].dims == ("sample", "row", "column", "channel")


def test_auto_kernel_says_which_and_why():
    rng = np.random.default_rng(0)
    image = smooth_picture((32, 32)) + rng.normal(0, 0.05, (32, 32))
    r = bd.denoise(image, 0.05, method=bd.GP(kernel="auto"))
    assert r.settings["kernel"] == "auto" and r.info["kernel"] and r.info["why"] and r.info["parameters"]
    plain = bd.denoise(image, 0.05, method=bd.GP(kernel="matern12"))
    # The worse kernel is averaged with the likeliest process, which takes it as far.
    assert psnr(r.mean, smooth_picture((32, 32))) >= psnr(plain.mean, smooth_picture((32, 32))) - 0.5


def test_every_named_kernel_restores():
    image = smooth_picture((24, 24)) + np.random.default_rng(0).normal(0, 0.1, (24, 24))
    for name in bd.kernels.names():
        r = bd.denoise(image, 0.1, method=bd.GP(kernel=name))
        assert psnr(r.mean, smooth_picture((24, 24))) > psnr(image, smooth_picture((24, 24))) + 2, name


def test_a_picture_over_memory_is_restored_in_tiles(monkeypatch):
    from bayesdip.methods import gp

    image = smooth_picture((96, 80))
    mask = np.random.default_rng(0).random(image.shape) < 0.5
    whole = bd.inpaint(image, mask, method=bd.GP(draws=0))
    monkeypatch.setattr(gp, "TILE", 40)
    monkeypatch.setattr(gp, "MARGIN", 16)
    monkeypatch.setattr(gp, "available_memory", lambda device: 10_000)  # too little for the whole
    tiled = bd.inpaint(image, mask, method=bd.GP(draws=0))
    assert tiled.info["tiles"] == 4 and tiled.info["seam_error"] < 0.01
    assert np.sqrt(np.mean((tiled.mean - whole.mean) ** 2)) < 0.01


@pytest.mark.parametrize(
    ("method", "option", "owner"),
    [
        ("gp", "chains", "sgld"),
        ("patches", "samples", "sgld"),
        ("sgld", "kernel", "gp"),
        ("gp", "stop", "map"),
    ],
)
def test_an_option_that_a_method_does_not_have_names_the_one_that_has_it(method, option, owner):
    with pytest.raises(bd.BayesDipError, match=f"{option}=.*method {method!r}.*belongs to .*{owner}"):
        bd.methods.create(method, **{option: 3})


def test_an_option_of_a_method_given_to_a_function_is_refused():
    for method in ("auto", "gp", bd.Patches()):
        name = getattr(method, "name", method)
        with pytest.raises(bd.BayesDipError, match=rf"method '{name}'.*method=SGLD\(chains=4\)"):
            bd.denoise(np.zeros((8, 8)), 0.1, method=method, chains=4)


def test_samples_are_refused_by_a_method_that_has_none():
    with pytest.raises(bd.BayesDipError, match="samples"):
        bd.denoise(np.zeros((8, 8)), 0.1, method="patches", samples=4)


def test_std_is_half_of_the_90_percent_interval():
    image = smooth_picture((48, 48)) + np.random.default_rng(0).normal(0, 0.1, (48, 48))
    r = bd.denoise(image, 0.1, method="gp")
    low, high = r.interval(0.9)
    np.testing.assert_allclose(high - low, 2 * 1.6449 * r.std, rtol=1e-3)
    raw_low, raw_high = r.interval(0.9, calibrated=False)
    np.testing.assert_allclose(raw_high - raw_low, 2 * 1.6449 * r.raw_std, rtol=1e-3)
    assert not np.allclose(r.std, r.raw_std)


def test_a_callback_sees_pictures_in_the_user_s_own_units(tiny_arch):
    image = (100 + 80 * smooth_picture((16, 18), 3)).astype(np.uint8)
    seen = []
    bd.denoise(
        image,
        5,
        channel_axis=-1,
        method=bd.SGLD(arch=tiny_arch, steps=40),
        callback=lambda s: seen.append(s.mean()) if s.mean else None,
    )
    assert seen and all(picture.shape == image.shape and picture.dtype == np.uint8 for picture in seen)
    assert np.abs(seen[-1].astype(float) - image).mean() < 20


def test_a_user_s_own_method_is_judged_and_calibrated_like_ours():
    from dataclasses import dataclass

    from scipy.ndimage import gaussian_filter

    @dataclass(frozen=True, kw_only=True)
    class Smooth(bd.Method):
        width: float = 1.0
        name = "smooth"
        summary = "a Gaussian filter"

        def fit(self, problem, progress):
            import torch

            seen = torch.where(problem.observed, problem.y, problem.y.mean())
            mean = torch.from_numpy(np.stack([gaussian_filter(c, self.width) for c in seen.numpy()]))
            return bd.Posterior(mean, torch.full_like(mean, 0.5))

    rng = np.random.default_rng(0)
    clean = smooth_picture((96, 96))
    r = bd.denoise(clean + rng.normal(0, 0.1, clean.shape), 0.1, method=Smooth(width=2.0))
    assert r.method == "smooth" and r.why.startswith("a Gaussian filter")
    assert r.held_out is not None and r.std.mean() < 0.25 * r.raw_std.mean()
    assert r.settings["width"] == 2.0


def test_a_restoration_shows_itself_in_a_notebook():
    image = (255 * smooth_picture((16, 16))).astype(np.uint8)
    shown = bd.denoise(image, 10, method="gp")._repr_html_()
    assert shown.count("data:image/png") == 2 and "gp" in shown


def test_a_colour_picture_without_its_axis_is_said_to_be_a_volume():
    image = np.random.default_rng(0).normal(100, 10, (12, 10, 3))
    with pytest.warns(UserWarning, match="channel_axis=-1"):
        bd.denoise(image, 10, method="gp")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        bd.denoise(image, 10, method="gp", channel_axis=-1)
        bd.denoise(image[..., 0], 10, method="gp")


def test_pictures_on_the_way_have_the_known_pixels_as_they_came(tiny_arch):
    image = (100 + 80 * smooth_picture((24, 24))).astype(np.uint8)
    missing = np.random.default_rng(0).random(image.shape) < 0.3
    seen = []
    bd.inpaint(
        image,
        missing,
        method=bd.SGLD(arch=tiny_arch, steps=40),
        callback=lambda s: seen.append(s.mean()) if s.mean else None,
    )
    assert len(seen) > 1  # most are of the method, which does not see the held-out ones
    assert all((picture[~missing] == image[~missing]).all() for picture in seen)
