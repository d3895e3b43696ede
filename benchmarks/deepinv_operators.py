"""DeepInverse's own table of operators: our methods beside its pseudo-inverses, on pictures of 32x32 pixels.

The operators are those of the library's tests (``deepinv.tests.test_physics.OPERATORS``), as they are set up there but for
the size of the picture. Data have Gaussian noise of 2% of their largest value. A row is the PSNR of the pseudo-inverse and of
`DeepinvReconstructor`; operators that need a package which is not there are left out, and said, as
are those that are refused, whose ``A_adjoint`` is not the adjoint of their ``A``. Needs ``bayesdip[deepinv]``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bayesdip.adapters import DeepinvReconstructor
from bayesdip.errors import BayesDipError
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results
from benchmarks.torchvision_names import make_importable

SIDE, NOISE = 32, 0.02
# The least that the project set itself.
GOAL = 45


def run(results: Results, options: Options) -> None:
    """Each operator once."""
    make_importable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pytest
        from deepinv.tests.test_physics import OPERATORS, find_operator

        for name in OPERATORS:
            wanted = not options.pictures or name in options.pictures
            if not wanted or results.has(operator=name):
                continue
            try:
                results.add(row(name, find_operator, options))
            except (pytest.skip.Exception, BayesDipError) as reason:
                results.log(f"{name} left out: {reason}")
    better = sum(row["ours"] > row["pseudo_inverse"] for row in results.rows)
    results.conclude(operators=len(results.rows), better=better)


def saved_options(options: Options) -> dict[str, Any]:
    """Any operators stand in one file."""
    return {"method": options.method, "effort": options.effort, "seed": options.seed}


def row(name: str, find_operator: Callable[..., Any], options: Options) -> dict[str, Any]:
    """One operator's."""
    physics, clean, exact = set_up(name, find_operator)
    with torch.no_grad():
        add_noise(physics, exact)
        y = physics(clean)
        theirs = physics.A_dagger(y)
    began = time.process_time()
    model = DeepinvReconstructor(options.method, effort=options.effort, seed=options.seed).eval()
    with torch.no_grad():
        ours = model(y, physics)
    return {
        "operator": name,
        "size": list(clean.shape[1:]),
        "pseudo_inverse": quality(theirs, clean),
        "ours": quality(ours, clean),
        "method": model.results[0].method,
        "model": model.results[0].info.get("model"),
        "cpu_seconds": time.process_time() - began,
    }


def set_up(name: str, find_operator: Callable[..., Any]) -> tuple[Any, Tensor, Any]:
    """The physics, a picture, and its measurements; of the size of the library's tests where it has no other."""
    own = find_operator(name, "cpu")[1]
    for options in ({"imsize": (*own[:-2], SIDE, SIDE)}, {}):
        torch.manual_seed(0)  # some operators draw from torch's own generator
        physics, shape, _, dtype = find_operator(name, "cpu", **options)[:4]
        clean = picture(shape, is_complex=dtype.is_complex).to(dtype)[None]
        try:
            with torch.no_grad():
                return physics, clean, physics.A(clean)
        except RuntimeError:
            if not options:
                raise
    raise AssertionError


def picture(shape: tuple[int, ...], *, is_complex: bool) -> Tensor:
    """A part of scikit-image's ``astronaut``, of any number of channels, axes, and with phases where it is complex."""
    from skimage.data import astronaut

    height, width = shape[-2:]
    frames = shape[1] if len(shape) == 4 else 1
    colours = torch.from_numpy(astronaut()[95:, 195:] / 255.0).movedim(-1, 0)
    found = torch.stack([colours[:, n : n + height, n : n + width] for n in range(frames)], 1)
    channels = torch.linspace(0, 2, shape[0]) if shape[0] > 1 else torch.tensor([1.0])
    low = channels.floor().long().clamp(max=1)
    share = (channels - low).reshape(-1, 1, 1, 1)
    found = found[low] * (1 - share) + found[low + 1] * share
    found = found.reshape(shape)
    if not is_complex:
        return found
    down, across = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.polar(found, (down + 2 * across).double().expand(shape))


def add_noise(physics: Any, exact: Any) -> None:
    """Give the physics, or those it is stacked of, Gaussian noise."""
    from deepinv.physics import GaussianNoise

    parts = [exact] if isinstance(exact, Tensor) else list(exact)
    holders = [physics] if isinstance(exact, Tensor) else list(physics.physics_list)
    for number, (holder, part) in enumerate(zip(holders, parts, strict=True)):
        generator = torch.Generator().manual_seed(10 + number)
        holder.noise_model = GaussianNoise(NOISE * float(part.abs().max()), rng=generator)


def quality(found: Tensor, clean: Tensor) -> float:
    """PSNR in dB, of real pictures cut to 0..1."""
    if not clean.is_complex():
        return psnr(found, clean.double())
    return float(-10 * (found - clean).abs().square().mean().log10())
