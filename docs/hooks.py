"""MkDocs hooks: pages that are made by running code, formulas as MathML, and a check of the reference.

A script under ``examples/tutorials`` or ``examples/guides`` is a page. In it ``# %% [markdown]`` starts
text (every line behind ``# ``) and ``# %%`` starts code. The build runs the code in order, shows what it
prints, and saves every matplotlib figure that is open after a block.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import sys
import time
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
COPIES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
DPI = 80  # of the saved figures; a page of three figures stays under half a megabyte
log = get_plugin_logger("examples")
# `mkdocs serve` builds again and again in one process: a script that did not change is not run again.
_built: dict[Path, tuple[float, str, dict[str, bytes]]] = {}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the scripts, their pictures, and the two texts that lie at the top."""
    for source, page in COPIES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for script in sorted(ROOT.glob("examples/*/*.py")):
        text, pictures = _page(script)
        folder = script.parent.name
        name = f"{folder}/{script.stem.replace('_', '-')}.md"
        files.append(File.generated(config, name, content=text))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"{folder}/{picture}", content=content))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers show without a script from elsewhere."""
    from latex2mathml.converter import convert

    def replace(match: re.Match[str]) -> str:
        formula = match[2].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        return convert(formula, display="block" if match[1] == "[" else "inline")

    return re.sub(r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', replace, html, flags=re.S)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a public name is missing from the reference."""
    import bayesdip
    from mkdocstrings import Inventory

    with (Path(config.site_dir) / "objects.inv").open("rb") as file:
        documented = set(Inventory.parse_sphinx(file))
    modules = [name for name in bayesdip.__all__ if isinstance(getattr(bayesdip, name), type(bayesdip))]
    wanted = {f"bayesdip.{name}" for name in bayesdip.__all__}
    for module in modules:
        loaded = importlib.import_module(f"bayesdip.{module}")
        wanted |= {f"bayesdip.{module}.{name}" for name in getattr(loaded, "__all__", ())}
    if missing := sorted(wanted - documented):
        raise PluginError(f"public names without a place in the reference: {', '.join(missing)}")


def cells(source: str) -> list[tuple[str, str]]:
    """Split a script into its blocks: pairs of ``"text"`` or ``"code"`` and the block itself."""
    found = []
    for part in re.split(r"^# %%", source, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
            found.append(("text", body.strip()))
        else:
            found.append(("code", body.strip()))
    return found


def _page(script: Path) -> tuple[str, dict[str, bytes]]:
    changed = script.stat().st_mtime
    if script in _built and _built[script][0] == changed:
        return _built[script][1:]
    began = time.monotonic()
    text, pictures = run(script)
    log.info(f"ran {script.relative_to(ROOT)} in {time.monotonic() - began:.0f} s")
    _built[script] = (changed, text, pictures)
    return text, pictures


def run(script: Path) -> tuple[str, dict[str, bytes]]:
    """Run a script block by block; give the page's Markdown and its pictures by file name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

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
            raise PluginError(f"{script.relative_to(ROOT)} failed: {type(error).__name__}: {error}\n{body}") from error
        lines += ["```python", body, "```", ""]
        if printed.getvalue():
            lines += ["```text", printed.getvalue().rstrip(), "```", ""]
        for number in plt.get_fignums():
            name = f"{script.stem.replace('_', '-')}-{len(pictures) + 1}.png"
            saved = io.BytesIO()
            plt.figure(number).savefig(saved, dpi=DPI, bbox_inches="tight")
            pictures[name] = saved.getvalue()
            lines += [f"![Figure {len(pictures)}]({name})", ""]
        plt.close("all")
    where = script.relative_to(ROOT).as_posix()
    lines += [f"*This page was made by running `{where}` when the site was built.*", ""]
    return "\n".join(lines), pictures
