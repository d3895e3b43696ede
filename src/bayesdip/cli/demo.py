"""``bayesdip demo``: two pictures damaged and restored, with what is gained by it.

The pictures come inside scikit-image's own package, so nothing is fetched.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.pictures import psnr
from numpy.typing import NDArray

from bayesdip import __version__
from bayesdip import api as tasks
from bayesdip.errors import FileError
from bayesdip.io import atomic_write, write_picture
from bayesdip.progress import Callback
from bayesdip.report import write_report
from bayesdip.result import Restoration

Pixels = NDArray[np.uint8]
# Shows snapshot of the run of that name; the flag says whether its data are free of noise.
Watch = Callable[[str, bool], AbstractContextManager[Callback]]

MARKER = "demo.json"
METHODS = ("gp", "sgld")
SIGMA = 25.0
# Seconds for everything, so that it ends within three minutes; how many of them gp may take at most
# for each picture; and the share of what is then left that sgld gets for each, in their order.
TOTAL, GP_AT_MOST = 155.0, 25.0
SGLD_SHARE = {"denoise": 0.6, "inpaint": 1.0}
MISSING_SHARE = 0.5
SCRATCH_WIDTH = 5


@dataclass(frozen=True)
class Scene:
    """A picture, and the damage to it.

    Attributes
    ----------
    task : {"denoise", "inpaint"}
    original, damaged : array of uint8
    missing : bool array (M, N) or None
    """

    task: str
    original: Pixels
    damaged: Pixels
    missing: NDArray[np.bool_] | None = None

    @property
    def files(self) -> dict[str, Pixels]:
        """What is written of the scene itself."""
        named = {"original.png": self.original, "damaged.png": self.damaged}
        if self.missing is not None:
            named["mask.png"] = (255 * self.missing).astype(np.uint8)
        return named

    def restore(self, **options: Any) -> Restoration:
        if self.missing is not None:
            return tasks.inpaint(self.damaged, self.missing, **options)
        return tasks.denoise(self.damaged, SIGMA, channel_axis=-1, **options)

    def command(self, folder: Path, options: dict[str, Any]) -> str:
        """The command line that does the same from the files of the demo."""
        words = ["bayesdip", self.task, str(folder / self.task / "damaged.png"), "-o", "restored.png"]
        words += (
            ["--sigma", "25"] if self.missing is None else ["--mask", str(folder / self.task / "mask.png")]
        )
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
        return shlex.join(words)


@dataclass(frozen=True)
class Outcome:
    """What one method made of one scene; PSNR in dB, of 8-bit pictures."""

    task: str
    method: str
    before: float
    after: float
    restoration: Restoration
    folder: Path
    report: Path


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
        Scene("denoise", colour, np.clip(np.rint(noisy), 0, 255).astype(np.uint8)),
        Scene("inpaint", gray, np.where(missing, 0, gray).astype(np.uint8), missing),
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


def run_demo(folder: Path, watch: Watch, *, seed: int = 0, quick: bool = False) -> Iterator[Outcome]:
    """Restore both scenes with ``gp``, then with ``sgld``; results are written and given one by one.

    Parameters
    ----------
    folder : Path
        New, empty, or of an earlier demo, whose files are then replaced.
    watch : callable
        ``watch(label, exact)`` gives a context manager, which gives the snapshot callback.
    seed : int
        Of the damage, and of the methods.
    quick : bool
        With ``gp`` alone, which takes seconds.

    Raises
    ------
    FileError
        The folder holds something else, or cannot be written.
    """
    started = time.monotonic()
    claim(folder)
    outcomes: list[Outcome] = []
    damaged = scenes(seed)
    runs = [(scene, method) for method in (METHODS[:1] if quick else METHODS) for scene in damaged]
    for scene in damaged:
        (folder / scene.task).mkdir(exist_ok=True)
        for name, pixels in scene.files.items():
            write_picture(folder / scene.task / name, pixels, force=True)
    for scene, method in runs:
        left = max(TOTAL - (time.monotonic() - started), 2.0)
        budget = GP_AT_MOST if method == "gp" else round(SGLD_SHARE[scene.task] * left, 1)
        options = {"method": method, "time_budget": budget, "seed": seed}
        with watch(f"{method} {scene.task}: ", scene.missing is not None) as callback:
            restoration = scene.restore(**options, callback=callback)
        outcomes.append(written(folder, scene, method, restoration, scene.command(folder, options)))
        _mark(folder, outcomes)
        yield outcomes[-1]
        if restoration.stopped == "interrupted":
            return


def written(folder: Path, scene: Scene, method: str, restoration: Restoration, command: str) -> Outcome:
    """Write what a method made of a scene."""
    place = folder / scene.task / method
    place.mkdir(exist_ok=True)
    write_picture(place / "restored.png", restoration.mean, force=True)
    if restoration.std is not None:
        write_picture(place / "std.tif", restoration.std, force=True)
    title = "Chelsea the cat, noisy" if scene.missing is None else "The cameraman, half missing and scratched"
    report = write_report(
        place,
        scene.damaged,
        restoration,
        title=f"{title}, by {method}",
        task=scene.task,
        command=command,
        force=True,
        missing=scene.missing,
    )
    before, after = psnr(scene.damaged, scene.original), psnr(restoration.mean, scene.original)
    return Outcome(scene.task, method, before, after, restoration, place, report)


def facts(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain JSON values."""
    return {
        "task": outcome.task,
        "method": outcome.method,
        "psnr_before": round(outcome.before, 3),
        "psnr_after": round(outcome.after, 3),
        "seconds": round(outcome.restoration.seconds, 2),
        "stopped": outcome.restoration.stopped,
        "folder": str(outcome.folder),
        "report": str(outcome.report),
    }


def _is_ours(folder: Path) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return isinstance(marker, dict) and marker.get("made_by") == "bayesdip demo"
    except (OSError, ValueError):
        return False


def _mark(folder: Path, outcomes: list[Outcome]) -> None:
    content = {"made_by": "bayesdip demo", "version": __version__, "results": [facts(o) for o in outcomes]}
    with atomic_write(folder / MARKER, force=True) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
