"""One restoration by us or by a peer, in a process of its own: quality, coverage, seconds and memory.

Peers get what we get, and what their authors advise where they have a choice; a peer that needs the noise level is told it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from bayesdip.lab.results import Row
from bayesdip.threads import one_thread
from benchmarks.measurement import answer, peak_bytes, timed
from benchmarks.pictures import Array, gaussian_psf, psnr
from benchmarks.torchvision_names import make_importable

# Pictures of scikit-image, and the corner of the part that is restored.
CROPS = {"camera": (80, 200), "coins": (60, 60), "astronaut": (20, 150), "coffee": (120, 180)}
SIGMA = 25.0  # of the noise, of 255
BLUR, BLUR_SIGMA = 1.6, 2.0  # standard deviation of the blur in pixels, and of the noise on it
FACTOR = 2
Z = 1.645  # of a 90% interval
WARM_SIDE = 32
BORDER = 16  # mirrored pixels around a picture whose deconvolution sees darkness beyond it
# deepinv's deep image prior as its documents build it, with fewer channels and steps: 256 and 2500 would take an hour or more on one thread.
DIP_CHANNELS, DIP_STEPS = 64, 600
# Noise2Void on one small picture: 800 steps at 128x128, a minute of one thread. More or fewer move PSNR up and down by a decibel.
N2V_PATCH, N2V_BATCH, N2V_EPOCHS = 32, 4, 200

Restored = tuple[Array, Array | None]
Peer = Callable[[Any], Restored]


class Task:
    """A damaged picture in 0..255.

    Parameters
    ----------
    name : {"noise", "missing", "hole", "blur", "enlarging"}
    picture : str
        One of CROPS.
    side : int
        Of the part, in pixels.
    seed : int
    """

    def __init__(self, name: str, picture: str, side: int, seed: int) -> None:
        from skimage import data

        top, left = CROPS[picture]
        self.name = name
        self.clean: Array = getattr(data, picture)()[top : top + side, left : left + side].astype(np.float64)
        self.channel_axis = -1 if self.clean.ndim == 3 else None
        random = np.random.default_rng(zlib.crc32(f"{name} {picture} {seed}".encode()))
        self.mask = np.zeros(self.clean.shape[:2], bool)
        self.psf = gaussian_psf(BLUR)
        self.data = self.clean
        if name == "noise":
            self.data = self.clean + SIGMA * random.standard_normal(self.clean.shape)
        elif name == "missing":
            self.mask = random.random(self.mask.shape) < 0.5
        elif name == "hole":
            start, width = side // 2 - side // 12, side // 6
            self.mask[start : start + width, start : start + width] = True
        elif name == "blur":
            axes = (0, 1)
            soft = gaussian_filter(self.clean, BLUR, mode="reflect", axes=axes)
            self.data = soft + BLUR_SIGMA * random.standard_normal(soft.shape)
        else:
            self.data = self._small()
        if self.mask.any():
            self.data = np.where(self._by_channel(self.mask), 0.0, self.clean)

    def _small(self) -> Array:
        """The means of FACTOR x FACTOR pixels."""
        rows, columns = (n // FACTOR for n in self.clean.shape[:2])
        self.clean = self.clean[: rows * FACTOR, : columns * FACTOR]
        parts = self.clean.reshape(rows, FACTOR, columns, FACTOR, *self.clean.shape[2:])
        return np.asarray(parts.mean((1, 3)))

    def _by_channel(self, mask: Array) -> Array:
        return mask if self.channel_axis is None else mask[..., None]

    def sharpened(self, restore: Callable[[Array], Array]) -> Array:
        """A deconvolution for gray pictures in 0..1 with darkness around them, channel by channel of the mirrored picture."""

        def one(channel: Array) -> Array:
            mirrored = np.pad(channel / 255, BORDER, mode="symmetric")
            return np.asarray(restore(mirrored)[BORDER:-BORDER, BORDER:-BORDER]) * 255

        if self.channel_axis is None:
            return one(self.data)
        return np.stack([one(self.data[..., c]) for c in range(self.data.shape[-1])], -1)


def measure(peer: str, task: str, picture: str, side: int, seed: int) -> Iterator[Row]:
    """PSNR of the clipped picture, in a hole or in the missing pixels of these alone; coverage; seconds; bytes."""
    problem = Task(task, picture, side, seed)
    if peer not in NETWORKS:  # what is loaded and compiled once does not count
        PEERS[peer](Task(task, picture, WARM_SIDE, seed))
    with one_thread(), timed() as clock:
        mean, std = PEERS[peer](problem)
    peak = peak_bytes()
    where = problem.mask if problem.mask.any() else np.ones_like(problem.mask)
    row: Row = {
        "psnr": psnr(mean[where] / 255, problem.clean[where] / 255),
        "cpu_seconds": round(clock.cpu, 2),
        "peak_bytes": peak,
    }
    if std is not None:
        held = np.abs(mean - problem.clean) <= Z * std
        row["coverage90"] = float(held[where].mean())
    yield row


def ours(effort: str) -> Peer:
    """The default of each task."""

    def restore(task: Task) -> Restored:
        import bayesdip as bd

        options: Any = {"effort": effort, "channel_axis": task.channel_axis}
        if task.name == "noise":
            found = bd.denoise(task.data, SIGMA, **options)
        elif task.name in ("missing", "hole"):
            found = bd.inpaint(task.data, task.mask, **options)
        elif task.name == "blur":
            found = bd.deblur(task.data, task.psf, sigma=BLUR_SIGMA, **options)
        else:
            found = bd.upscale(task.data, FACTOR, kind="area", **options)
        return found.mean, found.std

    return restore


def bm3d(task: Task) -> Restored:
    import bm3d as package

    restore = package.bm3d_rgb if task.channel_axis is not None else package.bm3d
    return np.asarray(restore(task.data, SIGMA)), None


def non_local_means(task: Task) -> Restored:
    from skimage.restoration import denoise_nl_means

    options: Any = {"patch_size": 5, "patch_distance": 6, "fast_mode": False}
    axis = task.channel_axis
    return denoise_nl_means(task.data, h=0.6 * SIGMA, sigma=SIGMA, channel_axis=axis, **options), None


def bayes_shrink(task: Task) -> Restored:
    from skimage.restoration import denoise_wavelet

    axis, options = task.channel_axis, {"method": "BayesShrink", "rescale_sigma": True}
    return denoise_wavelet(task.data / 255, SIGMA / 255, channel_axis=axis, **options) * 255, None


def opencv_non_local_means(task: Task) -> Restored:
    import cv2

    data = np.clip(task.data, 0, 255).round().astype(np.uint8)
    if task.channel_axis is None:
        return cv2.fastNlMeansDenoising(data, None, SIGMA).astype(np.float64), None
    return cv2.fastNlMeansDenoisingColored(data, None, SIGMA, SIGMA).astype(np.float64), None


def biharmonic(task: Task) -> Restored:
    from skimage.restoration import inpaint_biharmonic

    return inpaint_biharmonic(task.data, task.mask, channel_axis=task.channel_axis), None


def telea(task: Task) -> Restored:
    import cv2

    data = task.data.round().astype(np.uint8)
    return cv2.inpaint(data, task.mask.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float64), None


def richardson_lucy(task: Task) -> Restored:
    """With the number of turns that is best for the truth."""
    from skimage.restoration import richardson_lucy as restore

    found = [task.sharpened(lambda c, n=n: restore(c, task.psf, n, clip=False)) for n in (5, 10, 20, 40)]
    return max(found, key=lambda x: psnr(x / 255, task.clean / 255)), None


def unsupervised_wiener(task: Task) -> Restored:
    from skimage.restoration import unsupervised_wiener as restore

    return task.sharpened(lambda c: restore(c, task.psf, clip=False, rng=0)[0]), None


def opencv_lanczos(task: Task) -> Restored:
    import cv2

    rows, columns = task.clean.shape[:2]
    return cv2.resize(task.data, (columns, rows), interpolation=cv2.INTER_LANCZOS4), None


def deepinv_dip(task: Task) -> Restored:
    """deepinv's deep image prior, with its convolutional decoder."""
    import torch

    make_importable()
    import deepinv as dinv

    torch.manual_seed(0)
    y = _as_batch(task.data)
    shape = (y.shape[1], *task.clean.shape[:2])
    if task.name == "noise":
        physics = dinv.physics.Denoising()
    elif task.name in ("missing", "hole"):
        physics = dinv.physics.Inpainting(shape, mask=_as_batch(1.0 - task.mask * 1.0)[0] * 255)
    elif task.name == "blur":
        physics = dinv.physics.Blur(torch.from_numpy(task.psf).float()[None, None], padding="reflect")
    else:
        kernel = torch.full((1, 1, FACTOR, FACTOR), FACTOR**-2)
        physics = dinv.physics.Downsampling(shape, filter=kernel, factor=FACTOR, padding="reflect")
    decoder = dinv.models.ConvDecoder(shape, channels=DIP_CHANNELS)
    model = dinv.models.DeepImagePrior(decoder, (DIP_CHANNELS, 4, 4), iterations=DIP_STEPS)
    return _as_picture(model(y, physics), task), None


