"""A method as a reconstructor of DeepInverse: ``model(y, physics)``.

Nothing of the library is imported: a physics and its noise model are known by their methods and names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bayesdip.api import restore
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise import Gaussian, Laplace, Noise, Poisson, PoissonGaussian, Speckle
from bayesdip.operators.deepinv_physics import Form, from_deepinv, is_linear
from bayesdip.result import Restoration


class DeepinvReconstructor(torch.nn.Module):
    """Restores measurements of a DeepInverse physics, as its own reconstructors do: ``x = model(y, physics)``.

    There is nothing to train and nothing to load: ``eval()`` and ``no_grad()`` change nothing, and no gradient passes
    through it. Every picture of a batch is restored by itself, with its own parameters of the physics.

    Parameters
    ----------
    method : str or Method
        As for :func:`bayesdip.restore`.
    noise : Noise, optional
        The noise on the measurements. None: that of ``physics.noise_model``, which is Gaussian, Poisson, both, Laplace,
        gamma or none.
    img_size : sequence of int, optional
        Shape of a picture, channels first, for a physics that does not say it: one that is not linear and has no
        ``img_size``.
    **options
        As for :func:`bayesdip.restore`: ``effort``, ``seed``, ``time_budget``, ...

    Attributes
    ----------
    results : list of Restoration
        Of the pictures of the latest batch: standard deviations, intervals, and what ran. Pictures stand in them with
        channels last, complex ones with twice as many.

    Examples
    --------
    >>> import deepinv, bayesdip as bd                                       # doctest: +SKIP
    >>> physics = deepinv.physics.Inpainting((3, 64, 64), mask=0.5)          # doctest: +SKIP
    >>> x = bd.adapters.DeepinvReconstructor()(physics(clean), physics)      # doctest: +SKIP
    """

    def __init__(
        self, method: Any = "auto", *, noise: Noise | None = None, img_size: Any = None, **options: Any
    ) -> None:
        super().__init__()
        self.method = method
        self.noise = noise
        self.img_size = None if img_size is None else tuple(int(n) for n in img_size)
        self.options = options
        self.results: list[Restoration] = []

    def forward(self, y: Any, physics: Any, **kwargs: Any) -> Tensor:
        """Restore a batch.

        Parameters
        ----------
        y : Tensor or TensorList, shape (B, ...)
            What the physics measured.
        physics : deepinv.physics.Physics
        **kwargs
            Ignored, as by other reconstructors.

        Returns
        -------
        Tensor, shape (B, C, *grid)
            On the device and in the precision of the measurements; complex where the physics takes complex pictures.

        Raises
        ------
        BayesDipError
            The physics, or its noise, is none that can be used.
        ShapeError
            The shape of a picture is not known.
        """
        with torch.inference_mode(False), torch.enable_grad():
            form, own = Form.of(y), _plain(y)
            shape, is_complex = self._picture(own, physics)
            found, self.results = [], []
            count = len(own if isinstance(own, Tensor) else own[0])
            for number in range(count):
                single = _Single(physics, number, count, (shape, is_complex))
                operator = from_deepinv(single, shape[1:], input_channels=shape[0], is_complex=is_complex)
                data = form.joined(_item(own, number))
                gain, noise = 1.0, self.noise
                if noise is None:
                    gain, noise = _noise(physics, number, form, data)
                parts = torch.cat([data.real, data.imag], 1) if data.is_complex() else data
                result = restore(
                    (gain * parts[0]).cpu().double().numpy(),
                    operator,
                    noise,
                    method=self.method,
                    channel_axis=0,
                    **self.options,
                )
                self.results.append(result)
                found.append(_as_picture(result, shape, is_complex))
        like = y if isinstance(y, Tensor) else y[0]
        real = torch.stack(found).to(like.device)
        precision = like.real.dtype if like.is_complex() else like.dtype
        if is_complex:
            return torch.complex(*real.to(precision).chunk(2, 1))
        return real.to(precision)

    def _picture(self, y: Any, physics: Any) -> tuple[tuple[int, ...], bool]:
        """Shape of a picture, channels first, and whether it is complex."""
        names = {owner.__name__ for owner in type(physics).__mro__}
        if is_linear(physics):
            with torch.no_grad():
                start = physics.A_adjoint(y)
            if not isinstance(start, Tensor):
                raise ShapeError(
                    f"{type(physics).__name__} has pictures that are {type(start).__name__}: expected tensors; such a "
                    "physics cannot be used"
                )
            return tuple(start.shape[1:]), start.is_complex()
        shape = self.img_size or getattr(physics, "img_size", None)
        if shape is None:
            raise ShapeError(
                f"{type(physics).__name__} does not say what shape its pictures have: expected img_size; give "
                "img_size=(C, M, N) to DeepinvReconstructor"
            )
        return tuple(int(n) for n in shape), "PhaseRetrieval" in names


class _Single(torch.nn.Module):
    """The physics of one picture of a batch, on batches of any number of such pictures."""

    def __init__(self, physics: Any, number: int, count: int, picture: tuple[tuple[int, ...], bool]) -> None:
        super().__init__()
        self.physics, self.number, self.count = physics, number, count
        self.alike = count == 1 or _treats_alike(physics, count, picture)
        if is_linear(physics):
            self.A_adjoint = self._adjoint

    def A(self, x: Tensor) -> Any:
        """Of (b, C, *grid)."""
        return self._on_each(self.physics.A, x)

    def _adjoint(self, y: Any) -> Any:
        return self._on_each(self.physics.A_adjoint, y)

    def _on_each(self, f: Callable[[Any], Any], given: Any) -> Any:
        if self.alike:
            return f(given)
        size = len(given) if isinstance(given, Tensor) else len(given[0])
        found = [self._alone(f, given, i) for i in range(size)]
        if isinstance(found[0], Tensor):
            return torch.cat(found)
        return type(found[0])([torch.cat(parts) for parts in zip(*found, strict=True)])

    def _alone(self, f: Callable[[Any], Any], given: Any, i: int) -> Any:
        """Entry `i` of the batch in the place of this picture, and what comes of it."""
        batch = _mapped(given, lambda part: part[i : i + 1].expand(self.count, *part.shape[1:]))
        return _mapped(f(batch), lambda part: part[self.number : self.number + 1])


def _treats_alike(physics: Any, count: int, picture: tuple[tuple[int, ...], bool]) -> bool:
    """Whether the pictures of a batch are all measured in the same way."""
    shape, is_complex = picture
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    own = [*physics.buffers(), *physics.parameters()] if isinstance(physics, torch.nn.Module) else []
    x = (x.to(torch.complex64) if is_complex else x).to(own[0].device if own else "cpu")
    with torch.no_grad():
        found = physics.A(x.expand(count, *shape))
        alone = physics.A(x[None])
    pairs = zip(*([part] if isinstance(part, Tensor) else part for part in (found, alone)), strict=True)
    return all(
        len(one) == 1 and torch.allclose(all_, one.expand_as(all_), rtol=1e-4, atol=1e-6)
        for all_, one in pairs
    )


def _mapped(y: Any, f: Callable[[Tensor], Tensor]) -> Any:
    return f(y) if isinstance(y, Tensor) else type(y)([f(part) for part in y])


def _plain(y: Any) -> Any:
    """The measurements as ordinary tensors, also of inference mode."""
    return _mapped(y, lambda part: part.detach().clone())


def _item(y: Any, number: int) -> Any:
    return _mapped(y, lambda part: part[number : number + 1])


def _as_picture(result: Restoration, shape: tuple[int, ...], is_complex: bool) -> Tensor:
    """(C, *grid), or twice as many channels of a complex picture."""
    mean = np.asarray(result.mean, dtype=np.float64)
    mean = mean[None] if result.channel_axis is None else np.moveaxis(mean, result.channel_axis, 0)
    assert mean.shape == ((2 if is_complex else 1) * shape[0], *shape[1:])
    return torch.from_numpy(np.ascontiguousarray(mean))


def _noise(physics: Any, number: int, form: Form, data: Tensor) -> tuple[float, Noise]:
    """What to multiply the measurements of one picture by, and the noise they have then."""
    models = getattr(physics, "noise_model", None)
    parts = [physics] if hasattr(models, "forward") or models is None else []
    stacked = getattr(physics, "physics_list", None)
    if stacked is not None and form.is_list:
        sigmas = []
        for part, shape in zip(stacked, form.shapes, strict=True):
            gain, noise = _noise_of(part.noise_model, number, is_complex=False)
            if gain != 1 or not isinstance(noise, Gaussian):
                raise _unknown(part.noise_model, "Gaussian noise on each of stacked physics")
            assert isinstance(noise.sigma, float)
            sigmas.append(torch.full((math.prod(shape),), noise.sigma, dtype=torch.float64))
        return 1.0, Gaussian(torch.cat(sigmas)[None])
    if not parts:
        raise _unknown(models, "one noise model")
    return _noise_of(models, number, is_complex=data.is_complex())


def _noise_of(model: Any, number: int, *, is_complex: bool) -> tuple[float, Noise]:
    """Of a noise model, for the picture of that number."""
    names = {owner.__name__ for owner in type(model).__mro__}

    def value(name: str) -> float:
        given = torch.as_tensor(getattr(model, name)).detach().cpu().double().flatten()
        return float(given[number if len(given) > 1 else 0])

    if model is None or "ZeroNoise" in names:
        return 1.0, Gaussian(0.0)
    if "GaussianNoise" in names:
        # Complex numbers share their variance between real and imaginary parts.
        return 1.0, Gaussian(value("sigma") / (2**0.5 if is_complex else 1.0))
    if "PoissonNoise" in names:
        return 1.0 if bool(model.normalize) else value("gain"), Poisson(value("gain"))
    if "PoissonGaussianNoise" in names:
        return 1.0, PoissonGaussian(value("gain"), value("sigma"))
    if "LaplaceNoise" in names:
        return 1.0, Laplace(value("b"))
    if "GammaNoise" in names:
        return 1.0, Speckle(value("l"))
    raise _unknown(model, "Gaussian, Poisson, Poisson-Gaussian, Laplace, gamma or no noise")


def _unknown(model: Any, expected: str) -> BayesDipError:
    return BayesDipError(
        f"the noise model is {type(model).__name__}: expected {expected}; give noise= to DeepinvReconstructor"
    )
