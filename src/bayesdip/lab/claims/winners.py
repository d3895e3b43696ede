"""Claims 32 and 34: deep image priors beside BM3D over a set, and which method wins on which picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.baselines import named
from bayesdip.lab.cases import Case, denoising, inpainting
from bayesdip.lab.claim import SIGMA, Claim, Trial, crossed
from bayesdip.lab.fitting import PSNR, Recipe, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots
from bayesdip.lab.results import Row
from bayesdip.lab.sampling import restored_by
from bayesdip.lab.statistics import Criterion, Unit, above, ask, by_unit, level, paired
from bayesdip.methods import GP, MAP, SGLD, Patches
from bayesdip.methods.method import Method
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem

Array = NDArray[Any]
BM3D = "BM3D, tuned"
BEST_STEP, AVERAGE, SAMPLED = DIPS = (
    "fit, best step",
    "fit with noise on the input, average",
    "SGLD",
)
INPUT_NOISE = 1 / 30  # of the deep image prior's authors


def beside_bm3d(trial: Trial) -> Row:
    case = denoising(trial.picture(most=3 * trial.size.side // 4), SIGMA, trial.generator())
    name, steps = trial["method"], trial.size.steps
    if name == BM3D:
        return {"psnr": _tuned(case)}
    if name == SAMPLED:
        method = SGLD(arch=skip(trial.size), steps=steps, seed=trial.seed, samples=0, device="cpu")
        return {"psnr": psnr(restored_by(method, case, SIGMA), case.truth)}
    noise = INPUT_NOISE if name == AVERAGE else 0.0
    found = fit(skip(trial.size), case, Recipe(steps, input_noise=noise), trial.generator(1))
    return {"psnr": max(found.psnr_average) if name == AVERAGE else found.best}


def _tuned(case: Case) -> float:
    """The highest PSNR over the strengths that the library tries: by the truth, as a fit's best step is."""
    problem = Problem(case.y[0], Identity(case.grid), Gaussian(SIGMA))
    bm3d = named("bm3d")
    pictures = (bm3d.restore(problem, value) for value in bm3d.values)
    return max(psnr(picture[None].float(), case.truth) for picture in pictures)


def best_dip_above_bm3d(rows: Sequence[Row]) -> Criterion:
    """Of the deep image priors the one with the highest mean over the set, which may be so by chance: "some" may."""
    best = max(DIPS, key=lambda name: level(rows, "psnr", method=name).mean)
    return ask(PSNR, method=above(best, BM3D), least=0.0)(rows)


