"""Make a page from a script by running it.

In a script ``# %% [markdown]`` starts text (every line behind ``# ``), ``# %%`` starts code, and ``# %% [hidden]`` code that is
run and not shown: data that are made, figures. The code runs in order; what it prints is shown, and every matplotlib figure
that is open after a block is saved.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DPI = 80  # of the saved figures; a page of three figures stays under half a megabyte


def cells(source: str) -> list[tuple[str, str]]:
    """Split a script into its blocks: pairs of ``"text"``, ``"code"`` or ``"hidden"`` and the block itself."""
    found = []
    for part in re.split(r"^# %%", source, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
            found.append(("text", body.strip()))
        else:
            found.append(("hidden" if "[hidden]" in head else "code", body.strip()))
    return found


def run(script: Path) -> tuple[str, dict[str, bytes]]:
    """Run a script block by block; give the page's Markdown and its pictures by file name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    if str(ROOT / "examples") not in sys.path:
        sys.path.append(str(ROOT / "examples"))  # figures.py
    # Scripts define classes; pickling and dataclasses look their module up by name.
    module = type(sys)(f"example_{script.stem}")
    sys.modules[module.__name__] = module
    lines: list[str] = []
    pictures: dict[str, bytes] = {}
    for kind, body in cells(script.read_text(encoding="utf-8")):
        if kind == "text":
            lines += [body, ""]
            continue
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(body, str(script), "exec"), module.__dict__)
        except Exception as error:
            raise RuntimeError(
                f"{script.relative_to(ROOT)} failed: {type(error).__name__}: {error}\n{body}"
            ) from error
        if kind == "code":
            lines += ["```python", body, "```", ""]
        if printed.getvalue():
            lines += ["```text", printed.getvalue().rstrip(), "```", ""]
        figures = [plt.figure(number) for number in plt.get_fignums()]
        own = module.__dict__.pop("figure", None)  # one that pyplot does not know
        if isinstance(own, Figure) and own not in figures:
            figures.append(own)
        for figure in figures:
            name = f"{script.stem.replace('_', '-')}-{len(pictures) + 1}.png"
            saved = io.BytesIO()
            figure.savefig(saved, dpi=DPI, bbox_inches="tight")
            pictures[name] = saved.getvalue()
            lines += [f"![Figure {len(pictures)}]({name})", ""]
        plt.close("all")
    where = script.relative_to(ROOT).as_posix()
    lines += [f"*This page was made by running `{where}` when the site was built.*", ""]
    return "\n".join(lines), pictures
