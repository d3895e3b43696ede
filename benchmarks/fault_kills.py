"""Runs that are killed at random moments and done again: each has to come to the bits of a run that was left alone."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np
import psutil
import skimage.restoration  # noqa: F401  the whole program is loaded once, and its copies begin at once
import torch
import torch._dynamo

import bayesdip as bd
from bayesdip import api, arch
from bayesdip.batch_processing import worker_pool
from bayesdip.errors import FileError
from bayesdip.lab.results import Row
from bayesdip.methods import patches, sgld  # noqa: F401
from bayesdip.patches import filter_chain, hbe, multiscale, nl_bayes, pilot  # noqa: F401
from bayesdip.resuming import stages

SIDE, STEPS = 32, 60
# Pictures of a batch.
BATCH = 2
# Seconds between two checkpoints; and between two looks at the time that a run has taken.
INTERVAL, LOOK = 0.05, 0.01
# Seconds that no run of such a picture takes, on a machine that is shared.
LONGEST = 600.0
# What a killed run leaves that the next one goes on from: checkpoints, pictures of a batch, and tiles.
KEPT = ("stage-*.safetensors", "*.npy", "strips/*.safetensors")
NETWORK = arch.skip(scales=2, width=8, skip=2)


def picture(seed: int) -> np.ndarray:
    """Smooth waves with noise of 10."""
    rng = np.random.default_rng(seed)
    down, across = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    clean = 128 + 60 * np.sin(down / rng.uniform(2, 8)) * np.cos(across / rng.uniform(2, 8))
    return clean + rng.normal(0, 10, clean.shape)


def by_map(seed: int, folder: Path) -> list[np.ndarray]:
    """A network fitted by Adam."""
    method = bd.MAP(arch=NETWORK, steps=STEPS, device="cpu", seed=seed)
    return arrays(api.denoise(picture(seed), 10, method=method, resume=folder))


def by_sgld(seed: int, folder: Path) -> list[np.ndarray]:
    """A network's posterior, sampled."""
    method = bd.SGLD(arch=NETWORK, steps=STEPS, samples=4, device="cpu", seed=seed)
    return arrays(api.denoise(picture(seed), 10, method=method, resume=folder))


def by_patches(seed: int, folder: Path) -> list[np.ndarray]:
    """Half of the pixels filled in, by patches of three sizes."""
    missing = np.random.default_rng(seed).random((SIDE, SIDE)) < 0.5
    method = bd.Patches(effort="best", device="cpu", seed=seed)
    return arrays(api.inpaint(picture(seed), missing, method=method, resume=folder))


def by_batch(seed: int, folder: Path) -> list[np.ndarray]:
    """Several pictures by a worker into a folder, by networks that are fitted."""
    bd.batch(
        [picture(seed + n) for n in range(BATCH)],
        "denoise",
        sigma=10,
        method=bd.MAP(arch=NETWORK, steps=STEPS, device="cpu", seed=seed),
        output=folder,
        workers=1,
    )
    return [np.load(folder / f"{n}.npy") for n in range(BATCH)]


def by_tiles(seed: int, folder: Path) -> list[np.ndarray]:
    """A picture in nine tiles, by processes, which are blended; with its standard deviation."""
    shown = np.tile(picture(seed), (4, 4))
    out, std = folder / "out.tif", folder / "std.tif"
    folder.mkdir(exist_ok=True)
    with suppress(FileError):  # it was whole, and was killed before it could say so
        bd.tiled(
            shown, output=out, std=std, sigma=10, method="gp", effort="fast", tile=48, seed=seed, workers=1
        )
    return [bd.io.read_picture(path).pixels for path in (out, std)]


RUNS: dict[str, Callable[[int, Path], list[np.ndarray]]] = {
    "map": by_map,
    "sgld": by_sgld,
    "patches": by_patches,
    "batch": by_batch,
    "tiled": by_tiles,
}


def arrays(found: bd.Restoration) -> list[np.ndarray]:
    """All pictures that a result has."""
    return [a for a in (found.mean, found.std, found.raw_std, found.samples) if a is not None]


def digest(found: list[np.ndarray]) -> str:
    """Of types, shapes and bits."""
    words = hashlib.sha256()
    for array in found:
        words.update(f"{array.dtype} {array.shape}".encode())
        words.update(np.ascontiguousarray(array).tobytes())
    return words.hexdigest()[:32]


def work(name: str, seed: int, folder: Path, connection: Connection) -> None:
    """What a process does: it says when it begins, and at the end what came out and the processor's time that it took."""
    torch.set_num_threads(1)
    stages.INTERVAL, stages.TIMES_ITS_COST, stages.WORTH = INTERVAL, 0.0, 0.0
    # A worker that is a copy of this process has these settings, and is there at once.
    worker_pool.get_context = lambda method: multiprocessing.get_context("fork")
    connection.send("begins")
    began = seconds_of(psutil.Process())
    try:
        found = digest(RUNS[name](seed, folder))
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    connection.send((found, seconds_of(psutil.Process()) - began))


def seconds_of(process: psutil.Process) -> float:
    """The processor's time that a process has taken, with its workers."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children()):
            with suppress(psutil.NoSuchProcess):
                total += sum(one.cpu_times()[:4])
    return total


@dataclass
class Running:
    """A process that does a run."""

    name: str
    seed: int
    folder: Path

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(self.name, self.seed, self.folder, theirs))
        self.process.start()
        theirs.close()
        assert self.connection.recv() == "begins"

    def kill_after(self, seconds: float) -> bool:
        """Kill it, as nothing can be caught, when it has taken that much of the processor; whether it had not ended before."""
        assert self.process.pid is not None
        watched = psutil.Process(self.process.pid)
        until = seconds_of(watched) + seconds
        while not wait([self.connection], LOOK):
            if seconds_of(watched) >= until:
                # With its workers: these copies of it hold the folder's lock, which the program's own workers do not.
                workers = watched.children(recursive=True)
                os.kill(self.process.pid, signal.SIGKILL)
                self.process.join()
                for worker in workers:
                    with suppress(psutil.NoSuchProcess):
                        worker.kill()
                psutil.wait_procs(workers, LONGEST)
                return True
        self.end()
        return False

    def end(self) -> tuple[str, float]:
        """Its result, and how much of the processor it took."""
        found, seconds = self.connection.recv() if wait([self.connection], LONGEST) else ("hangs", LONGEST)
        if found == "hangs":
            self.process.kill()
        self.process.join()
        return found, seconds


@dataclass
class Victim:
    """A run that is killed again and again, and its result and the processor's time when it is left alone."""

    name: str
    seed: int
    folder: Path

    def __post_init__(self) -> None:
        # The first one finds libraries that are not loaded and filters that are not compiled.
        for number in range(2):
            self.wanted, self.seconds = Running(
                self.name, self.seed, self.folder / f"alone-{self.name}-{number}"
            ).end()

    def killed(self, number: int, rng: np.random.Generator) -> Row | None:
        """One kill and what came of it; None where the run was over before."""
        folder = self.folder / f"{self.name}-{number}"
        after = float(rng.uniform(0, self.seconds))
        if not Running(self.name, self.seed, folder).kill_after(after):
            return None
        there = sum(len(list(folder.rglob(name))) for name in KEPT)
        found, seconds = Running(self.name, self.seed, folder).end()
        return {
            "part": "kills",
            "run": self.name,
            "kill": number,
            "after": after,
            "alone": self.seconds,
            "kept": there,
            "resumed_seconds": seconds,
            "same": found == self.wanted,
            **({} if found == self.wanted else {"found": found}),
        }
