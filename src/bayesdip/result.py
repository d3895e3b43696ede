"""What a method gives back (Posterior, in working units), and what the user gets (Restoration, in their own)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.calibration import Calibration, check_level
from bayesdip.diagnostics import Diagnostics, by_chain, diagnose, halved
from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding

if TYPE_CHECKING:
    import arviz
    import xarray
    from torch import Tensor

Array = NDArray[Any]
Trace = dict[str, list[float]]
FACTS = ("trace", "seconds", "stopped", "method", "why", "settings", "info", "channel_axis")
ARRAYS = ("mean", "std", "raw_std", "samples", "chain")
CALIBRATION = "calibration_"
# A quantile needs so many kept samples on its outer side; with fewer it comes from the standard deviation.
SAMPLES_BEYOND = 2


@dataclass(frozen=True)
class Posterior:
    """A posterior over pictures, summarised: what every method gives.

    Attributes
    ----------
    mean : Tensor, shape (C, *grid)
        Posterior mean; for ``map`` the averaged fit, which is not a posterior mean.
    std : Tensor or None, shape (C, *grid)
        Posterior standard deviation of the noise-free picture; None where a method has none.
    samples : Tensor or None, shape (S, C, *grid)
        Posterior draws; None where a method has none.
    trace : dict of lists
        What happened, step by step: one list for each quantity, all as long as ``trace["step"]``.
    stopped : str
        Why it ended: ``"finished"``, ``"stopping rule"``, ``"not converged"``, ``"time budget"`` or ``"interrupted"``.
    chain : Tensor of int or None, shape (S,)
        From which chain each sample comes, 0, 1, ..., in order of time. None where samples are independent draws.
    info : dict
        Facts about the run that belong to the method alone (iterations, temperature, ...).
    state : object
        What the method needs to go on from here with the held-out entries; nobody else reads it.
    without_own : Tensor or None, shape (C, *grid)
        Each pixel's posterior mean without its own value, where known (:meth:`~bayesdip.methods.Method.leaves_one_out`).
    process : Posterior or None
        What stands beside a method, from the same data: for patches that of a stationary Gaussian process, for a network that of
        patches, which has its own, where data are no pixels.
    beside : Posterior or None
        Patches' of the same missing pixels, to be averaged with by held-out regions.
    """

    mean: Tensor
    std: Tensor | None = None
    samples: Tensor | None = None
    trace: Trace = field(default_factory=dict)
    stopped: str = "finished"
    chain: Tensor | None = None
    info: dict[str, Any] = field(default_factory=dict)
    state: Any = field(default=None, repr=False, compare=False)
    without_own: Tensor | None = None
    process: Posterior | None = field(default=None, repr=False, compare=False)
    beside: Posterior | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class Restoration:
    """One restored picture, in the shape and scale of the picture that came in.

    Attributes
    ----------
    mean : ndarray
        Posterior mean, in the input's type (for ``method="map"`` the averaged fit). Integers are rounded.
    std : ndarray of float32, or None
        Posterior standard deviation of every pixel of the *noise-free* picture, calibrated where
        ``calibration`` says so: ``mean -+ 1.645 std`` is ``interval(0.9)``. None where the method has none
        (``map``, or a run stopped before its second sample).
    raw_std : ndarray of float32, or None
        The same as the method has it, not calibrated.
    samples : ndarray, shape (S, *mean.shape)
        Posterior draws, in the input's type; S may be 0.
    trace : dict of lists
        What happened, step by step; ``trace["step"]`` counts.
    sigma : tuple of float, or None
        The noise's standard deviation in the picture's own scale, one for all channels or one
        each; None for noise that has no single one.
    held_out : float or None
        Root mean squared error, in the picture's own scale, on ``held_out_count`` observed
        values that the method did not see, or whose part in their own estimate was taken out. It contains the noise on those
        values.
    held_out_count : int
        How many values those are.
    seconds : float
        Wall time.
    stopped : str
        ``"finished"``, ``"stopping rule"``, ``"not converged"``, ``"time budget"`` or ``"interrupted"``.
    method : str
        The name of the method that ran: ``"patches"``, ``"gp"``, ``"sgld"``, ``"map"``, ``"stack"``, or a user's own.
    why : str
        One sentence: why that method, and what it is.
    settings : dict
        Everything needed to repeat the run, as plain JSON values.
    info : dict
        Facts that belong to the method alone (iterations, rollbacks, ...).
    channel_axis : int or None
        Where ``mean`` keeps its channels.
    calibration : Calibration or None
        What held-out pixels say of ``std``, and the coverage of 90% intervals on them. Where data are no pixels
        of the picture (upscaling, deblurring), what a simulated picture says of it, whose truth is known
        (``calibration.simulated``). None without ``std``, where too little was seen, and where a time budget left no
        time for a simulation.
    chain : ndarray of int, shape (S,), or None
        From which Markov chain each sample comes, in time's order; None for independent draws.
    findings : tuple of Finding
        What was found in the data, and what was done about it: noise of a kind, pixels without data, a point
        spread function that was mended, a method that was replaced.
    """

    mean: Array
    std: NDArray[np.float32] | None
    raw_std: NDArray[np.float32] | None
    samples: Array
    trace: Trace
    sigma: tuple[float, ...] | None
    held_out: float | None
    held_out_count: int
    seconds: float
    stopped: str
    method: str
    why: str
    settings: dict[str, Any]
    info: dict[str, Any] = field(default_factory=dict)
    channel_axis: int | None = None
    calibration: Calibration | None = None
    chain: NDArray[np.int64] | None = None
    findings: tuple[Finding, ...] = ()

    @cached_property
    def diagnostics(self) -> Diagnostics | None:
        """Whether the samples' chains have mixed; None for independent draws and for too few samples.

        Raises
        ------
        BayesDipError
            ArviZ is not installed (the extra ``arviz``).
        """
        if self.chain is None:
            return None
        return diagnose(self.samples, self.chain, self.trace, self.channel_axis)

    def interval(
        self, level: float = 0.9, *, calibrated: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper end of the central interval of every pixel, symmetric about the mean.

        Parameters
        ----------
        level : float
            Between 0 and 1: the probability that the true value lies inside.
        calibrated : bool
            Use ``std`` and the tails that held-out pixels showed, where there is a calibration. Else the
            interval is ``mean -+ q raw_std`` with q of the normal law.

        Returns
        -------
        (ndarray, ndarray) of float32, in the shape of ``mean``

        Raises
        ------
        BayesDipError
            The level is not between 0 and 1, or the method gave no standard deviation.
        """
        check_level(level)
        std = self._std_or_raise(calibrated).astype(np.float64)
        known = self.calibration if calibrated else None
        reach = NormalDist().inv_cdf(0.5 + level / 2) if known is None else known.reach(level)
        half = (reach * std).astype(np.float32)
        centre = self.mean.astype(np.float32)
        return centre - half, centre + half

    def quantile(self, q: float, *, calibrated: bool = True) -> NDArray[np.float32]:
        """The value below which every pixel lies with probability ``q``.

        From the kept samples where at least two of them are to be expected beyond it, so 20 samples
        for ``q = 0.1``; else an end of the interval of level ``|2 q - 1|``.

        Parameters
        ----------
        q : float
            Between 0 and 1.
        calibrated : bool
            Use ``calibration``, where there is one: samples are drawn apart, or together, about
            their mean as it says.

        Returns
        -------
        ndarray of float32, in the shape of ``mean``

        Raises
        ------
        BayesDipError
            ``q`` is not between 0 and 1, or there is neither a standard deviation nor enough samples.
        """
        check_level(q)
        if len(self.samples) * min(q, 1 - q) >= SAMPLES_BEYOND:
            return self._sample_quantile(q, calibrated)
        if q == 0.5:
            return self.mean.astype(np.float32)
        low, high = self.interval(abs(2 * q - 1), calibrated=calibrated)
        return low if q < 0.5 else high

    def _sample_quantile(self, q: float, calibrated: bool) -> NDArray[np.float32]:
        found: Array = np.quantile(self.samples.astype(np.float32), q, axis=0)
        if calibrated and self.calibration is not None and self.std is not None:
            raw = self._std_or_raise(calibrated=False)
            wider = self.std / np.where(raw > 0, raw, 1)
            found = self.mean + self.calibration.tail(abs(2 * q - 1)) * wider * (found - self.mean)
        return np.asarray(found, dtype=np.float32)

    def _std_or_raise(self, calibrated: bool) -> NDArray[np.float32]:
        std = self.std if calibrated else self.raw_std
        if std is None:
            raise BayesDipError(
                f"method {self.method!r} gave no standard deviation: expected one for an interval; use 'patches', 'gp', "
                "'sgld' or 'stack', or let the run go on longer"
            )
        return std

    def summary(self) -> dict[str, Any]:
        """The facts of the run, without the pictures.

        Returns
        -------
        dict
            Plain JSON values.
        """
        return {
            "method": self.method,
            "why": self.why,
            "shape": list(self.mean.shape),
            "dtype": str(self.mean.dtype),
            "sigma": None if self.sigma is None else [round(s, 6) for s in self.sigma],
            "held_out_rmse": self.held_out,
            "held_out_count": self.held_out_count,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "samples": len(self.samples),
            "mean_std": None if self.std is None else float(self.std.mean()),
            "calibration": None if self.calibration is None else self.calibration.summary(),
            "findings": [finding.to_dict() for finding in self.findings],
            "settings": self.settings,
            "info": self.info,
        }

    def save(self, folder: str | Path) -> Path:
        """Write everything into a folder: ``restoration.npz`` (arrays) and ``restoration.json``.

        Files of an earlier restoration in the folder are replaced, each in one go.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there.

        Returns
        -------
        Path
            The folder.
        """
        from bayesdip.io import atomic_write

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}
        if self.calibration is not None:
            arrays |= {CALIBRATION + name: part for name, part in self.calibration.to_arrays().items()}
        facts = self.summary() | {"trace": self.trace, "channel_axis": self.channel_axis, "sigma": self.sigma}
        with atomic_write(folder / "restoration.npz", force=True) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        with atomic_write(folder / "restoration.json", force=True) as temporary:
            temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Restoration:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        Restoration

        Raises
        ------
        BayesDipError
            The folder holds no restoration.
        """
        folder = Path(folder)
        try:
            facts: Mapping[str, Any] = json.loads((folder / "restoration.json").read_text(encoding="utf-8"))
            with np.load(folder / "restoration.npz", allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            kept = {n.removeprefix(CALIBRATION): a for n, a in arrays.items() if n.startswith(CALIBRATION)}
            calibration = facts.get("calibration")
            return cls(
                mean=arrays["mean"],
                std=arrays.get("std"),
                raw_std=arrays.get("raw_std"),
                samples=arrays["samples"],
                sigma=None if facts["sigma"] is None else tuple(facts["sigma"]),
                held_out=facts["held_out_rmse"],
                held_out_count=facts["held_out_count"],
                calibration=None if calibration is None else Calibration.of(calibration, kept),
                chain=arrays.get("chain"),
                findings=tuple(map(Finding.from_dict, facts["findings"])),
                **{name: facts[name] for name in FACTS},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BayesDipError(
                f"{folder} holds no restoration that can be read ({error}): name a folder that save() wrote"
            ) from error

    def to_xarray(self) -> xarray.Dataset:
        """Mean, standard deviation and samples with named axes.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        BayesDipError
            xarray is not installed (the extra ``arviz``).
        """
        try:
            import xarray
        except ImportError as error:
            raise BayesDipError("xarray is not installed: pip install 'bayesdip[arviz]'") from error
        axes = self._axes()
        data: dict[str, Any] = {"mean": (axes, self.mean), "samples": (("sample", *axes), self.samples)}
        if self.std is not None:
            data["std"] = (axes, self.std)
        return xarray.Dataset(data, attrs={"settings": json.dumps(self.settings)})

    def to_arviz(self) -> arviz.InferenceData:
        """The posterior samples for ArviZ, by chain and draw.

        A single chain is given as its two halves, which is what R-hat compares. Independent draws
        stand in one chain.

        Returns
        -------
        arviz.InferenceData

        Raises
        ------
        BayesDipError
            ArviZ is not installed (the extra ``arviz``), or there are no samples.
        """
        try:
            import arviz
        except ImportError as error:
            raise BayesDipError("ArviZ is not installed: pip install 'bayesdip[arviz]'") from error
        pictures = self.samples[None] if self.chain is None else halved(by_chain(self.samples, self.chain))
        data: arviz.InferenceData = arviz.from_dict(
            posterior={"picture": pictures}, dims={"picture": list(self._axes())}
        )
        return data

    def _axes(self) -> tuple[str, ...]:
        """Names of the axes: x; row, column; plane, row, column; and the channel's place."""
        grid = self.mean.ndim - (self.channel_axis is not None)
        names = {1: ["x"], 2: ["row", "column"], 3: ["plane", "row", "column"]}[grid]
        if self.channel_axis is not None:
            names.insert(self.channel_axis % self.mean.ndim, "channel")
        return tuple(names)

    def _repr_html_(self) -> str:
        """For notebooks: the picture, the map of its standard deviation, and one line."""
        from bayesdip.report.notebook import notebook_html

        return notebook_html(self)