def deepinv_bm3d(task: Task) -> Restored:
    """deepinv's call of the package bm3d."""
    make_importable()
    import deepinv as dinv

    return _as_picture(dinv.models.BM3D()(_as_batch(task.data), SIGMA / 255), task), None


def careamics_n2v(task: Task) -> Restored:
    """Noise2Void, trained on the picture itself."""
    import tempfile

    import torch

    make_importable()
    from careamics import CAREamist
    from careamics.config import create_n2v_config

    torch.manual_seed(0)
    gray = task.channel_axis is None
    configuration = create_n2v_config(
        "peer",
        data_type="array",
        axes="YX" if gray else "YXC",
        n_channels=None if gray else task.clean.shape[-1],
        patch_size=[N2V_PATCH, N2V_PATCH],
        batch_size=N2V_BATCH,
        num_epochs=N2V_EPOCHS,
    )
    data = task.data.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        model = CAREamist(configuration, work_dir=folder, enable_progress_bar=False)
        model.train(train_data=data, val_data=data)
        ((found, *_), _) = model.predict(data)
    restored = np.asarray(found, np.float64).squeeze()
    if restored.shape != task.clean.shape:
        raise ValueError(f"{restored.shape} came back for {task.clean.shape}")
    return restored, None


def aydin_denoiser(task: Task) -> Restored:
    """aydin's own default for one picture."""
    from aydin.restoration.denoise.noise2selffgr import noise2self_fgr

    return np.asarray(noise2self_fgr(task.data.astype(np.float32))).astype(np.float64), None


