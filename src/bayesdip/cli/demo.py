"""``bayesdip demo``: two pictures damaged, each restored by several methods, and what is gained by it.

The pictures come inside scikit-image's own package, so nothing is fetched.
"""

from __future__ import annotations

import json
import shlex
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from bayesdip import __version__
from bayesdip.cli import verbs
from bayesdip.cli.options import Options
from bayesdip.cli.restoring import restore
from bayesdip.cli.summary import SCHEMA, WIDTH
from bayesdip.errors import FileError, one_line
from bayesdip.io import Picture, atomic_write, write_picture
from bayesdip.progress import clock
from bayesdip.report import PAGE
from bayesdip.report.facts import plain
from bayesdip.result import Restoration

Pixels = NDArray[np.uint8]

MARKER = "demo.json"
MADE_BY = "bayesdip demo"
SIGMA = 25.0
MISSING_SHARE = 0.5
SCRATCH_WIDTH = 5
# Seconds for everything, so that it ends within three minutes; and how many of them a method may take for each picture.
# The last method has the rest: for the noisy picture this share of it.
TOTAL = 155.0
AT_MOST = {"auto": 25.0, "gp": 12.0}
LAST, LAST_SHARE = "sgld", {"denoise": 0.6, "inpaint": 1.0}


@dataclass(frozen=True)
class Scene:
    """A picture, and the damage to it.

    Attributes
    ----------
    task : {"denoise", "inpaint"}
    damage : str
        In words.
    original, damaged : array of uint8
    missing : bool array (M, N) or None
    """

    task: str
    damage: str
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

    def restore(self, folder: Path, method: str, time_budget: float, seed: int) -> Restoration:
        """Restore what :meth:`write` has written as the command line does, into ``folder / method``."""
        place, mask = folder / method, folder / "mask.png"
        place.mkdir(exist_ok=True)
        asked: dict[str, Any] = {"method": method, "time_budget": time_budget, "seed": seed}
        own = ["--sigma", f"{SIGMA:g}"] if self.missing is None else ["--mask", str(mask)]
        words = [
            word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        source = folder / "damaged.png"
        command = ["bayesdip", self.task, str(source), "-o", "restored.png", *own, *words]

        def prepare(picture: Picture) -> verbs.Work:
            if self.missing is None:
                return verbs.denoising(picture, verbs.NoiseChoice("gaussian", {"sigma": SIGMA}))
            return verbs.inpainting(picture, verbs.MaskChoice(mask), 0.0)

        options = Options(
            source=source,
            output=place / "restored.png",
            std=place / "std.tif",
            report=place,
            force=True,
            **asked,
        )
        label = f"{method} {self.task}: "
        return restore(self.task, options, prepare, shlex.join(command), label).restoration


@dataclass(frozen=True)
class Outcome:
    """What one method made of one scene; PSNR in dB, of 8-bit pictures."""

    scene: Scene
    asked: str
    before: float
    after: float
    restoration: Restoration
    report: Path

    @property
    def facts(self) -> dict[str, Any]:
        """As plain JSON values."""
        found = self.restoration
        return {
            "task": self.scene.task,
            "method": found.method,
            "why": found.why,
            "psnr_before": round(self.before, 3),
            "psnr_after": round(self.after, 3),
            "seconds": round(found.seconds, 2),
            "stopped": found.stopped,
            "folder": str(self.report.parent),
            "report": str(self.report),
        }


def scenes(seed: int) -> list[Scene]:
    """The noisy colour picture, and the gray one with half its pixels and a scratch missing."""
    from skimage import data
    from skimage.transform import resize

    generator = np.random.default_rng(seed)
    whole: Pixels = data.chelsea()[:, 75:375]  # type: ignore[no-untyped-call]
    small = resize(whole, (256, 256), anti_aliasing=True)  # type: ignore[no-untyped-call]
    colour = np.rint(255 * small).astype(np.uint8)
    noisy = colour + SIGMA * generator.standard_normal(colour.shape)
    gray: Pixels = data.camera()  # type: ignore[no-untyped-call]
    missing = (generator.random(gray.shape) < MISSING_SHARE) | scratch(gray.shape)
    return [
        Scene(
            "denoise",
            f"colour, 256 x 256, noise of sigma {SIGMA:g}",
            colour,
            np.clip(np.rint(noisy), 0, 255).astype(np.uint8),
        ),
        Scene(
            "inpaint",
            "gray, 512 x 512, half its pixels and a scratch missing",
            gray,
            np.where(missing, 0, gray).astype(np.uint8),
            missing,
        ),
    ]


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
    """Restore both scenes by each method; results are written and given one by one.

    Parameters
    ----------
    folder : Path
        New, empty, or of an earlier demo, whose files are then replaced.
    seed : int
        Of the damage, and of the methods.
    quick : bool
        Without the last method, which takes minutes.

    Raises
    ------
    FileError
        The folder holds something else, or cannot be written.
    """
    started = time.monotonic()
    claim(folder)
    outcomes: list[Outcome] = []
    damaged = scenes(seed)
    for scene in damaged:
        scene.write(folder / scene.task)
    for method in AT_MOST if quick else (*AT_MOST, LAST):
        for scene in damaged:
            left = max(TOTAL - (time.monotonic() - started), 2.0)
            budget = AT_MOST.get(method) or round(LAST_SHARE[scene.task] * left, 1)
            found = scene.restore(folder / scene.task, method, budget, seed)
            before, after = psnr(scene.damaged, scene.original), psnr(found.mean, scene.original)
            page = folder / scene.task / method / PAGE
            outcomes.append(Outcome(scene, method, before, after, found, page))
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
        typer.echo(f"{outcome.restoration.method} {outcome.scene.task}: {gain}", err=True)
    if as_json:
        facts = [outcome.facts for outcome in outcomes]
        content = {"schema": SCHEMA, "task": "demo", "folder": str(folder), "results": facts}
        typer.echo(json.dumps(plain(content), allow_nan=False))
        return
    typer.echo(table(outcomes))
    if any(outcome.restoration.stopped == "interrupted" for outcome in outcomes):
        typer.echo("interrupted: what was done by then is in the table")
    typer.echo(f"Pictures and reports are in {one_line(folder)}; open one of these in a browser:")
    for outcome in outcomes:
        typer.echo(f"  {one_line(outcome.report)}")


def table(outcomes: list[Outcome]) -> str:
    """PSNR before and after in columns, and why each method ran."""
    lines = []
    for scene in {outcome.scene.task: outcome.scene for outcome in outcomes}.values():
        lines += [f"{scene.task} ({scene.damage})", "  method   PSNR before   after    gain      time"]
        own = [outcome for outcome in outcomes if outcome.scene.task == scene.task]
        lines += [
            f"  {o.restoration.method:<7}  {o.before:8.2f} dB {o.after:8.2f} {o.after - o.before:+7.2f} "
            f"{clock(o.restoration.seconds):>9}"
            for o in own
        ]
        for outcome in own:
            why = f"{outcome.restoration.method}: {outcome.restoration.why}"
            chosen = " (chosen by --method auto)" if outcome.asked == "auto" else ""
            lines += textwrap.wrap(why + chosen, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)