METHODS: dict[str, Callable[[Trial], Method]] = {
    "patches": lambda t: Patches(effort="fast", seed=t.seed),
    "gp": lambda t: GP(seed=t.seed),
    "sgld": lambda t: SGLD(
        arch=skip(t.size), steps=t.size.steps // 2, chains=1, seed=t.seed, samples=0, device="cpu"
    ),
    "map": lambda t: MAP(arch=skip(t.size), steps=t.size.steps // 2, seed=t.seed, device="cpu"),
}
TASKS = ("denoise", "inpaint")
FEATURES = ("roughness", "kurtosis", "likeness", "spread")
PATCH = 5


def by_method(trial: Trial) -> Row:
    truth, sigma = trial.picture(reduced=2), SIGMA if trial["task"] == TASKS[0] else 0.0
    generator = trial.generator()
    case = denoising(truth, SIGMA, generator) if sigma else inpainting(truth, 0.5, generator)
    restored = restored_by(METHODS[trial["method"]](trial), case, sigma)
    return {"psnr": psnr(restored, case.truth), **features(case)}


def features(case: Case) -> dict[str, float]:
    """What can be told of a degraded picture without the truth; missing pixels are filled from their nearest known ones.

    Returns
    -------
    dict of str to float
        roughness: what a 3x3 median changes, over the standard deviation. kurtosis: of differences between neighbours.
        likeness: logarithm of the least distance of a patch to another that does not touch it, over the mean distance.
        spread: the standard deviation.
    """
    from scipy.ndimage import distance_transform_edt, median_filter
    from scipy.stats import kurtosis

    y, observed = case.y[0, 0].double().numpy(), case.observed[0, 0].numpy()
    nearest = distance_transform_edt(~observed, return_distances=False, return_indices=True)
    picture = y[tuple(nearest)]
    spread = max(float(picture.std()), 1e-6)
    differences = np.concatenate([np.diff(picture, axis=axis).ravel() for axis in (0, 1)])
    return {
        "roughness": float((picture - median_filter(picture, 3)).std()) / spread,
        "kurtosis": float(np.log(max(kurtosis(differences, fisher=False), 1e-6))),
        "likeness": _likeness(picture),
        "spread": spread,
    }


def _likeness(picture: Array) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(picture, (PATCH, PATCH))[::2, ::2]
    places = np.stack(np.meshgrid(*(np.arange(n) for n in windows.shape[:2]), indexing="ij"), -1).reshape(
        -1, 2
    )
    patches = windows.reshape(len(places), -1)
    squares = np.square(patches).sum(1)
    distances = squares[:, None] + squares[None] - 2 * patches @ patches.T
    touching = np.abs(places[:, None] - places[None]).max(-1) * 2 < PATCH
    least = np.where(touching, np.inf, distances).min(1).clip(1e-12)
    apart = distances[~touching]
    if not apart.size:  # all of a very small picture touches
        return 0.0
    return float(np.log(least.mean() / max(float(apart.mean()), 1e-12)))


def told_above_majority(rows: Sequence[Row]) -> Criterion:
    """PSNR of the method told from a picture's features, above that of what wins most often on the other pictures."""
    gains: dict[Unit, list[float]] = {}
    for task in TASKS:
        for unit, (told, majority, _) in chosen(rows, task).items():
            gains.setdefault(unit, []).append(told - majority)
    return Criterion(
        "PSNR of the method told from the picture above that of the one that wins most often (dB)",
        paired(lambda values: sum(values) / len(values), gains),
        least=0.0,
    )


def chosen(rows: Sequence[Row], task: str) -> dict[Unit, tuple[float, float, float]]:
    """PSNR of the told method, of the majority's, and of the best, for each seed and picture that is left out.

    Told by the nearest of the other pictures in the features, each over its standard deviation among these, with the
    same seed. That picture's winner, and the majority's, are by its own truth.
    """
    quality = {name: by_unit(rows, "psnr", task=task, method=name) for name in METHODS}
    seen = {name: by_unit(rows, name, task=task) for name in FEATURES}
    units = sorted(set.intersection(*(set(column) for column in quality.values())))
    found = {}
    for unit in units:
        others = [u for u in units if u.seed == unit.seed and u.picture != unit.picture]
        if not others:
            continue
        winners = {u: max(METHODS, key=lambda name: quality[name][u]) for u in others}
        told = winners[nearest(unit, others, seen)]
        counts = list(winners.values())
        majority = max(METHODS, key=counts.count)
        own = {name: quality[name][unit] for name in METHODS}
        found[unit] = (own[told], own[majority], max(own.values()))
    return found


def nearest(unit: Unit, others: Sequence[Unit], seen: Mapping[str, Mapping[Unit, float]]) -> Unit:
    """The other picture whose features are nearest."""

    def distance(other: Unit) -> float:
        return sum(
            (column[unit] - column[other]) ** 2 / max(float(np.var([column[u] for u in others])), 1e-12)
            for column in seen.values()
        )

    return min(others, key=distance)


def choices(axes: Any, rows: Sequence[Row]) -> None:
    """What the three choices lose to the best method of each picture, by task."""
    for place, task in enumerate(TASKS):
        found = chosen(rows, task)
        for number, label in enumerate(("told from the picture", "wins most often")):
            losses = {unit: values[2] - values[number] for unit, values in found.items()}
            if losses:
                i = paired(float, losses)
                axes.errorbar(
                    i.mean,
                    place + 0.15 * number,
                    xerr=i.half_width,
                    fmt="o",
                    capsize=3,
                    color=f"C{number}",
                    label=label if place == 0 else None,
                )
    axes.set_yticks(range(len(TASKS)), TASKS)
    axes.set(xlabel="PSNR below the best of the four methods (dB)")
    axes.legend(fontsize=8)


CLAIMS = (
    Claim(
        number=32,
        name="bm3d",
        sentence="Some deep image prior denoises a set of pictures better than tuned BM3D.",
        source="the tables of Cheng et al. 2019 and of later deep image priors, most against BM3D at its defaults",
        varies="a fit at its best step; a fit with noise on its input, the average at its best step; SGLD; BM3D at its best of several strengths",
        measures="PSNR over pictures of three quarters of the side, noise of 25/255; an oracle stops the fits and tunes BM3D; with --data the "
        "pictures are those of its inpaint11 (`python -m benchmarks denoise-sets` has whole sets at their own size)",
        seconds=800,
        conditions=crossed(method=(*DIPS, BM3D)),
        measure=beside_bm3d,
        rules=(best_dip_above_bm3d,),
        panels=(dots(PSNR, "method"), dots(PSNR, "picture")),
        columns=(PSNR,),
        pictures={"quick": 4, "full": 11},
        supported="some deep image prior denoises a set better than tuned BM3D",
        refuted="no deep image prior denoises a set as well as tuned BM3D, not even stopped by an oracle",
    ),
    Claim(
        number=34,
        name="which-method",
        sentence="Which of the four methods is best for a picture can be told from the degraded picture alone.",
        source="the question that a user of this library has",
        varies="the method (at its quickest; networks of the lab's size) and the task: noise of 25/255, half of the pixels missing; pictures of half the side",
        measures="PSNR of the winner on the nearest other picture by four features (roughness, kurtosis of differences, likeness of patches, spread), "
        "above that of what wins on most of the other pictures; each picture is left out in turn",
        seconds=900,
        conditions=crossed(task=TASKS, method=tuple(METHODS)),
        measure=by_method,
        rules=(told_above_majority,),
        panels=(choices, *(dots(PSNR, "method", task=task) for task in TASKS)),
        columns=(PSNR,),
        pictures={"quick": 6, "full": 11},
        supported="a look at the picture's features says which method to take",
        refuted="four features of the picture do not say which method to take, better than always the same: compare them on held-out pixels",
    ),
)
