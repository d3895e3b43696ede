"""Noise that is not white and Gaussian, on pictures of 8 bits; nothing is told."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
from scipy.ndimage import convolve, gaussian_filter

import bayesdip as bd
from benchmarks.field_cases.case import RMS, Case, psnr
from benchmarks.field_cases.simple import Array, eight_bits, median, non_local_means
from benchmarks.field_cases.source import crop, generator

KIND = "noise that is not white and Gaussian"
SIDE = 96


def salt_and_pepper(share: float, channels: str) -> Case:
    """That share of the pixels is black or white: of a gray picture, of all channels at once, or of each by itself."""
    rng = generator(13)
    truth = crop("camera" if channels == "gray" else "astronaut", 100, 150, SIDE)
    hit = rng.random(truth.shape if channels == "each" else truth.shape[:2])
    given = truth.copy()
    given[hit < share / 2] = 0
    given[hit > 1 - share / 2] = 255
    axis = None if channels == "gray" else -1
    return Case(
        run=lambda: bd.denoise(given, channel_axis=axis),
        truth=truth,
        given=given,
        rival=lambda: median(given, 5 if share > 0.2 else 3),
        rival_name="median filter",
        said=True,
    )


def _photo() -> Array:
    return crop("astronaut", 100, 150, SIDE).astype(np.float64)


def _unwhite(given: Array) -> Case:
    """A colour photograph, against non-local means that is told how large the noise is."""
    truth = crop("astronaut", 100, 150, SIDE)
    size = float(np.sqrt(np.mean((given.astype(np.float64) - truth) ** 2)))
    return Case(
        run=lambda: bd.denoise(given, channel_axis=-1),
        truth=truth,
        given=given,
        rival=lambda: non_local_means(given, size, -1),
        rival_name="non-local means, sigma told",
        intervals=True,
        said=True,
    )


def jpeg(quality: int) -> Case:
    """White noise of 20, then JPEG."""
    from PIL import Image

    noisy = eight_bits(_photo() + generator(14).normal(0, 20, (SIDE, SIDE, 3)))
    return _unwhite(_through_jpeg(Image.fromarray(noisy), quality))


def _through_jpeg(picture: object, quality: int) -> Array:
    from PIL import Image

    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=quality)  # type: ignore[attr-defined]
    return np.asarray(Image.open(stored))


def demosaiced() -> Case:
    """White noise of 20 on the pixels of a Bayer sensor; bilinear interpolation."""
    rng, truth = generator(14), _photo()
    seen = np.zeros(truth.shape)
    for channel, row, column in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        seen[row::2, column::2, channel] = 1
    noisy = seen * (truth + rng.normal(0, 20, truth.shape))
    tent = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])[..., None] / 4.0
    return _unwhite(eight_bits(convolve(noisy, tent) / convolve(seen, tent)))


def resized() -> Case:
    """Noise of 20 that was blurred by one pixel, as in a picture that was made larger."""
    noise = gaussian_filter(generator(14).normal(size=(SIDE, SIDE, 3)), (1, 1, 0))
    return _unwhite(eight_bits(_photo() + 20 * noise / noise.std()))


def rows() -> Case:
    """Each row by an amount of its own, sd 15, and white noise of 5."""
    rng = generator(14)
    stripes = rng.normal(0, 15, (SIDE, 1, 1))
    return _unwhite(eight_bits(_photo() + stripes + rng.normal(0, 5, (SIDE, SIDE, 3))))


def periodic() -> Case:
    """A slanted sine of amplitude 20, and white noise of 5."""
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = 20 * np.sin(2 * np.pi * (0.21 * x + 0.13 * y))[..., None]
    return _unwhite(eight_bits(_photo() + wave + generator(14).normal(0, 5, (SIDE, SIDE, 3))))


def varying() -> Case:
    """White noise whose sd goes from 5 at the left to 40 at the right."""
    size = 5 + 35 * np.arange(SIDE)[None, :, None] / SIDE
    return _unwhite(eight_bits(_photo() + size * generator(14).normal(size=(SIDE, SIDE, 3))))


def low_light(as_jpeg: bool) -> Case:
    """Photon and read noise, blotches of colour, gamma; as a camera writes it in the dark."""
    from PIL import Image

    rng = generator(33)
    light = (_photo() / 255) ** 2.2 * 0.25
    seen = rng.poisson(light * 400) / 400 + rng.normal(0, 0.01, light.shape)
    seen += gaussian_filter(rng.normal(0, 0.03, light.shape), (1.5, 1.5, 0))
    given = (np.clip(seen * 4, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    return _unwhite(_through_jpeg(Image.fromarray(given), 88) if as_jpeg else given)


def white() -> Case:
    """White noise of 20, for comparison: nothing special to be said."""
    case = _unwhite(eight_bits(_photo() + generator(14).normal(0, 20, (SIDE, SIDE, 3))))
    return Case(
        run=case.run, truth=case.truth, given=case.given, rival=case.rival, rival_name=case.rival_name,
        intervals=True,
    )  # fmt: skip


def photon_counts() -> Case:
    """Counts with a mean of 30 where it is brightest, 16 bits: Poisson by itself."""
    truth = crop("camera", 100, 150, SIDE) / 255.0 * 30
    given = generator(3).poisson(truth).astype(np.uint16)

    def anscombe() -> Array:
        return (non_local_means(2 * np.sqrt(given + 0.375), 1.0) / 2) ** 2 - 0.375

    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        given=given,
        rival=anscombe,
        rival_name="Anscombe, non-local means",
        measure=RMS,
        said=True,
    )


def electron_movie() -> Case:
    """Six frames of counts 0 to 3, 8 bits: what lies between whole numbers has to come out as such."""
    from skimage.transform import resize

    mean = 0.02 + 0.25 * resize(crop("camera", 0, 128, 256) / 255.0, (48, 48), anti_aliasing=True)
    truth = np.repeat(mean[None], 6, 0)
    given = generator(5).poisson(truth).astype(np.uint8)
    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        given=given,
        rival=lambda: gaussian_filter(given.astype(np.float64), (2, 2, 2)),
        rival_name="Gaussian filter",
        measure=psnr(0.27),
        said=True,
    )


def noisy_enlarged(kind: str) -> Case:
    """A small picture with noise of 10, or after JPEG, enlarged two times."""
    from PIL import Image

    truth = crop("camera", 100, 150, 96)
    small = np.asarray(Image.fromarray(truth).resize((48, 48), Image.Resampling.LANCZOS))
    if kind == "noise":
        given = eight_bits(small + generator(2).normal(0, 10, small.shape))
    else:
        given = _through_jpeg(Image.fromarray(small), 60)

    def bicubic() -> Array:
        return np.asarray(Image.fromarray(given).resize((96, 96), Image.Resampling.BICUBIC))

    return Case(
        run=lambda: bd.upscale(given, 2), truth=truth, rival=bicubic, rival_name="bicubic", intervals=True
    )


CASES = {
    "5% salt and pepper, gray": partial(salt_and_pepper, 0.05, "gray"),
    "10% salt and pepper, gray": partial(salt_and_pepper, 0.1, "gray"),
    "30% salt and pepper, gray": partial(salt_and_pepper, 0.3, "gray"),
    "10% salt and pepper, colour": partial(salt_and_pepper, 0.1, "all"),
    "30% salt and pepper, colour": partial(salt_and_pepper, 0.3, "all"),
    "10% salt and pepper, each channel": partial(salt_and_pepper, 0.1, "each"),
    "JPEG 75": partial(jpeg, 75),
    "JPEG 90": partial(jpeg, 90),
    "JPEG 95": partial(jpeg, 95),
    "demosaiced": demosaiced,
    "resized": resized,
    "rows": rows,
    "periodic": periodic,
    "varying over the picture": varying,
    "low light": partial(low_light, False),
    "low light, JPEG": partial(low_light, True),
    "white noise": white,
    "photon counts": photon_counts,
    "electron movie": electron_movie,
    "noisy, enlarged": partial(noisy_enlarged, "noise"),
    "JPEG, enlarged": partial(noisy_enlarged, "jpeg"),
}
