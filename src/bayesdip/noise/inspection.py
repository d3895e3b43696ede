"""What noise a picture has, found out from the picture alone before it is restored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.noise.autocovariance import NoiseSpectrum
from bayesdip.noise.brightness_law import BrightnessLaw, brightness_law, is_counts, windows_of_colours
from bayesdip.noise.clipping import detect_clipping
from bayesdip.noise.colour_noise import entries_with_correlated_noise
from bayesdip.noise.compression import is_coarsely_compressed, is_compressed
from bayesdip.noise.correlated import Correlated
from bayesdip.noise.doubtful import doubtful_finding, doubtful_levels, doubtful_variance
from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.estimated_covariance import estimated_autocovariance
from bayesdip.noise.gaussian import UNCLIPPED, Gaussian
from bayesdip.noise.impulses import Impulses, find_impulses
from bayesdip.noise.jpeg import JPEG
from bayesdip.noise.noise import Noise
from bayesdip.noise.poisson import Poisson, PoissonGaussian
from bayesdip.noise.presence import is_clearly_noisy
from bayesdip.noise.rounding import rounding_step
from bayesdip.noise.spectrum import Windows, compressed_levels, correlated_levels
from bayesdip.noise.stripes import Stripes, find_stripes
from bayesdip.noise.variation import Variation, along_the_law, varying_levels
from bayesdip.noise.waves import Waves, find_waves

# Channels whose levels differ by less than this share have one: the estimates scatter as much.
SAME_LEVEL = 0.1
# A gain this near the step of the data is one count; a constant below this share of the least photon noise is none.
ONE_COUNT, NO_READ_OUT = 0.15, 0.1
# Calm places with less than this share of the white noise's level, which all frequencies share, are blank.
BLANK = 0.5
CORRELATED_KINDS = ("correlated noise", "compressed noise")


@dataclass(frozen=True)
class Inspection:
    """What was found in a picture.

    Attributes
    ----------
    noise : Noise
        In the picture's own scale.
    impulses : Tensor of bool, shape (C, *grid), or None
        Entries that say nothing of the picture, such as hot pixels; None if there are none.
    offsets : Tensor, shape (C, *grid), or None
        Of rows or columns (stripes), and of waves, to be subtracted; `noise` is what is left without them.
    shared_variance : Tensor, broadcastable to the picture, or None
        Of what may be left of the offsets, or of the data's rounding where `noise` is none.
    findings : tuple of Finding
        What the user has to know.
    """

    noise: Noise
    impulses: Tensor | None = None
    offsets: Tensor | None = None
    shared_variance: Tensor | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_correlated(self) -> bool:
        """Whether neighbouring pixels share their noise."""
        return isinstance(self.noise, JPEG | Correlated) or any(
            finding.kind in CORRELATED_KINDS for finding in self.findings
        )


def inspect(
    picture: Tensor, observed: Tensor | None = None, *, blurred: bool = False, denoising: bool = False
) -> Inspection:
    """Find out what noise a picture has.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
        In its own scale.
    observed : Tensor of bool, broadcastable to `picture`, optional
        False where the picture means nothing.
    blurred : bool
        Whether what is seen is blurred, and the noise came after: then a picture's power falls with frequency as that
        of correlated noise does, and noise is taken for white.
    denoising : bool
        Whether the picture is to be denoised: then waves and offsets of rows and columns are looked for, and what has no
        clear noise but impulses is taken for exact.

    Returns
    -------
    Inspection
    """
    seen = torch.ones_like(picture, dtype=torch.bool) if observed is None else observed.expand(picture.shape)
    impulses = find_impulses(picture, seen)
    findings = impulse_findings(impulses, seen)
    left_out = impulses.every
    seen = seen & ~left_out
    step = rounding_step(picture[seen])
    offsets, variance = None, None
    for find in (find_waves, find_stripes) if denoising else ():
        pattern = find(picture, seen)
        if pattern is not None:
            picture, findings = picture - pattern.offsets, (*findings, _pattern_finding(pattern))
            offsets = pattern.offsets if offsets is None else offsets + pattern.offsets
            variance = pattern.variance if variance is None else variance + pattern.variance
    levels = estimate_sigma(picture, observed=seen, per_channel=True)
    assert isinstance(levels, tuple)
    floor = step / 12**0.5
    levels = tuple(max(level, floor) for level in levels)
    gone = left_out if bool(left_out.any()) else None
    ends = impulses.salt | impulses.pepper
    if denoising and offsets is None and bool(ends.any()) and not is_clearly_noisy(picture, seen, levels):
        # Results have single precision.
        rounding = max(step, torch.finfo(torch.float32).eps * float(picture[seen].abs().max()))
        variance = torch.tensor(rounding**2 / 12, dtype=torch.float64)
        return Inspection(Gaussian(0.0), gone, None, variance, (*findings, _NO_NOISE))
    noise, said = _without_impulses(picture, seen, levels, step, blurred, denoising)
    if denoising and not blurred and not said and isinstance(noise, Gaussian) and picture.ndim == 3:
        doubtful = doubtful_levels(picture, seen, levels, _inner_range(picture[seen]))
        if doubtful is not None and not is_coarsely_compressed(picture):  # blocks are no noise
            left, said = doubtful_variance(doubtful), (doubtful_finding(doubtful),)
            variance = left if variance is None else variance + left
    return Inspection(noise, gone, offsets, variance, (*findings, *said))


_NO_NOISE = Finding(
    "no noise",
    "besides salt and pepper no noise is clear: the other pixels come back as they are; denoise the result with sigma= where "
    "they are noisy",
)


def white_noise(picture: Tensor) -> Gaussian:
    """White Gaussian noise of a level for each channel, not below the data's rounding, clipped where the picture shows that.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)

    Returns
    -------
    Gaussian
    """
    finite = picture.isfinite()
    levels = estimate_sigma(picture, per_channel=True)
    assert isinstance(levels, tuple)
    floor = rounding_step(picture[finite]) / 12**0.5
    noise = Gaussian(_common(tuple(max(level, floor) for level in levels)))
    return noise if noise.is_exact else Gaussian(noise.sigma, detect_clipping(picture))


def _without_impulses(
    picture: Tensor, seen: Tensor, levels: tuple[float, ...], step: float, blurred: bool, denoising: bool
) -> tuple[Noise, tuple[Finding, ...]]:
    """The noise of a picture whose white level in each channel is given, and what to say of it."""
    plain = Gaussian(_common(levels))
    if plain.is_exact or not bool(seen.any()):
        return plain, ()
    clipped = detect_clipping(picture, seen)
    windows = Windows.of(picture, seen)
    low, high = clipped
    unclipped = seen & (picture > low) & (picture < high)  # clipping takes noise away
    inside = Windows.of(picture, unclipped)
    value_range = _inner_range(picture[seen])
    telling = None
    if denoising and not blurred:
        telling = entries_with_correlated_noise(picture, unclipped, seen, value_range)
    if telling is None and not blurred and is_compressed(picture):
        level = compressed_levels(inside, levels)
        if level is not None:
            return Gaussian(_common(level), clipped), (_compressed_finding(_common(level)),)
        if is_coarsely_compressed(picture):  # its blocks are no noise
            return Gaussian(plain.sigma, clipped), ()
    varying = None if max(levels) <= step else varying_levels(picture, seen, step / 12**0.5, clipped)
    if telling is not None:
        return _estimated(picture, telling, varying)
    # Where the level varies, that of the whole picture is too low, and the middle frequencies exceed it anywhere. In a small picture
    # few windows may be without a clipped value; the others show a little too little.
    looked_at = None if blurred or varying is not None else windows if inside is None else inside
    spectrum = None if blurred or varying is not None else NoiseSpectrum.of(picture, unclipped)
    # Texture has the middle frequencies of correlated noise, and not its want of fine ones, which few windows tell, too.
    white = spectrum is not None and spectrum.is_white
    correlated = None if white else correlated_levels(looked_at, levels, value_range)
    if denoising and not white:
        told = unclipped
        if spectrum is None and correlated is not None:
            spectrum, told = NoiseSpectrum.of(picture, seen), seen
        found = correlated is not None or (spectrum is not None and spectrum.is_noise(value_range))
        # Blank places, such as a margin, are calm, and show no noise.
        if found and spectrum is not None and bool((spectrum.levels > BLANK * np.array(levels)).all()):
            return _estimated(picture, told)
    if correlated is not None:
        stronger = _common(correlated)
        return Gaussian(stronger, clipped), (_correlated_finding(stronger, levels),)
    if varying is not None and varying.by == "position":
        return Gaussian(varying.sigma, clipped), (_varying_finding(varying),)
    law = brightness_law(windows_of_colours(picture, seen), windows)
    counts = law is not None and abs(law.slope / step - 1) < ONE_COUNT if step > 0 else False
    if law is None and is_counts(picture[seen], windows, step, blurred=blurred):
        return Poisson(step), (_photon_finding(Poisson(step)),)
    if max(levels) <= step and not counts:  # that is rounding
        return Gaussian(plain.sigma, clipped), ()
    # Clipping at the dark end takes noise away there; whole numbers of counts pile up at none without it.
    if law is not None and (counts or clipped == UNCLIPPED):
        noise = photon_noise(law, step if counts else None)
        return noise, (_photon_finding(noise),)
    if varying is not None:
        varying = varying if law is None else along_the_law(picture, law)
        return Gaussian(varying.sigma, clipped), (_varying_finding(varying),)
    return Gaussian(plain.sigma, clipped), ()


def _estimated(
    picture: Tensor, seen: Tensor, varying: Variation | None = None
) -> tuple[Correlated, tuple[Finding, ...]]:
    """Correlated noise with the covariance that the picture shows, and a level at each pixel where it varies."""
    relative = picture if varying is None else picture / varying.sigma
    noise = Correlated(estimated_autocovariance(relative, seen))
    if varying is not None:
        own = noise.variance(picture).sqrt()
        noise = Correlated(noise.autocovariance, Gaussian(own * varying.sigma))
    sigma = noise.variance(picture).flatten(1).mean(1).sqrt()
    return noise, (_spectrum_finding(sigma.numpy(), varying),)


def photon_noise(law: BrightnessLaw, step: float | None = None) -> Poisson | PoissonGaussian:
    """The model of that law: Poisson noise where the line meets zero within the data, else with read-out noise.

    `step` is what one count adds where the data are counts: then their gain is known.
    """
    gain = law.slope if step is None else step
    least = max(law.least, 0.0)
    if step is not None and abs(law.constant) <= NO_READ_OUT * max(gain * least, gain**2):
        return Poisson(gain)
    if law.constant <= NO_READ_OUT * gain * least:
        return Poisson(gain, -min(law.constant, 0.0) / gain)
    offset = min(law.least, 0.0)
    return PoissonGaussian(gain, max(law.constant + gain * offset, 1e-12) ** 0.5, offset)


def _pattern_finding(pattern: Stripes | Waves) -> Finding:
    """What to say of a pattern that is subtracted."""
    return _waves_finding(pattern) if isinstance(pattern, Waves) else _stripes_finding(pattern)


def _waves_finding(waves: Waves) -> Finding:
    """What to say of periodic noise."""
    count, first = len(waves.frequencies), waves.frequencies[0]
    text = (
        f"the noise is periodic: {count} wave{'s' * (count > 1)} over the whole picture of an amplitude of up to "
        f"{waves.amplitude:.3g}, {'one' if count > 1 else 'that'} with {', '.join(f'{f:.3g}' for f in first)} periods per pixel "
        "along the axes, subtracted, and error bars take in what may be left; a given noise model or sigma keeps them"
    )
    return Finding(
        "periodic noise",
        text,
        {"frequencies": [list(f) for f in waves.frequencies], "amplitude": waves.amplitude},
    )


def _stripes_finding(stripes: Stripes) -> Finding:
    """What to say of offsets of lines."""
    names = " and ".join(
        "rows" if axis == 0 else "columns" if axis == 1 else "slices" for axis in stripes.axes
    )
    text = (
        f"{names} have offsets of their own, with a standard deviation of {stripes.sigma:.3g}: these stripes are subtracted, "
        "and error bars take in what may be left of them; a given noise model or sigma keeps them"
    )
    return Finding("stripes", text, {"axes": list(stripes.axes), "sigma": stripes.sigma})


def _photon_finding(noise: Poisson | PoissonGaussian) -> Finding:
    """What to say of photon noise."""
    text = (
        f"the noise grows with brightness as photon noise does: {noise.describe()} is taken; noise= or sigma= (on the "
        "command line --noise) sets another"
    )
    facts = {"gain": noise.gain, "offset": noise.offset}
    return Finding(
        "photon noise", text, facts | ({"sigma": noise.sigma} if isinstance(noise, PoissonGaussian) else {})
    )


def _compressed_finding(level: float | tuple[float, ...]) -> Finding:
    """What to say of noise of a compressed picture."""
    used = level if isinstance(level, tuple) else (level,)
    text = (
        "the picture is noisy and was compressed as JPEG, which makes the noise correlated: sigma "
        f"{', '.join(f'{s:.3g}' for s in used)} is taken to remove it as white noise, error bars do not hold, and a picture "
        "from before the compression would do better; sigma= sets another level"
    )
    return Finding("compressed noise", text, {"sigma": list(used)})


def _varying_finding(varying: Variation) -> Finding:
    """What to say of noise that varies over the picture."""
    low, high = float(varying.sigma.min()), float(varying.sigma.max())
    text = (
        f"the noise varies over the picture with {varying.by}: a sigma for each pixel, {low:.3g} to {high:.3g}, is taken; "
        "sigma= sets one for all, noise=Gaussian(map) your own"
    )
    return Finding("varying noise", text, {"by": varying.by, "least": low, "most": high})


def _inner_range(values: Tensor) -> float:
    """Of the inner 99% of the data."""
    low, high = np.quantile(values.numpy(), (0.005, 0.995))
    return float(high - low)


def _correlated_finding(level: float | tuple[float, ...], white: tuple[float, ...]) -> Finding:
    """What to say of correlated noise, and what to do."""
    used = level if isinstance(level, tuple) else (level,)
    text = (
        "the noise is correlated between pixels, as after demosaicing, resizing, or with stripes: sigma "
        f"{', '.join(f'{s:.3g}' for s in used)} is taken to remove it as white noise, error bars do not hold, and a picture "
        "from before that processing would do better; sigma= sets another level"
    )
    return Finding("correlated noise", text, {"sigma": list(used), "white": list(white)})


def _spectrum_finding(sigma: NDArray[np.float64], varying: Variation | None) -> Finding:
    """What to say of correlated noise of that mean level in each channel, whose autocovariance was estimated."""
    level = f"sigma {', '.join(f'{s:.3g}' for s in sigma)}"
    text = (
        "the noise is correlated between pixels, as after demosaicing, resizing, or with stripes: its covariance was estimated from "
        f"the picture, {level if varying is None else f'{level} in the mean, varying with {varying.by}'}, and is taken away as such; "
        "error bars go by a simulated picture; noise= or sigma= sets another"
    )
    return Finding("correlated noise", text, {"sigma": sigma.tolist()})


def impulse_findings(impulses: Impulses, seen: Tensor) -> tuple[Finding, ...]:
    """What to say of impulses; nothing where there are none."""
    total = int(seen.sum())
    said = []
    for kind, many, first, second, names in (
        ("salt and pepper", "values are salt and pepper", impulses.salt, impulses.pepper, ("salt", "pepper")),
        ("hot pixels", "values are hot or dead pixels", impulses.hot, impulses.dead, ("hot", "dead")),
    ):
        counts = {name: int(part.sum()) for name, part in zip(names, (first, second), strict=True)}
        count = sum(counts.values())
        if count:
            text = (
                f"{count} of {total} {many} ({', '.join(f'{n} {name}' for name, n in counts.items())}): treated as "
                "missing and filled in; a given noise model or sigma keeps them"
            )
            said.append(Finding(kind, text, {**counts, "share": count / total}))
    return tuple(said)


def _common(levels: tuple[float, ...]) -> float | tuple[float, ...]:
    """One level for all channels where they hardly differ."""
    mean = (sum(level**2 for level in levels) / len(levels)) ** 0.5
    alike = all(abs(level - mean) <= SAME_LEVEL * mean for level in levels)
    return mean if alike else levels
