"""The ranking as text: a table for a terminal, and the sentence that sums it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesdip.snapshot import clock

if TYPE_CHECKING:
    from bayesdip.comparison.ranking import Comparison, Entry

ESTIMATED = {
    "recorruption": "squared error against the unknown clean picture, by recorruption, at noise 12% larger",
    "held-out": "squared error on observed pixels that were held out from the methods",
}
TASKS = {"denoise": "denoising", "inpaint": "inpainting", "upscale": "enlarging", "deblur": "deblurring"}
# A tied method that is so many times as fast is mentioned.
FASTER = 2.0


def sentence(comparison: Comparison) -> str:
    """What to use, and by how much."""
    until = "; the comparison was interrupted, and this goes by what was done until then"
    return f"{_what_to_use(comparison)}{until if comparison.interrupted else ''}."


def _what_to_use(comparison: Comparison) -> str:
    best, *others = comparison.applied
    if not others:
        return f"Use {best.name}: no other method applies here"
    runner_up = others[0]
    tied = [entry for entry in others if entry.tied]
    if not tied:
        said = f"Use {best.name}: its error is {_behind(runner_up)} below that of the next, {runner_up.name}"
    else:
        names = ", ".join(entry.name for entry in tied)
        said = f"Use {best.name}, though {names} cannot be told apart from it ({_behind(tied[0])} behind)"
        quick = min(tied, key=lambda entry: entry.seconds)
        if quick.seconds * FASTER <= best.seconds:
            said += f"; {quick.name} takes {clock(quick.seconds)} instead of {clock(best.seconds)}"
    other = next((e for e in others if e.ours != best.ours), None)
    if other is not None and other is not runner_up:
        kind = "classical method" if best.ours else "method of ours"
        said += f"; the best {kind}, {other.name}, is {_behind(other)} behind"
    return said


def table(comparison: Comparison) -> str:
    """The ranking in columns."""
    with_truth = any(entry.quality for entry in comparison.applied)
    head = f"{'method':<16} {'error':>9} {'95% interval':>19} {'dB behind':>20} {'time':>12} {'memory':>9}"
    head += f" {'PSNR':>7} {'SSIM':>6} {'GMSD':>6}" if with_truth else ""
    lines = [
        f"{TASKS[comparison.setup.task]}: {ESTIMATED[comparison.estimator]}",
        "",
        head + "  setting",
    ]
    lines += [_row(entry, with_truth) for entry in comparison.applied]
    lines += [f"{e.name:<16} not applicable: {e.why}" for e in comparison.entries if e.why]
    if (agreement := comparison.agreement) is not None:
        lines += [
            "",
            f"against the truth: {agreement.best} is best; the choice without it loses {agreement.loss:.2f} dB; "
            f"rank correlation (Kendall) {agreement.kendall:.2f}",
        ]
    return "\n".join(lines)


def _row(entry: Entry, with_truth: bool) -> str:
    rmse, behind = entry.rmse, entry.behind
    assert rmse is not None and behind is not None
    interval = f"{rmse.low:.4g} .. {rmse.high:.4g}"
    gap = f"{behind.value:.2f} ({behind.low:.2f} .. {behind.high:.2f})" if behind.value else "-"
    row = f"{entry.name:<16} {rmse.value:9.4g} {interval:>19} {gap:>20} {clock(entry.seconds):>12} {_mib(entry.memory):>9}"
    if with_truth and entry.quality is not None:
        row += f" {entry.quality.psnr:7.2f} {entry.quality.ssim:6.3f} {entry.quality.gmsd:6.3f}"
    return f"{row}  {entry.setting}"


def _behind(entry: Entry) -> str:
    assert entry.behind is not None
    return f"{entry.behind.value:.2f} dB ({entry.behind.low:.2f} to {entry.behind.high:.2f})"


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
