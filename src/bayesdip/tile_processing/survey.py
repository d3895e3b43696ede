"""What is found out once for a whole array, from a sample of it: its noise, the method, and how error bars are calibrated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip import methods, no_data
from bayesdip.calibration import Calibration, HeldOut, averaged
from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding
from bayesdip.inputs import Inputs
from bayesdip.io.stored import StoredArray
from bayesdip.methods import Method
from bayesdip.methods.registry import with_options
from bayesdip.noise import Gaussian
from bayesdip.noise.doubtful import doubtful_finding
from bayesdip.rim import finding as narrow_mask
from bayesdip.rim import too_narrow_by
from bayesdip.tile_processing.plan import Plan, Region, seed_of, to_picture
from bayesdip.tile_processing.regions import mask_region
from bayesdip.tile_processing.tile_restoration import Known, Request, inputs_of, missing_of, restored

Array = NDArray[Any]
# By the number of axes that are searched across: sides of the regions by which the noise is found, and of those that are
# restored to find the calibration.
NOISE_SIDES = {1: 4096, 2: 256, 3: 48}
CALIBRATION_SIDES = {1: 8192, 2: 384, 3: 64}
# How many regions of each there are: 16 of 256x256 have a million pixels, whose noise level has a standard error of 0.1%. Of the
# others one for so many tiles, for they are restored twice.
NOISE_REGIONS, CALIBRATION_REGIONS, TILES_OF_A_REGION = 16, 8, 8
# Regions are looked at up to so many times their number to find some with known, or with missing, pixels.
LOOKS = 16
IMPULSES = ("salt and pepper", "hot pixels")
# What is subtracted, and has a place in the whole that regions side by side do not have.
OFFSETS = ("stripes", "periodic noise")
SAMPLE, TILE = 1, 0  # what a seed is for


@dataclass(frozen=True)
class Sample:
    """Regions of one group that were read.

    Attributes
    ----------
    regions : list of Region
    pixels, gone : list of ndarray
        As pictures, and what is missing in them.
    """

    regions: list[Region]
    pixels: list[Array]
    gone: list[NDArray[np.bool_]]


@dataclass(frozen=True)
class SampleTask:
    """A region that is restored for its calibration, by a worker."""

    pixels: Array
    gone: NDArray[np.bool_]
    request: Request
    known: Known
    channels: bool
    seed: int

    def __call__(self, tell: Callable[[float], None]) -> dict[str, Any]:
        """The calibration as plain values; None where there is none."""
        found = restored(self.pixels, self.gone, self.request, self.known, self.channels, self.seed).found
        calibration = None if found is None else found.calibration
        usable = calibration is not None and not calibration.simulated
        return {
            "calibration": to_json(calibration) if usable and calibration is not None else None,
            "real": found is not None and found.mean.dtype.kind == "f",
        }


def to_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as plain JSON values, without its held-out pixels."""
    arrays = {
        name: array.tolist()
        for name, array in calibration.to_arrays().items()
        if not name.startswith("held_out_")
    }
    return {"facts": calibration.summary(), "arrays": arrays}


def from_json(stored: dict[str, Any]) -> Calibration:
    """What :func:`to_json` gave."""
    arrays = {name: np.asarray(values) for name, values in stored["arrays"].items()}
    empty = {f"held_out_{name}": np.zeros((1, 0)) for name in ("mean", "std", "low", "high")}
    return Calibration.of(stored["facts"], {**arrays, **empty, "held_out_places": np.zeros(0, np.int64)})


def noise_sample(
    source: StoredArray, mask: StoredArray | None, plan: Plan, request: Request, group: int
) -> Sample:
    """Regions from all over a group, most of whose pixels are known.

    Raises
    ------
    BayesDipError
        There is none.
    """
    side = NOISE_SIDES[len(plan.roles.across)]
    found = _drawn(source, mask, plan, request, group, side, NOISE_REGIONS, lambda gone: gone.mean() < 0.5)
    if not found.pixels:
        found = _drawn(source, mask, plan, request, group, side, NOISE_REGIONS, lambda gone: not gone.all())
    if not found.pixels:
        raise BayesDipError(
            "every pixel is missing in the sample of regions: expected known ones; check the mask and what marks missing pixels"
        )
    return found