def _as_batch(picture: Array) -> Any:
    import torch

    x = torch.from_numpy(np.asarray(picture / 255, np.float32))
    return x[None, None] if x.ndim == 2 else x.movedim(-1, 0)[None]


def _as_picture(x: Any, task: Task) -> Array:
    found = x.detach()[0].double().numpy() * 255
    return found[0] if task.channel_axis is None else np.moveaxis(found, 0, -1)


PEERS: dict[str, Peer] = {
    "bayesdip fast": ours("fast"),
    "bayesdip": ours("balanced"),
    "bm3d": bm3d,
    "scikit-image non-local means": non_local_means,
    "scikit-image BayesShrink": bayes_shrink,
    "OpenCV non-local means": opencv_non_local_means,
    "scikit-image biharmonic": biharmonic,
    "OpenCV Telea": telea,
    "scikit-image Richardson-Lucy (tuned)": richardson_lucy,
    "scikit-image unsupervised Wiener": unsupervised_wiener,
    "OpenCV Lanczos": opencv_lanczos,
    "deepinv DIP": deepinv_dip,
    "deepinv BM3D": deepinv_bm3d,
    "CAREamics N2V": careamics_n2v,
    "aydin": aydin_denoiser,
}

NETWORKS = ("deepinv DIP", "CAREamics N2V")  # minutes, beside which loading is nothing

if __name__ == "__main__":
    answer(measure)
