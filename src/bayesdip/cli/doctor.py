"""``bayesdip doctor``: what is installed, what is missing and for which feature, and what the machine has."""

from __future__ import annotations

import platform
import re
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import typer

from bayesdip import __version__

# What each extra is for, in the words of its guide.
FEATURES = {
    "arviz": "diagnostics and export of samples (ArviZ, xarray)",
    "compare": "OpenCV's and PyWavelets' methods in bayesdip compare",
    "dask": "bayesdip batch on a cluster (--scheduler)",
    "deepinv": "our methods in deepinv, its operators in ours",
    "dicom": "DICOM files",
    "exr": "OpenEXR files",
    "fits": "FITS files",
    "gpytorch": "networks' kernels in GPyTorch",
    "napari": "widgets in napari",
    "nifti": "NIfTI files",
    "pylops": "operators of PyLops",
    "raw": "camera raw files",
    "studio": "the page in the browser (bayesdip studio)",
    "zarr": "Zarr and OME-Zarr folders",
}
# Extras without a feature of their own: several in one, and those for developers.
NOT_FEATURES = ("docs", "formats", "test")


@dataclass(frozen=True)
class Package:
    """A required distribution: its name, the installed version (None: missing), and the extra that asks for it."""

    name: str
    version: str | None
    extra: str | None = None


def packages() -> list[Package]:
    """The distributions that bayesdip's own metadata asks for; of a copy that is not installed, none.

    Returns
    -------
    list of Package
    """
    try:
        texts = requires("bayesdip") or []
    except PackageNotFoundError:
        return []
    asked = [_parsed(text) for text in texts]
    return [
        Package(name, _version(name), extra)
        for name, extra in asked
        if extra not in NOT_FEATURES and name != "bayesdip"
    ]


def _parsed(requirement: str) -> tuple[str, str | None]:
    """The name and the extra of a requirement as metadata write it: ``zarr>=3.0.8; extra == 'zarr'``."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    extra = re.search(r"""extra == ["']([^"']+)["']""", requirement)
    return name[0] if name else requirement, extra[1] if extra else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Python, cores, threads, memory and GPUs.

    Returns
    -------
    dict
        Memory in GiB; what a missing package would tell is left out.
    """
    from bayesdip.processes import cores

    told = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "executable": sys.executable,
        "cores": cores(),
    }
    with suppress(ModuleNotFoundError):
        import psutil

        memory = psutil.virtual_memory()
        told |= {"memory": _gib(memory.total), "memory_free": _gib(memory.available)}
    with suppress(ModuleNotFoundError):
        import torch

        gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        told |= {
            "threads": torch.get_num_threads(),
            "cuda": torch.version.cuda,
            "gpus": [{"name": gpu.name, "memory": _gib(gpu.total_memory)} for gpu in gpus],
        }
    return told


def _gib(size: int) -> float:
    return round(size / 2**30, 1)


def run(*, as_json: bool) -> int:
    """Print what there is; the exit code is 1 if a package is missing without which nothing runs."""
    installed, has = packages(), machine()
    missing = [p.name for p in installed if p.extra is None and p.version is None]
    if as_json:
        import json

        content = {"bayesdip": __version__, "machine": has, "packages": [asdict(p) for p in installed]}
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo("\n".join([*_machine_lines(has), "", *_package_lines(installed)]))
    if missing:
        typer.echo(f"missing: {', '.join(missing)}; pip install {' '.join(missing)}", err=True)
    return 1 if missing else 0


def _machine_lines(has: dict[str, Any]) -> list[str]:
    rows = {
        "bayesdip": __version__,
        "Python": f"{has['python']} ({has['executable']})",
        "system": has["system"],
        "cores": str(has["cores"]),
    }
    if "threads" in has:
        gpus = [f"{gpu['name']}, {gpu['memory']} GiB" for gpu in has["gpus"]]
        none = "none" if has["cuda"] else "none; this torch is built for the CPU alone"
        rows |= {"threads": f"{has['threads']} (OMP_NUM_THREADS sets them)", "GPU": "; ".join(gpus) or none}
    if "memory" in has:
        rows["memory"] = f"{has['memory_free']} of {has['memory']} GiB free"
    return [f"{name:<10}{text}" for name, text in rows.items()]


def _package_lines(installed: list[Package]) -> list[str]:
    if not installed:
        return [
            "bayesdip runs from its source folder: what it needs is known once it is installed (pip install .)"
        ]
    lines = ["needed", *(f"  {p.name:<22}{p.version or 'MISSING'}" for p in installed if p.extra is None)]
    lines += ["", "for one feature"]
    for extra in sorted({p.extra for p in installed if p.extra}):
        needs = [p for p in installed if p.extra == extra]
        absent = [p.name for p in needs if p.version is None]
        state = f"missing: pip install 'bayesdip[{extra}]'" if absent else ""
        there = ", ".join(f"{p.name} {p.version}" for p in needs if p.version)
        lines.append(f"  {extra:<10}{FEATURES.get(extra, extra)}: {state or there}")
    return lines
