"""How long the page takes to be there, and to show a first answer and the last one, in a real browser.

``--seeds`` times (3) a new server is started. Measured are the first paint, from the moment when the server says that it is
ready, and with 512x512 pictures of which 20 scratches are filled in, gray and colour, the time from the click on Start
to the first restored picture on the screen, to the first word of how long the run takes, and to its end. The first
run of a fresh installation compiles numba's code besides: run it twice, and the second one is what is meant here. The
load of the machine just before stands beside each. Needs ``playwright`` and Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from bayesdip.errors import BayesDipError
from benchmarks.options import Options
from benchmarks.results import Results, Target

REPEATS, SCRATCHES = 3, 20
MOST_PAINT, MOST_ANSWER = 2.0, 3.0
# Milliseconds within which each thing that is waited for has to come.
PATIENCE = 600_000
PICTURES = ("camera", "astronaut")
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def run(results: Results, options: Options) -> None:
    """Start the page, look at it, and wait for answers."""
    for repeat in range(options.seeds or REPEATS):
        if not results.has(repeat=repeat):
            for row in visited(repeat):
                results.add(row)
    rows = results.rows
    results.conclude(
        [
            Target("seconds to the first paint, the slowest", max(r["paint"] for r in rows), most=MOST_PAINT),
            Target(
                "seconds from Start to the first answer, the slowest",
                max(r["answer"] for r in rows),
                most=MOST_ANSWER,
            ),
        ]
    )


def visited(repeat: int) -> list[dict[str, Any]]:
    """One server, and a visitor of it."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise BayesDipError(
            "studio-first looks at the page in a browser: expected playwright; pip install playwright"
        ) from error
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise BayesDipError("studio-first looks at the page in a browser: expected Chromium; install it")
    rows = []
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        load = psutil.cpu_percent(1.0)
        command = [sys.executable, "-m", "bayesdip", "studio", "--no-browser", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                found = re.search(r"http://\S+", server.stdout.readline())
                ready = time.perf_counter()
                assert found is not None
                page = browser.new_page()
                page.set_default_timeout(PATIENCE)
                asked = time.perf_counter()
                page.goto(found[0])
                page.wait_for_selector("#examples button")
                paint = asked - ready + page.evaluate(PAINTED) / 1000
                for name in PICTURES:
                    facts = {"repeat": repeat, "picture": name, "paint": paint, "load_before": load}
                    rows.append(facts | answered(page, name, Path(folder)))
                    load = psutil.cpu_percent(1.0)
            finally:
                server.terminate()
    return rows


def answered(page: Any, name: str, folder: Path) -> dict[str, float]:
    """Seconds from Start to the first picture on the screen, and to the end."""
    for role, levels in zip(("picture", "mask"), scratched(name), strict=True):
        Image.fromarray(levels).save(folder / f"{name}-{role}.png")
    page.set_input_files("#picture", folder / f"{name}-picture.png")
    page.wait_for_selector(f"#picture-said:has-text('{name}-picture.png')")
    page.wait_for_selector("#picture-facts:has-text('512')")
    page.check("input[value=inpaint]")
    page.set_input_files("#mask", folder / f"{name}-mask.png")
    page.wait_for_selector("#start:not([disabled])")
    page.wait_for_selector("#plan:has-text('Start runs')")
    begun = time.perf_counter()
    page.click("#start")
    page.wait_for_selector("#viewing:not([hidden])")
    answer = time.perf_counter() - begun
    page.wait_for_selector("#result:not([hidden])")
    return {"answer": answer, "end": time.perf_counter() - begun}


def scratched(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture of scikit-image with white scratches of two pixels, and their mask."""
    from skimage import data
    from skimage.draw import line

    picture: NDArray[np.uint8] = getattr(data, name)().copy()
    mask = np.zeros(picture.shape[:2], np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(SCRATCHES):
        rows, columns = line(*(int(end) for end in rng.integers(0, 511, 4)))  # type: ignore[no-untyped-call]
        mask[rows, columns] = mask[rows + 1, columns] = 255
    picture[mask > 0] = 255
    return picture, mask
