"""The page under many visitors: memory, whether pictures get mixed up, and what a run that is killed does to the others.

``--seeds`` visitors (50) come at once and again and again for ``--time-budget`` seconds (600): each sends a picture of their
own, starts a run, follows it, looks up pixels, and compares what comes back with what was sent. Now and then a run's
process is killed. Needs ``httpx2``.
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from benchmarks.options import Options
from benchmarks.results import Results, Target

VISITORS, SECONDS = 50, 600.0
SIDE, SIGMA = 32, 10
# Seconds between two looks at the server's memory, between two killed runs, and between two questions of a visitor.
MEMORY_EVERY, KILL_EVERY, ASK_EVERY = 2.0, 20.0, 0.7
# Later memory over that of the first minute; a restored picture's correlation with the visitor's own.
MOST_GROWTH, LEAST_ALIKE = 1.2, 0.9


@dataclass
class Seen:
    """What was counted."""

    ended: Counter[str] = field(default_factory=Counter)
    foreign: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)


def run(results: Results, options: Options) -> None:
    """Start the page, let visitors come, and say what was seen."""
    visitors, seconds = options.seeds or VISITORS, options.time_budget or SECONDS
    if not results.has(visitors=visitors, seconds=seconds):
        command = [sys.executable, "-m", "bayesdip", "studio", "--no-browser", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                found = re.search(r"http://\S+", server.stdout.readline())
                assert found is not None
                seen = asyncio.run(visited(found[0].rstrip("/"), server.pid, visitors, seconds))
            finally:
                server.send_signal(signal.SIGTERM)
        results.add(row_of(seen, visitors, seconds))
    row = results.rows[-1]
    results.conclude(
        [
            Target(
                "memory of the server at the end over that of its first minute",
                row["growth"],
                most=MOST_GROWTH,
            ),
            Target("pictures restored, for each visitor", row["restored"] / row["visitors"], least=1),
            Target("pictures of another visitor", row["foreign"], most=0),
            Target("runs that failed without having been killed", row["failed"], most=0),
        ]
    )


def row_of(seen: Seen, visitors: int, seconds: float) -> dict[str, Any]:
    first = [bytes_ for at, bytes_ in seen.memory if at < seconds / 10 + 60]
    last = [bytes_ for at, bytes_ in seen.memory if at > 0.8 * seconds]
    return {
        "visitors": visitors,
        "seconds": seconds,
        "restored": seen.ended["done"],
        "killed": seen.ended["killed"],
        "failed": seen.ended["failed"],
        "foreign": seen.foreign,
        "memory_mib": max(bytes_ for _, bytes_ in seen.memory) / 2**20,
        "growth": float(np.median(last) / np.median(first)),
    }


async def visited(address: str, server: int, visitors: int, seconds: float) -> Seen:
    """All visitors, and those who watch and kill, until the time is over."""
    import httpx2

    seen, until = Seen(), time.monotonic() + seconds
    limits = httpx2.Limits(max_connections=2 * visitors)
    async with httpx2.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
        coming = [visitor(client, number, until, seen) for number in range(visitors)]
        await asyncio.gather(*coming, watch(server, until, seen), kill(server, until, seen))
    return seen


async def visitor(client: Any, number: int, until: float, seen: Seen) -> None:
    """One visitor, who comes again when a run is over."""
    rng = np.random.default_rng(number)
    clean = own_picture(rng)
    while time.monotonic() < until:
        here = "/api/visit/" + (await client.post("/api/visit")).json()["visit"]
        noisy = np.clip(clean + rng.normal(0, SIGMA, clean.shape), 0, 255).astype(np.uint8)
        sent = await client.post(f"{here}/file", params={"name": f"{number}.png"}, content=png(noisy))
        asked = {"task": "denoise", "picture": sent.json()["file"], "sigma": str(SIGMA), "method": "gp"}
        run_key = (await client.post(f"{here}/run", json=asked)).json()["run"]
        state: dict[str, Any] = {"state": "waiting"}
        while state["state"] in ("waiting", "running") and time.monotonic() < until:
            await asyncio.sleep(ASK_EVERY)
            state = (await client.get(f"{here}/run/{run_key}")).json()
        if state["state"] == "done":
            back = (await client.get(f"{here}/run/{run_key}/picture")).content
            restored = np.asarray(Image.open(BytesIO(back))).astype(float)
            seen.foreign += int(np.corrcoef(restored.ravel(), clean.ravel())[0, 1] < LEAST_ALIKE)
            await client.get(f"{here}/run/{run_key}/pixel", params={"row": 3, "column": 5})
        killed = state["state"] == "failed" and "SIGKILL" in state["failed"]["text"]
        if state["state"] in ("done", "failed"):
            seen.ended["killed" if killed else state["state"]] += 1
        await client.post(f"{here}/close")


def own_picture(rng: np.random.Generator) -> NDArray[np.float64]:
    """Waves of directions and lengths that no other visitor has."""
    row, column = np.indices((SIDE, SIDE))
    waves = [
        np.sin(rng.uniform(0.1, 0.5) * row + rng.uniform(0.1, 0.5) * column + rng.uniform(0, 6))
        for _ in range(3)
    ]
    found: NDArray[np.float64] = 128 + 35 * sum(waves)
    return found


def png(levels: NDArray[np.uint8]) -> bytes:
    data = BytesIO()
    Image.fromarray(levels).save(data, "PNG")
    return data.getvalue()


async def watch(server: int, until: float, seen: Seen) -> None:
    """The server's memory and that of the process that looks at files; runs come and go."""
    started = time.monotonic()
    while time.monotonic() < until:
        own = [psutil.Process(server), *others(server, "multiprocessing.spawn")]
        seen.memory.append((time.monotonic() - started, sum(process.memory_info().rss for process in own)))
        await asyncio.sleep(MEMORY_EVERY)


async def kill(server: int, until: float, seen: Seen) -> None:
    """End the oldest process of a run now and then."""
    while time.monotonic() + KILL_EVERY < until:
        await asyncio.sleep(KILL_EVERY)
        running = sorted(others(server, "studio_run"), key=lambda process: process.create_time())
        if running:
            running[0].kill()


def others(server: int, word: str) -> list[psutil.Process]:
    """The server's processes whose command line holds a word."""
    found = []
    for process in psutil.Process(server).children(recursive=True):
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
