"""``bayesdip demo``: three pictures damaged, each restored by the method that suits it, and what is gained by it.

The pictures come inside scikit-image's own package, so nothing is fetched.
"""

from __future__ import annotations

import json
import shlex
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from bayesdip import __version__
from bayesdip.cli import verbs
from bayesdip.cli.noise_choice import NoiseChoice
from bayesdip.cli.options import Options
from bayesdip.cli.restoring import restore
from bayesdip.cli.summary import SCHEMA, WIDTH
from bayesdip.errors import FileError, one_line
from bayesdip.io import Picture, atomic_write, write_picture
from bayesdip.report import PAGE
from bayesdip.report.facts import plain
from bayesdip.result import Restoration
from bayesdip.snapshot import clock

Pixels = NDArray[np.uint8]

MARKER = "demo.json"
MADE_BY = "bayesdip demo"
SIGMA = 25.0
MISSING_SHARE = 0.5
SCRATCH_WIDTH = 5
# Of the disc that is missing, in pixels; and samples that are kept of what may be in it.
HOLE_WIDTH, SAMPLES = 36, 8
# Seconds for everything, so that it ends within three minutes; and how many of them patches may take for each picture. The
# sampled network has the rest.
TOTAL, PATCHES = 155.0, 38.0
# Of intervals whose coverage is counted.
LEVEL = 0.9


