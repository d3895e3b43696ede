"""Stacks of slices: restored across slices against slice by slice; a blurred volume by a network in three dimensions.

``--sides Z,N`` sets slices and side (16,96), and a third number the side of the blurred volume (32). The stacks are made of
scikit-image's pictures and of its random blobs, and where nibabel is installed of 24 slices of a head that it ships, with
unclipped noise of 0.1 of their range. ``--data DIR`` adds the volumes in ``DIR/*.npy``, as of ``skimage.data.cells3d()``, which
scikit-image downloads and does not ship.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift
from skimage.restoration import richardson_lucy

import bayesdip as bd
from bayesdip.lab.results import Row
from bayesdip.operators import Blur
from benchmarks.options import Options
from benchmarks.results import Results, Target

Array = NDArray[Any]
SIGMA = 0.1
SIDES = (16, 96, 32)
# Pixels a frame by which a scene moves, and the scene in front of it.
MOTION, OTHER_MOTION = (1.3, -0.7), (-1.1, 1.9)
# Of the blurred volume: the blur's standard deviations, the noise, and how often Richardson-Lucy is tried.
WIDTHS, BLURRED_SIGMA = (2.0, 1.2, 1.2), 0.02
TURNS = (5, 10, 15, 20, 30, 45, 60, 90)
STEPS = {"fast": 300, "balanced": 800, "best": 2500}


def run(results: Results, options: Options) -> None:
    """Noise on each stack, then the blurred volume."""
    slices, side, blurred = (*options.sides, *SIDES[len(options.sides) :])
    for name, make in cases(options.data).items():
        if (options.pictures and name not in options.pictures) or results.has(part="noise", stack=name):
            continue
        results.add({"part": "noise", "stack": name, **noise_row(make(slices, side), options)})
    if not results.has(part="blur") and (not options.pictures or "blur" in options.pictures):
        results.add({"part": "blur", "voxels": f"{blurred}^3", **blur_row(blurred, options)})
    gains = [row["across"] - row["alone"] for row in results.part("noise")]
    found = [row["network"] - row["richardson_lucy"] for row in results.part("blur")]
    targets = [Target("least gain across slices, dB", min(gains), least=1.5)] if gains else []
    targets += [Target("network over Richardson-Lucy, dB", found[0], least=0.0)] if found else []
    results.conclude(targets)


def cases(data: Path | None) -> dict[str, Callable[[int, int], Array]]:
    """What makes each stack, given slices and side; values from 0 to 1."""
    made: dict[str, Callable[[int, int], Array]] = {
        "still": lambda slices, side: np.stack([scene("camera", side, (0, 0))] * slices),
        "moving": moving,
        "two motions": two_motions,
        "blobs": blobs,
    }
    if find_spec("nibabel") is not None:
        made["head"] = head
    for file in sorted(data.glob("*.npy")) if data is not None else []:
        made[file.stem] = lambda slices, side, file=file: middle(np.load(file), slices, side)  # type: ignore[misc]
    return made


def scene(name: str, side: int, moved: tuple[float, float]) -> Array:
    """A part of a picture of scikit-image, moved by so many pixels; the picture goes on mirrored where it is too small."""
    picture = np.asarray(getattr(skimage.data, name)(), float) / 255
    reach = max(40, int(np.ceil(np.abs(moved).max())) + 2)
    top, left = (picture.shape[0] - side) // 2 - 40, (picture.shape[1] - side) // 2
    margin = side + reach
    picture, top, left = np.pad(picture, margin, mode="symmetric"), top + margin, left + margin
    part = picture[top - reach : top + side + reach, left - reach : left + side + reach]
    return shift(part, moved, order=3, mode="nearest")[reach:-reach, reach:-reach]


def moving(slices: int, side: int) -> Array:
    """A scene that moves by the same everywhere."""
    steps = np.arange(slices) - slices / 2
    return np.stack([scene("camera", side, (MOTION[0] * k, MOTION[1] * k)) for k in steps])


def two_motions(slices: int, side: int) -> Array:
    """The same with a disc of another scene in front that moves by itself, so that it hides and shows what is behind."""
    behind, found = moving(slices, side), []
    rows, columns = np.mgrid[:side, :side]
    for k, frame in zip(np.arange(slices) - slices / 2, behind, strict=True):
        down, right = side / 2 + OTHER_MOTION[0] * k, side / 2 + OTHER_MOTION[1] * k
        disc = 1 / (1 + np.exp(np.hypot(rows - down, columns - right) - side / 4))
        found.append(
            frame + disc * (scene("coins", side, (OTHER_MOTION[0] * k, OTHER_MOTION[1] * k)) - frame)
        )
    return np.stack(found)


def blobs(slices: int, side: int) -> Array:
    """scikit-image's random blobs, as a microscope would show them."""
    drawn = skimage.data.binary_blobs(max(slices, side), blob_size_fraction=0.12, n_dim=3, rng=0)
    return gaussian_filter(drawn[:slices, :side, :side].astype(float), 0.8)


