"""What instruments measure: tomography, magnetic resonance imaging, phase retrieval, mosaics, volumes, beside classical methods.

Each row is the PSNR (the peak is the truth's range) of what a method makes of simulated data and of its rivals, which are
tuned for the truth: filtered back-projection by the best of its windows, total variation by the best of its weights, Richardson
and Lucy's method by the best number of steps, DeepInverse's deep image prior at as much processor time as ours took, or at a half or
a quarter of it. ``coverage`` is the share of the unknown pixels that 90% intervals hold.
``--sides 256`` for pictures of 256x256 pixels; 64 by default, with slices of a real volume besides.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import bayesdip as bd
from bayesdip.operators import (
    ChannelMix,
    FanBeam,
    MaskedFourier,
    MissingTraces,
    Mosaic,
    Operator,
    PhaseRetrieval,
)
from bayesdip.operators import Tomography as Parallel
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.total_variation import squared_norm, total_variation
from benchmarks.untrained_decoder import deep_image_prior

Array = NDArray[Any]

SIDE = 64
# Weights of total variation beside ``|A x - y|^2 / (2 sigma^2)``, for pictures of range 1, and iterations for each.
WEIGHTS = (100.0, 30.0, 15.0, 8.0, 4.0, 2.0, 1.0)
ITERATIONS = 400
WINDOWS = ("ramp", "shepp-logan", "cosine", "hamming", "hann")
STEPS = (5, 10, 20, 40, 80, 160)
LEVEL = 0.9


@dataclass
class Case:
    """Data of a known picture.

    Attributes
    ----------
    operator : Operator
    truth : Tensor, shape (C, *grid)
    sigma : float
        Of the noise.
    rivals : dict of str to callable
        From the data, (C, *output), to pictures, the best of which counts.
    known : bool Tensor, the shape of `truth`, or None
        Pixels that were measured themselves, without noise.
    tv, dip : bool
        Whether total variation and DeepInverse's deep image prior are rivals.
    """

    operator: Operator
    truth: Tensor
    sigma: float
    rivals: dict[str, Callable[[Tensor], list[Tensor]]] = field(default_factory=dict)
    known: Tensor | None = None
    tv: bool = True
    dip: bool = False

    def data(self) -> Tensor:
        """With their noise, zero where nothing is observed."""
        clean = self.operator.forward(self.truth)
        noise = torch.from_numpy(np.random.default_rng(7).normal(0, 1, tuple(clean.shape)))
        return torch.where(self.operator.observed.expand(clean.shape), clean + self.sigma * noise, 0.0)


def run(results: Results, options: Options) -> None:
    """Each case at each size."""
    for side in options.sides or (SIDE,):
        for name, make in (CASES | (REAL if side == SIDE else {})).items():
            wanted = not options.pictures or name in options.pictures
            if not wanted or results.has(case=name, side=side):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results.add({"case": name, "side": side} | row(make(side), options))
    results.conclude(
        least_gain=min(row["psnr"] - row["best_rival"] for row in results.rows),
        coverage=[round(row["coverage"], 3) for row in results.rows],
    )


def saved_options(options: Options) -> dict[str, Any]:
    """Any cases and sides stand in one file."""
    return {"method": options.method, "effort": options.effort, "seed": options.seed}


def row(case: Case, options: Options) -> dict[str, Any]:
    """What is measured of one case."""
    y = case.data()
    found: dict[str, Any] = {}
    rivals = dict(case.rivals)
    if case.tv:
        rivals["total_variation"] = lambda y: _total_variation(y, case)
    for name, restore in rivals.items():
        found[name] = max(quality(x, case) for x in restore(y))
    began = time.process_time()
    r = bd.restore(
        y.numpy(),
        case.operator,
        bd.Gaussian(case.sigma),
        channel_axis=0,
        method=options.method,
        effort=options.effort,
        seed=options.seed,
    )
    seconds = time.process_time() - began
    if case.dip:
        pictures = deep_image_prior(y, case.operator, tuple(case.truth.shape), seconds)
        found["deep_image_prior"] = max(quality(x, case) for x in pictures)
    picture, low, high = (in_channels(x, r.channel_axis) for x in (r.mean, *r.interval(LEVEL)))
    held = ((case.truth >= low) & (case.truth <= high))[~case.known if case.known is not None else ...]
    return {
        "psnr": quality(picture, case),
        "best_rival": max(found.values()),
        **found,
        "coverage": float(held.double().mean()),
        "method": r.method,
        "model": r.info.get("model"),
        "cpu_seconds": seconds,
    }


def _total_variation(y: Tensor, case: Case) -> list[Tensor]:
    shape = tuple(case.truth.shape)
    unit = case.sigma**2 / squared_norm(case.operator, shape)
    return total_variation(y, case.operator, shape, [unit * weight for weight in WEIGHTS], ITERATIONS)


def in_channels(array: Array, axis: int | None) -> Tensor:
    """(C, *grid), in double precision."""
    return torch.from_numpy(array[None] if axis is None else np.moveaxis(array, axis, 0).copy()).double()


def quality(found: Tensor, case: Case) -> float:
    """PSNR in dB; the sign of a picture from intensities is free."""
    signs = (1, -1) if isinstance(case.operator, PhaseRetrieval) else (1,)
    error = min(float((sign * found - case.truth).square().mean()) for sign in signs)
    return float(20 * np.log10(float(case.truth.max() - case.truth.min())) - 10 * np.log10(error))


# --- the data --------------------------------------------------------------------------------------


def phantom(side: int) -> Tensor:
    """Shepp and Logan's, which scikit-image ships: (1, side, side), 0..1."""
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    return torch.from_numpy(resize(shepp_logan_phantom(), (side, side), anti_aliasing=True))[None]


