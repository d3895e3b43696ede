"""MkDocs hooks: pages that are made by running code, formulas as MathML, and a check of the reference.

A script under ``examples/gallery``, ``examples/tutorials`` or ``examples/guides`` is a page: ``example_pages.py`` runs it.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from example_pages import ROOT, run

COPIES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
GALLERY = """# Gallery

What people bring, and what comes of it. Every page was made by running its code when this site was built: the data are made from pictures of
scikit-image, so that what is true is known.
"""
log = get_plugin_logger("examples")
# `mkdocs serve` builds again and again in one process: a script that did not change is not run again.
_built: dict[Path, tuple[float, str, dict[str, bytes]]] = {}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the scripts, their pictures, and the two texts that lie at the top."""
    for source, page in COPIES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    shown = []
    for script in sorted(ROOT.glob("examples/*/*.py")):
        text, pictures = _page(script)
        folder = script.parent.name
        name = f"{folder}/{script.stem.replace('_', '-')}.md"
        files.append(File.generated(config, name, content=text))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"{folder}/{picture}", content=content))
        if folder == "gallery":
            shown.append(gallery_entry(text, next(iter(pictures)), script))
    files.append(File.generated(config, "gallery/index.md", content="\n".join([GALLERY, *shown])))
    return files


def gallery_entry(text: str, picture: str, script: Path) -> str:
    """One page of the gallery on its first page: title, the first sentences, the picture."""
    title, _, rest = text.partition("\n")
    page = f"{script.stem.replace('_', '-')}.md"
    lead = rest.strip().split("\n\n")[0].replace("\n", " ")
    return f"## [{title.removeprefix('# ')}]({page})\n\n{lead}\n\n[![{title.removeprefix('# ')}]({picture})]({page})\n"


def on_page_content(html: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers show without a script from elsewhere, and mend docstrings.

    Docstrings hold two marks of reStructuredText that Markdown does not know: ``:class:`` and its kin before a name,
    and ``::`` before code.
    """
    from latex2mathml.converter import convert

    def replace(match: re.Match[str]) -> str:
        formula = match[2].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        if match[1] == "(":
            return convert(formula, display="inline")
        return f'<div class="formula">{convert(formula, display="block")}</div>'  # may be wider than a phone

    html = re.sub(r":(?:class|func|meth|mod|attr|data):\s*<code>(?:~(?:\w+\.)*)?", "<code>", html)
    html = re.sub(r"::</p>(?=\s*<div class=\"[^\"]*highlight)", ":</p>", html)
    return re.sub(
        r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', replace, html, flags=re.S
    )


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a public name is missing from the reference."""
    from mkdocstrings import Inventory

    import bayesdip

    with (Path(config.site_dir) / "objects.inv").open("rb") as file:
        documented = set(Inventory.parse_sphinx(file))
    wanted = set()
    for place in ("bayesdip", *(f"bayesdip.{name}" for name in bayesdip.__all__)):
        module = getattr(bayesdip, place.removeprefix("bayesdip."), bayesdip)
        if isinstance(module, type(bayesdip)):
            wanted |= {f"{place}.{name}" for name in module.__all__ if callable(getattr(module, name))}
    if missing := sorted(wanted - documented):
        raise PluginError(f"public names without a place in the reference: {', '.join(missing)}")


def _page(script: Path) -> tuple[str, dict[str, bytes]]:
    changed = script.stat().st_mtime
    if script in _built and _built[script][0] == changed:
        return _built[script][1:]
    began = time.monotonic()
    try:
        text, pictures = run(script)
    except Exception as error:
        raise PluginError(str(error)) from error
    log.info(f"ran {script.relative_to(ROOT)} in {time.monotonic() - began:.0f} s")
    _built[script] = (changed, text, pictures)
    return text, pictures