def head(slices: int, side: int) -> Array:
    """Slices of a head by magnetic resonance, at most 24 of 128 x 96 voxels; they have a little noise of their own."""
    import nibabel
    from nibabel.testing import data_path

    measured = np.asarray(nibabel.load(Path(data_path) / "example4d.nii.gz").dataobj)[..., 0]
    return middle(np.moveaxis(measured, -1, 0), slices, side)


def middle(volume: Array, slices: int, side: int) -> Array:
    """The middle of a volume (Z, H, W), or of the first channel of one (Z, C, H, W)."""
    volume = np.asarray(volume if volume.ndim == 3 else volume[:, 0], float)
    volume = (volume - volume.min()) / np.ptp(volume)
    starts = [max(0, (n - want) // 2) for n, want in zip(volume.shape, (slices, side, side), strict=True)]
    return volume[tuple(slice(a, a + want) for a, want in zip(starts, (slices, side, side), strict=True))]


def psnr(found: Array, clean: Array) -> float:
    return float(10 * np.log10(1 / np.mean((found - clean) ** 2)))


def noise_row(clean: Array, options: Options) -> Row:
    """PSNR and processor seconds slice by slice and across slices, and how much 90% intervals hold."""
    noisy = clean + SIGMA * np.random.default_rng(options.seed).standard_normal(clean.shape)
    row: Row = {"grid": "x".join(map(str, clean.shape)), "noisy": psnr(noisy, clean)}
    for name, method in (("alone", bd.Patches(across=0)), ("across", bd.Patches())):
        began = time.process_time()
        found = bd.denoise(noisy, method=method, effort=options.effort)
        low, high = found.interval(0.9)
        row[name] = psnr(found.mean, clean)
        row[f"{name}_seconds"] = time.process_time() - began
        row[f"{name}_coverage"] = float(np.mean((low <= clean) & (clean <= high)))
    return row


def blur_row(side: int, options: Options) -> Row:
    """A volume of ellipsoids, blurred and with noise: the best of Richardson-Lucy by its truth, the process, a network."""
    clean, psf = ellipsoids(side), gaussian_psf(WIDTHS)
    blurred = Blur(clean.shape, psf).forward(torch.from_numpy(clean)[None])[0].numpy()
    data = blurred + BLURRED_SIGMA * np.random.default_rng(options.seed + 1).standard_normal(clean.shape)
    edge = psf.shape[0]
    extended = np.pad(np.clip(data, 1e-3, None), edge, mode="symmetric")
    inside = (slice(edge, -edge),) * 3
    tried = {n: richardson_lucy(extended, psf, num_iter=n, clip=False)[inside] for n in TURNS}
    turns, best = max(((n, psnr(found, clean)) for n, found in tried.items()), key=lambda pair: pair[1])
    row: Row = {"data": psnr(data, clean), "richardson_lucy": best, "iterations": turns}
    told: list[bd.progress.Estimate] = []

    def look(snapshot: bd.Snapshot) -> None:
        if snapshot.estimate is not None:
            told.append(snapshot.estimate)

    for name, method in (("gp", bd.GP()), ("network", bd.SGLD(steps=STEPS[options.effort]))):
        began = time.process_time()
        found = bd.deblur(data, psf, sigma=BLURRED_SIGMA, method=method, callback=look)
        low, high = found.interval(0.9)
        row |= {name: psnr(found.mean, clean), f"{name}_seconds": time.process_time() - began}
        row[f"{name}_coverage"] = float(np.mean((low <= clean) & (clean <= high)))
    return row | {"cost_told": str(told[-1])}


def ellipsoids(side: int) -> Array:
    """Bright ellipsoids on a dark ground, with edges of about a voxel."""
    generator = np.random.default_rng(0)
    places = np.stack(np.mgrid[:side, :side, :side], -1).astype(float)
    found = np.full((side,) * 3, 0.05)
    for _ in range(round(10 * (side / 24) ** 3)):
        centre, radii = generator.uniform(3, side - 3, 3), generator.uniform(2, 5, 3)
        distance = np.sqrt((((places - centre) / radii) ** 2).sum(-1))
        found = np.maximum(found, generator.uniform(0.3, 1) / (1 + np.exp(12 * (distance - 1))))
    return found


def gaussian_psf(widths: tuple[float, ...]) -> Array:
    """A Gaussian on 9 voxels an axis, of sum one."""
    point = np.zeros((9,) * len(widths))
    point[(4,) * len(widths)] = 1
    found = gaussian_filter(point, widths)
    return found / found.sum()