def no_data_values(source: StoredArray, plan: Plan, request: Request) -> tuple[float, ...]:
    """Values that stand for no data in some region of a sample, as ``missing="auto"`` finds them."""
    if request.missing not in ("auto", "nan"):
        return ()
    generator = np.random.default_rng([request.seed, SAMPLE])
    side, found = NOISE_SIDES[len(plan.roles.across)], set[float]()
    for group in range(plan.groups):
        for region in plan.cells(side, group, NOISE_REGIONS, generator):
            found |= set(no_data.find(source.read(region), "auto")[1])
    return tuple(sorted(value for value in found if np.isfinite(value)))


def refuse_doubtful(mask: StoredArray, plan: Plan, request: Request) -> None:
    """Raise where a mask takes most of the array away: then it may be black on white.

    Raises
    ------
    BayesDipError
    """
    generator = np.random.default_rng([request.seed, SAMPLE])
    side, names = NOISE_SIDES[len(plan.roles.across)], plan.description.names
    regions = plan.cells(side, 0, NOISE_REGIONS, generator)
    share = float(np.mean([mask_region(mask, names, region).mean() for region in regions]))
    if share > 0.5:
        raise BayesDipError(
            f"the mask takes {share:.0%} of the array for missing, so it may be black on white: expected an answer; give "
            "invert_mask=True or False (--invert-mask or --no-invert-mask)"
        )


