"""Head to head with other packages, each in a process of its own: same inputs, quality, coverage, time and memory."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from bayesdip.lab.results import Row
from benchmarks.measurement import in_own_process
from benchmarks.options import Options
from benchmarks.peers_worker import CROPS, DIP_CHANNELS, DIP_STEPS, PEERS
from benchmarks.results import Results

OURS = ("bayesdip fast", "bayesdip")
# The module that a peer needs, and the tasks that it has.
ALL = ("noise", "missing", "hole", "blur", "enlarging")
NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bayesdip fast": ("bayesdip", ALL),
    "bayesdip": ("bayesdip", ALL),
    "bm3d": ("bm3d", ("noise",)),
    "scikit-image non-local means": ("skimage", ("noise",)),
    "scikit-image BayesShrink": ("pywt", ("noise",)),
    "OpenCV non-local means": ("cv2", ("noise",)),
    "scikit-image biharmonic": ("skimage", ("missing", "hole")),
    "OpenCV Telea": ("cv2", ("missing", "hole")),
    "scikit-image Richardson-Lucy (tuned)": ("skimage", ("blur",)),
    "scikit-image unsupervised Wiener": ("skimage", ("blur",)),
    "OpenCV Lanczos": ("cv2", ("enlarging",)),
    "deepinv DIP": ("deepinv", ALL),
    "deepinv BM3D": ("deepinv", ("noise",)),
    "CAREamics N2V": ("careamics", ("noise",)),
    "aydin": ("aydin", ("noise",)),
}
SIDE = 96
LIMIT_SECONDS = 1200.0


def run(results: Results, options: Options) -> None:
    """A row for each task, picture and peer; ``--pictures`` takes names of tasks, pictures and peers."""
    missing = {module for module, _ in NEEDS.values() if find_spec(module) is None}
    if missing:
        results.log(f"not installed, left out: {', '.join(sorted(missing))}")
    side = options.crop or SIDE
    for task, picture, peer in jobs(options.pictures):
        key = {"task": task, "picture": picture, "peer": peer}
        if NEEDS[peer][0] not in missing and not results.has(**key):
            asked = {**key, "side": side, "seed": options.seed}
            results.add(key | in_own_process("benchmarks.peers_worker", asked, LIMIT_SECONDS, threads=1))
    results.conclude(
        averages=averages(results.rows),
        ahead_of_us=ahead(results.rows),
        not_measured=not_measured(results.rows),
        deepinv=f"{DIP_CHANNELS} channels, {DIP_STEPS} steps",
    )
    results.log(table(results.rows))


def saved_options(options: Options) -> Row:
    """Any tasks, pictures and peers stand in one file."""
    return {"seed": options.seed, "side": options.crop or SIDE}


def not_measured(rows: list[Row]) -> list[str]:
    """Peers without a row: not installed in any environment whose rows the file holds, or left out by ``--pictures``."""
    return [peer for peer in PEERS if peer not in {row["peer"] for row in rows}]


def jobs(only: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Task, picture and peer; a kind of which something is named is kept to what is named."""
    kinds = (ALL, tuple(CROPS), tuple(PEERS))
    chosen = [tuple(name for name in kind if name in only) or kind for kind in kinds]
    for task in chosen[0]:
        for picture in chosen[1]:
            yield from ((task, picture, peer) for peer in chosen[2] if task in NEEDS[peer][1])


def averages(rows: list[Row]) -> list[Row]:
    """Over the pictures, by task and peer."""
    found = []
    for task, peer in dict.fromkeys((row["task"], row["peer"]) for row in rows):
        own = [r for r in rows if (r["task"], r["peer"]) == (task, peer) and "psnr" in r]
        if own:
            columns = [c for c in ("psnr", "cpu_seconds", "peak_bytes", "coverage90") if c in own[0]]
            means = {c: sum(r[c] for r in own) / len(own) for c in columns}
            found.append({"task": task, "peer": peer, "pictures": len(own)} | means)
    return found


def ahead(rows: list[Row]) -> list[str]:
    """Where a peer's picture is better than both of ours, or as good as our quick one in less time."""
    found = []
    by_key = {(r["task"], r["picture"], r["peer"]): r for r in rows if "psnr" in r}
    for (task, picture, peer), row in by_key.items():
        own = [by_key.get((task, picture, name)) for name in OURS]
        if peer in OURS or None in own:
            continue
        best = max(r["psnr"] for r in own if r)
        if row["psnr"] > best:
            found.append(f"{task}, {picture}: {peer} is {row['psnr'] - best:.2f} dB better")
        elif own[0] and row["psnr"] >= own[0]["psnr"] and row["cpu_seconds"] < own[0]["cpu_seconds"]:
            found.append(f"{task}, {picture}: {peer} is as good as our fast, in less time")
    return found


def table(rows: list[Row]) -> str:
    """Markdown: a line for each task and peer."""
    lines = [
        "| task | by | pictures | PSNR | CPU s | peak MiB | 90% intervals hold |",
        "|---|---|---|---|---|---|---|",
    ]
    for mean in averages(rows):
        held = f"{mean['coverage90']:.0%}" if "coverage90" in mean else "none given"
        cells = [
            mean["task"],
            mean["peer"],
            str(mean["pictures"]),
            f"{mean['psnr']:.2f}",
            f"{mean['cpu_seconds']:.1f}",
        ]
        lines.append("| " + " | ".join([*cells, f"{mean['peak_bytes'] / 2**20:.0f}", held]) + " |")
    return "\n".join(lines)