@dataclass(frozen=True)
class Scene:
    """A picture, and the damage to it.

    Attributes
    ----------
    name : {"noise", "scattered", "hole"}
    task : {"denoise", "inpaint"}
    damage : str
        In words.
    method : str
        By which it is restored.
    original, damaged : array of uint8
    missing : bool array (M, N) or None
    """

    name: str
    task: str
    damage: str
    method: str
    original: Pixels
    damaged: Pixels
    missing: NDArray[np.bool_] | None = None

    def write(self, folder: Path) -> None:
        """Write the pictures of the scene into a folder, which is made."""
        folder.mkdir(exist_ok=True)
        write_picture(folder / "original.png", self.original, force=True)
        write_picture(folder / "damaged.png", self.damaged, force=True)
        if self.missing is not None:
            write_picture(folder / "mask.png", (255 * self.missing).astype(np.uint8), force=True)

    def restore(self, folder: Path, time_budget: float, seed: int) -> Restoration:
        """Restore what :meth:`write` has written as the command line does; the result goes there, too."""
        mask, source = folder / "mask.png", folder / "damaged.png"
        asked: dict[str, Any] = {"method": self.method, "time_budget": time_budget, "seed": seed}
        if self.method != "auto":
            asked["samples"] = SAMPLES
        own = ["--sigma", f"{SIGMA:g}"] if self.missing is None else ["--mask", str(mask)]
        words = [
            word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        command = ["bayesdip", self.task, str(source), "-o", "restored.png", *own, *words]

        def prepare(picture: Picture) -> verbs.Work:
            if self.missing is None:
                return verbs.denoising(picture, NoiseChoice("gaussian", {"sigma": SIGMA}))
            return verbs.inpainting(picture, verbs.MaskChoice(mask), 0.0)

        options = Options(
            source=source,
            output=folder / "restored.png",
            std=folder / "std.tif",
            report=folder,
            force=True,
            **asked,
        )
        found = restore(self.task, options, prepare, shlex.join(command), f"{self.name}: ").restoration
        for number, sample in enumerate(found.samples if self.method != "auto" else ()):
            write_picture(folder / f"sample-{number + 1}.png", sample, force=True)
        return found


@dataclass(frozen=True)
class Outcome:
    """What came of one scene; PSNR in dB, of 8-bit pictures."""

    scene: Scene
    before: float
    after: float
    restoration: Restoration
    report: Path

    @property
    def uncertainty(self) -> tuple[float, float] | None:
        """Mean standard deviation, where pixels were missing or everywhere, and the share of true values in 90% intervals."""
        found, scene = self.restoration, self.scene
        if found.std is None:
            return None
        here = np.ones(scene.original.shape[:2], bool) if scene.missing is None else scene.missing
        low, high = found.interval(LEVEL)
        held = (low <= scene.original) & (scene.original <= high)
        return float(found.std[here].mean()), float(held[here].mean())

    @property
    def facts(self) -> dict[str, Any]:
        """As plain JSON values."""
        found, uncertainty = self.restoration, self.uncertainty
        return {
            "scene": self.scene.name,
            "task": self.scene.task,
            "method": found.method,
            "why": found.why,
            "psnr_before": round(self.before, 3),
            "psnr_after": round(self.after, 3),
            "mean_std": None if uncertainty is None else round(uncertainty[0], 3),
            "coverage": None if uncertainty is None else round(uncertainty[1], 3),
            "samples": len(found.samples),
            "seconds": round(found.seconds, 2),
            "stopped": found.stopped,
            "folder": str(self.report.parent),
            "report": str(self.report),
        }


def scenes(seed: int) -> list[Scene]:
    """A noisy colour picture, a gray one with half its pixels and a scratch missing, and a colour one with a hole."""
    from skimage import data
    from skimage.transform import resize

    generator = np.random.default_rng(seed)

    def small(picture: Pixels, side: int) -> Pixels:
        found = resize(picture, (side, side), anti_aliasing=True)  # type: ignore[no-untyped-call]
        return np.asarray(np.rint(255 * found), dtype=np.uint8)

    colour = small(data.chelsea()[:, 75:375], 256)  # type: ignore[no-untyped-call]
    noisy = colour + SIGMA * generator.standard_normal(colour.shape)
    gray = small(data.camera(), 256)  # type: ignore[no-untyped-call]
    missing = (generator.random(gray.shape) < MISSING_SHARE) | scratch(gray.shape)
    portrait = small(data.astronaut(), 192)  # type: ignore[no-untyped-call]
    hole = disc(portrait.shape[:2])
    return [
        Scene(
            "noise",
            "denoise",
            f"colour, 256 x 256, noise of sigma {SIGMA:g}",
            "auto",
            colour,
            np.clip(np.rint(noisy), 0, 255).astype(np.uint8),
        ),
        Scene(
            "scattered",
            "inpaint",
            "gray, 256 x 256, half its pixels and a scratch missing",
            "auto",
            gray,
            np.where(missing, 0, gray).astype(np.uint8),
            missing,
        ),
        Scene(
            "hole",
            "inpaint",
            f"colour, 192 x 192, a disc of {HOLE_WIDTH} pixels missing",
            "sgld",
            portrait,
            np.where(hole[..., None], 0, portrait).astype(np.uint8),
            hole,
        ),
    ]


def disc(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A disc right of the middle, at the edge of what stands before the background."""
    rows, columns = np.indices(shape)
    far: NDArray[np.bool_] = np.hypot(rows - 0.55 * shape[0], columns - 0.6 * shape[1]) <= HOLE_WIDTH / 2
    return far


def scratch(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A bent line from the left edge to the right one."""
    rows, columns = np.indices(shape)
    centre = shape[0] * (0.25 + 0.3 * columns / shape[1] + 0.05 * np.sin(7 * columns / shape[1]))
    across: NDArray[np.bool_] = np.abs(rows - centre) <= SCRATCH_WIDTH / 2
    return across


def claim(folder: Path) -> None:
    """Make the folder the demo's own.

    Raises
    ------
    FileError
        It holds something and was not made by the demo, or cannot be made.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
            raise FileError(
                f"{folder}: holds files that are not the demo's; an empty or new folder is expected: "
                "name another one with -o"
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{folder}: cannot be made a folder ({error.strerror}); a writable place is expected: name another one with -o"
        ) from error
    _mark(folder, [])


def run_demo(folder: Path, *, seed: int = 0, quick: bool = False) -> Iterator[Outcome]:
    """Restore the scenes; results are written and given one by one.

    Parameters
    ----------
    folder : Path
        New, empty, or of an earlier demo, whose files are then replaced.
    seed : int
        Of the damage, and of the methods.
    quick : bool
        All by the method that is chosen by itself: without the sampled network, which takes minutes.

    Raises
    ------
    FileError
        The folder holds something else, or cannot be written.
    """
    started = time.monotonic()
    claim(folder)
    outcomes: list[Outcome] = []
    for scene in scenes(seed):
        scene = replace(scene, method="auto") if quick else scene
        left = max(TOTAL - (time.monotonic() - started), 2.0)
        place = folder / scene.name
        scene.write(place)
        found = scene.restore(place, PATCHES if scene.method == "auto" else round(left, 1), seed)
        before, after = psnr(scene.damaged, scene.original), psnr(found.mean, scene.original)
        outcomes.append(Outcome(scene, before, after, found, place / PAGE))
        _mark(folder, outcomes)
        yield outcomes[-1]
        if found.stopped == "interrupted":
            return


def psnr(picture: NDArray[Any], original: Pixels) -> float:
    """Peak signal-to-noise ratio of an 8-bit picture, in dB."""
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(original, picture, data_range=255))  # type: ignore[no-untyped-call]


def _is_ours(folder: Path) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return isinstance(marker, dict) and marker.get("made_by") == MADE_BY
    except (OSError, ValueError):
        return False


def _mark(folder: Path, outcomes: list[Outcome]) -> None:
    content = {"made_by": MADE_BY, "version": __version__, "results": [o.facts for o in outcomes]}
    with atomic_write(folder / MARKER, force=True) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def show_demo(folder: Path, *, quick: bool, seed: int, as_json: bool) -> None:
    """Run the demo and say what came of it."""
    outcomes = []
    for outcome in run_demo(folder, seed=seed, quick=quick):
        outcomes.append(outcome)
        gain = f"{outcome.before:.2f} dB -> {outcome.after:.2f} dB in {clock(outcome.restoration.seconds)}"
        typer.echo(f"{outcome.scene.name} by {outcome.restoration.method}: {gain}", err=True)
    if as_json:
        facts = [outcome.facts for outcome in outcomes]
        content = {"schema": SCHEMA, "task": "demo", "folder": str(folder), "results": facts}
        typer.echo(json.dumps(plain(content), allow_nan=False))
        return
    for outcome in outcomes:
        typer.echo(text_of(outcome))
    if any(outcome.restoration.stopped == "interrupted" for outcome in outcomes):
        typer.echo("interrupted: what was done by then is above")
    typer.echo(f"Pictures and reports are in {one_line(folder)}; open one of these in a browser:")
    for outcome in outcomes:
        typer.echo(f"  {one_line(outcome.report)}")


def text_of(outcome: Outcome) -> str:
    """PSNR before and after, the uncertainty, and why the method ran."""
    found, scene, uncertainty = outcome.restoration, outcome.scene, outcome.uncertainty
    where = "" if scene.missing is None else " where pixels were missing"
    lines = [
        f"{scene.name} ({scene.damage})",
        f"  PSNR         {outcome.before:.2f} dB -> {outcome.after:.2f} dB in {clock(found.seconds)}",
    ]
    if uncertainty is not None:
        std, held = uncertainty
        lines.append(
            f"  uncertainty  std {std:.1f} of 255{where}; 90% intervals hold {100 * held:.0f}% of the true values"
        )
    if scene.method != "auto" and len(found.samples):
        lines.append(
            f"  samples      {len(found.samples)}, of what may have been there: sample-1.png and so on"
        )
    chosen = " (chosen by --method auto)" if scene.method == "auto" else ""
    why = f"  method       {found.method}: {found.why}{chosen}"
    return "\n".join((*lines, *textwrap.wrap(why, WIDTH, subsequent_indent=" " * 15)))