def projections(operator: Operator, side: int, angles: Array | None = None) -> Case:
    """5% noise, of the largest value."""
    truth = phantom(side)
    sigma = 0.05 * float(operator.forward(truth).max())
    if angles is None:
        return Case(operator, truth, sigma, dip=True)

    def back_projected(y: Tensor) -> list[Tensor]:
        from skimage.transform import iradon

        options = {"circle": False, "output_size": side}
        return [
            torch.from_numpy(iradon(y[0].numpy(), angles, filter_name=w, **options))[None] for w in WINDOWS
        ]

    return Case(operator, truth, sigma, {"back_projection": back_projected}, dip=True)


def parallel(views: int, side: int, span: float = 180.0) -> Case:
    """Directions at equal distances over `span` degrees."""
    angles = np.arange(views) * span / views
    return projections(Parallel((side, side), angles), side, angles)


def fan(side: int) -> Case:
    """60 views of a whole turn; the source as far away as the picture is wide, the detector half of that."""
    return projections(FanBeam((side, side), np.arange(60) * 6.0, side, side / 2), side)


def resonance(picture: Array, acceleration: int, coils: int) -> Case:
    """A picture with smooth phases; columns of its frequencies, the lowest among them, with noise of 1% of its largest value."""
    width = picture.shape[1]
    rows, columns = np.indices(picture.shape) / np.reshape(picture.shape, (2, 1, 1)) - 0.5
    rng = np.random.default_rng(acceleration)
    middle = max(4, width // 16)
    kept = np.zeros(width, bool)
    kept[(width - middle) // 2 : (width + middle) // 2] = True
    kept[rng.permutation(np.flatnonzero(~kept))[: width // acceleration - middle]] = True
    turns = np.arange(coils) * 2 * np.pi / coils
    away = [(rows - 0.5 * np.sin(t)) ** 2 + (columns - 0.5 * np.cos(t)) ** 2 for t in turns]
    maps = np.stack([np.exp(-2 * d + 1j * t) for d, t in zip(away, turns, strict=True)])
    maps /= np.sqrt((np.abs(maps) ** 2).sum(0))
    operator = MaskedFourier(np.broadcast_to(kept, picture.shape), maps if coils > 1 else None)
    truth = bd.operators.as_pairs(torch.from_numpy(picture * np.exp(1j * (2 * rows + 1.5 * columns))))
    return Case(operator, truth, 0.01, {"zero_filled": lambda y: [operator.adjoint(y)]}, dip=True)


def brain(index: int) -> Array:
    """A slice of the head that nibabel ships, of 24 of 96x128 pixels; 0..1."""
    import nibabel

    file = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    head = np.asarray(nibabel.load(file).dataobj)[..., 0].astype(float)  # type: ignore[attr-defined]
    return np.clip(head[..., index].T / np.quantile(head, 0.999), 0, 1)


def intensities(side: int) -> Case:
    """Four coded masks, at half of the side; noise of 1% of the mean intensity."""
    truth = phantom(side // 2)
    operator = PhaseRetrieval.coded((side // 2, side // 2), 4, real=True)
    sigma = 0.01 * float(operator.forward(truth).mean())
    return Case(operator, truth, sigma, {"flat": lambda y: [torch.full_like(truth, truth.mean())]}, tv=False)


def mosaic(side: int, sigma: float) -> Case:
    """The Bayer pattern, on a part of scikit-image's ``astronaut``, beside bilinear interpolation of each colour."""
    from scipy.ndimage import convolve
    from skimage.data import astronaut

    truth = torch.from_numpy(astronaut()[20 : 20 + side, 180 : 180 + side] / 255.0).movedim(-1, 0)
    operator = Mosaic((side, side), "RGGB")

    def bilinear(y: Tensor) -> list[Tensor]:
        tent = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
        seen = operator.seen.numpy().astype(float)
        parts = [convolve(y[0].numpy() * s, tent) / convolve(s, tent) for s in seen]
        return [torch.from_numpy(np.stack(parts))]

    return Case(
        operator, truth, sigma, {"bilinear": bilinear}, operator.seen if sigma == 0 else None, tv=False
    )


def mixed(side: int) -> Case:
    """Two bands that are sums of three colours, with noise of 1%."""
    truth = mosaic(side, 0.0).truth
    operator = ChannelMix((side, side), [[0.7, 0.3, 0.0], [0.0, 0.4, 0.6]])
    inverse = torch.linalg.pinv(operator.matrix)
    return Case(
        operator, truth, 0.01, {"pseudo_inverse": lambda y: [torch.einsum("oc,cij->oij", inverse, y)]}
    )


def traces(side: int) -> Case:
    """Reflections of a seismic section; every third trace and some beside it are missing. Beside linear interpolation."""
    when, where = np.indices((side, side), dtype=float) * 64 / side
    truth = np.zeros((side, side))
    for height, start, curve, middle in ((1, 10, 0.005, 30), (0.7, 25, 0.003, 40), (-0.8, 38, 0.004, 20)):
        late = when - start - curve * (where - middle) ** 2
        truth += height * np.exp(-((late / 2.5) ** 2)) * np.cos(late)
    gone = np.arange(side) % 3 == 1
    gone[np.random.default_rng(2).permutation(side)[: side // 10]] = True
    operator = MissingTraces((side, side), gone)

    def linear(y: Tensor) -> list[Tensor]:
        at, known = np.arange(side), np.flatnonzero(~gone)
        return [
            torch.from_numpy(np.stack([np.interp(at, known, line[known]) for line in y[0].numpy()]))[None]
        ]

    return Case(
        operator, torch.from_numpy(truth)[None], 0.0, {"linear": linear}, ~operator.missing[None], tv=False
    )


def volume(side: int) -> Case:
    """Balls in a volume of half the side, a quarter in depth, under an uneven blur, with noise of 2%."""
    shape = (side // 4, side // 2, side // 2)
    place = np.indices(shape, dtype=float)
    rng = np.random.default_rng(4)
    truth = np.zeros(shape)
    for _ in range(14):
        centre, radius = rng.random(3) * shape, 2 + 3 * rng.random()
        distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(place, centre, strict=True)))
        truth = np.maximum(truth, (0.4 + 0.6 * rng.random()) * np.clip(radius - distance + 0.5, 0, 1))
    axes = np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij")
    psf = np.exp(-(axes[0] ** 2 / (2 * 1.8**2)) - (axes[1] ** 2 + axes[2] ** 2) / (2 * 1.2**2))
    psf /= psf.sum()

    def richardson_lucy(y: Tensor) -> list[Tensor]:
        from skimage.restoration import richardson_lucy

        above = np.maximum(y[0].numpy(), 1e-4)
        return [torch.from_numpy(richardson_lucy(above, psf, num_iter=n, clip=False))[None] for n in STEPS]

    return Case(
        bd.Blur(shape, psf),
        torch.from_numpy(truth)[None],
        0.02,
        {"richardson_lucy": richardson_lucy},
        tv=False,
    )


def _of_head(acceleration: int, coils: int, index: int, side: int) -> Case:
    return resonance(brain(index), acceleration, coils)


CASES: dict[str, Callable[[int], Case]] = {
    "CT 45 views": lambda side: parallel(45, side),
    "CT 90 views": lambda side: parallel(90, side),
    "CT 120 degrees": lambda side: parallel(60, side, 120.0),
    "CT fan of 60 views": fan,
    "MRI 4x": lambda side: resonance(phantom(side)[0].numpy(), 4, 1),
    "MRI 4x 4 coils": lambda side: resonance(phantom(side)[0].numpy(), 4, 4),
    "MRI 8x 4 coils": lambda side: resonance(phantom(side)[0].numpy(), 8, 4),
    "phase retrieval": intensities,
    "mosaic": lambda side: mosaic(side, 0.0),
    "mosaic with noise": lambda side: mosaic(side, 0.03),
    "spectral mixing": mixed,
    "missing traces": traces,
    "blurred volume": volume,
}
# Of one size: slices of a real volume.
REAL: dict[str, Callable[[int], Case]] = {
    f"MRI {acceleration}x {coils} coils, slice {index} of a head": partial(
        _of_head, acceleration, coils, index
    )
    for acceleration, coils in ((4, 1), (4, 4), (8, 4))
    for index in (6, 11, 16)
}