def calibration_sample(
    source: StoredArray, mask: StoredArray | None, plan: Plan, request: Request, group: int
) -> Sample:
    """Regions to be restored for their calibration: none where the whole is one tile, which has its own."""
    tiles = plan.count() // plan.groups
    count = 0 if tiles < 2 else min(CALIBRATION_REGIONS, max(2, tiles // TILES_OF_A_REGION))
    side = CALIBRATION_SIDES[len(plan.roles.across)]
    fits = (
        (lambda gone: gone.any() and not gone.all())
        if request.task == "inpaint"
        else lambda gone: gone.mean() < 0.5
    )
    found = _drawn(source, mask, plan, request, group, side, count, fits)
    if count and not found.pixels and request.task == "inpaint":
        found = _drawn(source, mask, plan, request, group, side, count, lambda gone: not gone.all())
    return found


def _drawn(
    source: StoredArray,
    mask: StoredArray | None,
    plan: Plan,
    request: Request,
    group: int,
    side: int,
    count: int,
    fits: Callable[[NDArray[np.bool_]], bool],
) -> Sample:
    sample = Sample([], [], [])
    if not count:
        return sample
    generator = np.random.default_rng([request.seed, SAMPLE, group, side])
    for region in plan.cells(side, group, LOOKS * count, generator):
        pixels, gone = read_picture_region(source, mask, plan, request, region)
        if fits(gone):
            sample.regions.append(region)
            sample.pixels.append(pixels)
            sample.gone.append(gone)
        if len(sample.pixels) == count:
            break
    return sample


def read_picture_region(
    source: StoredArray, mask: StoredArray | None, plan: Plan, request: Request, region: Region
) -> tuple[Array, NDArray[np.bool_]]:
    """A region as a picture, and what is missing in it."""
    names = plan.description.names
    pixels = to_picture(source.read(region), names, plan.roles)
    masked = None if mask is None else to_picture(mask_region(mask, names, region), names, plan.roles)
    if masked is not None:
        masked = np.broadcast_to(masked ^ request.invert_mask, pixels.shape)
    return pixels, missing_of(pixels, masked, request)


def noise_of(sample: Sample, request: Request, channels: bool) -> tuple[Known, tuple[Finding, ...], Inputs]:
    """The noise of a group, from its regions side by side."""
    pixels = np.concatenate(sample.pixels)
    gone = np.concatenate(sample.gone)
    grow, said = _narrow(sample, request, channels)
    marked = gone
    if request.task == "inpaint" and not gone.any():
        marked = gone.copy()
        marked.reshape(-1)[0] = True  # filling in needs a missing pixel; the noise is that of the others
    inputs = inputs_of(pixels, marked, request, None, channels)
    findings = tuple(_of_tiles(f) for f in inputs.findings if f.kind not in ("no data", "mask"))
    kinds = {finding.kind for finding in findings}
    noise = inputs.noise
    varies = isinstance(noise, Gaussian) and not isinstance(noise.sigma, float | int | tuple)
    offset = bool(kinds & set(OFFSETS)) or _have_offsets(sample, request, channels)
    if varies or offset:
        text = (
            "the noise varies over the array, or has stripes or waves: each tile finds its own noise; sigma= sets one "
            "for all"
        )
        findings = (Finding("noise by tiles", text),)
    known = Known(
        None if varies or offset else noise,
        with_options(_method_for(inputs, request), **request.options),
        keeps_known=inputs.problem.keeps_known,
        shares_noise=inputs.problem.shares_noise,
        impulses=bool(kinds & set(IMPULSES)),
        grow=grow,
    )
    return known, (*findings, *said), inputs


def _of_tiles(finding: Finding) -> Finding:
    """What is otherwise said of whole pictures."""
    if finding.kind != "doubtful noise":
        return finding
    return doubtful_finding(tuple(finding.facts["sigma"]), in_tiles=True)


def _have_offsets(sample: Sample, request: Request, channels: bool) -> bool:
    """Whether most regions by themselves show what is to be subtracted, which regions side by side do not share."""
    if request.task != "denoise" or request.noise is not None or request.sigma not in (None, "auto"):
        return False
    some = list(zip(sample.pixels, sample.gone, strict=True))[:3]
    shown = [
        any(f.kind in OFFSETS for f in inputs_of(pixels, gone, request, None, channels).findings)
        for pixels, gone in some
    ]
    return sum(shown) > len(shown) / 2


def _narrow(sample: Sample, request: Request, channels: bool) -> tuple[int, tuple[Finding, ...]]:
    """By how many pixels the mask is too narrow, as most regions with damage say."""
    if request.task != "inpaint" or not request.grow_mask or channels or sample.pixels[0].ndim != 2:
        return 0, ()
    votes = [
        too_narrow_by(pixels[None].astype(np.float64), gone)
        for pixels, gone in zip(sample.pixels, sample.gone, strict=True)
        if gone.any()
    ]
    grow = Counter(votes).most_common(1)[0][0] if votes else 0
    return grow, (narrow_mask(grow),) if grow else ()


def _method_for(inputs: Inputs, request: Request) -> Method:
    """The one that was asked for, or that suits the sample."""
    if isinstance(request.method, Method):
        return request.method
    if request.method != "auto":
        return methods.create(request.method)
    effort = request.options.get("effort") or "balanced"
    return methods.choose(inputs.problem, effort).method


def tasks_of(
    sample: Sample, request: Request, known: Known, channels: bool, group: int
) -> Iterator[SampleTask]:
    """Restoring the regions of a sample."""
    for number, (pixels, gone) in enumerate(zip(sample.pixels, sample.gone, strict=True)):
        yield SampleTask(pixels, gone, request, known, channels, seed_of(request.seed, SAMPLE, group, number))


def calibrated(known: Known, found: list[dict[str, Any]]) -> Known:
    """With the average of the calibrations of a sample's regions, by their numbers of held-out values."""
    told = [from_json(one["calibration"]) for one in found if one["calibration"] is not None]
    real = bool(found) and all(one["real"] for one in found)
    if not told:
        return replace(known, real=real)
    nothing = HeldOut(np.zeros(0, np.int64), *(np.zeros((1, 0)) for _ in range(4)))
    return replace(known, real=real, calibration=averaged([(float(one.count), one) for one in told], nothing))
