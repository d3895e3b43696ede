"""What the README and the site say can be done, can be done."""

from __future__ import annotations

import json
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from bayesdip.io import write_picture

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*/*.py"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(path.read_text(encoding="utf-8")) if found == language]


def python_pages() -> list[Path]:
    return [page for page in PAGES if blocks(page, "python")]


def prepared(folder: Path) -> dict[str, Any]:
    """The names that the pages may use without saying where they come from: small pictures and a mask."""

    rng = np.random.default_rng(0)
    image = data.camera()[100:132, 200:232]
    colour = data.astronaut()[:32, 200:232]
    psf = np.outer([1, 2, 1], [1, 2, 1]) / 16
    noisy = np.clip(image + rng.normal(scale=25, size=image.shape), 0, 255).astype(np.uint8)
    mask = rng.random(image.shape) < 0.3
    counts = rng.poisson(image / 8.0)
    return locals() | {"y": image, "np": np}


@pytest.mark.parametrize("page", python_pages(), ids=name)
def test_python_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = prepared(tmp_path)
    write_picture("noisy.png", names["noisy"])
    for block in blocks(page, "python"):
        exec(compile(block, name(page), "exec"), names)


@pytest.mark.example
@pytest.mark.parametrize("script", EXAMPLES, ids=name)
def test_example_runs_and_shows_a_picture_or_a_figure(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    text, pictures = import_module("example_pages").run(script)
    assert text.startswith("# ")
    assert pictures or "```text" in text


def verbs() -> dict[str, set[str]]:
    """The options of every verb of the command line, sub-verbs included."""
    import typer

    from bayesdip.cli import app

    def options(command: Any) -> set[str]:
        own = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        return own.union(*map(options, getattr(command, "commands", {}).values()))

    command = typer.main.get_command(app)
    return {verb: options(sub) | {"--help"} for verb, sub in command.commands.items()}


def shell_lines() -> list[tuple[str, str]]:
    """Every line with ``bayesdip VERB`` in a shell block of a page or of an example's text."""
    lines = []
    for path in [*PAGES, *EXAMPLES]:
        text = re.sub(r"^# ?", "", path.read_text(encoding="utf-8"), flags=re.M)
        found = [body for language, body in FENCE.findall(text) if language in ("", "bash", "sh")]
        lines += [(name(path), line) for body in found for line in body.splitlines() if "bayesdip " in line]
    return lines


def test_shell_lines_name_verbs_and_options_that_exist() -> None:
    known = verbs()
    lines = shell_lines()
    assert len(lines) > 10
    for where, line in lines:
        match = re.search(r"(?<![\w/.-])(?:\S*/)?bayesdip (\S+)(.*)", line)
        if match is None or match[1].startswith("-") or match[1] in ("VERB", "NAME"):
            continue
        verb, rest = match[1], re.split(r"\s{3,}[a-z]|;|>>", match[2])[0]
        assert verb in known, f"{where}: no verb {verb!r} in {line!r}"
        for option in OPTION.findall(rest):
            assert option in known[verb], f"{where}: {verb} has no option {option} in {line!r}"


def test_command_line_page_and_command_line_have_the_same_options() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    lab = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    of_the_program = {"--help", "--version", "--install-completion", "--show-completion"}
    known = set().union(*verbs().values()) - of_the_program
    documented = set(OPTION.findall(re.sub(r"^\|-.*$", "", page + lab, flags=re.M)))
    assert {o for o in known if o.startswith("--")} - documented == set()
    assert {o for o in documented if o.startswith("--")} - known - of_the_program == set()


def test_benchmarks_on_the_page_are_those_that_exist() -> None:
    from benchmarks.catalogue import benchmarks

    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    commands = set(re.findall(r"python -m benchmarks ([a-z][\w-]*)", text)) - {"list", "show"}
    table = (
        (ROOT / "docs" / "benchmarks.md")
        .read_text(encoding="utf-8")
        .split("|---|---|---|")[1]
        .split("\n\n")[0]
    )
    assert commands <= set(benchmarks())
    assert set(re.findall(r"^\| `([\w-]+)`", table, re.M)) == set(benchmarks())


def results(pattern: str) -> list[dict[str, Any]]:
    files = sorted((ROOT / "benchmarks" / "results").glob(pattern))
    assert files, f"no file {pattern} in benchmarks/results"
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))["rows"]]


def test_results_files_named_in_the_docs_exist() -> None:
    for page in PAGES:
        for pattern in re.findall(r"`([\w.*-]+\.json)`", page.read_text(encoding="utf-8")):
            if pattern not in ("demo.json", "restoration.json", "request.json"):
                assert results(pattern), f"{name(page)} names {pattern}"


@pytest.mark.parametrize(
    ("pattern", "key", "heading"),
    [
        ("denoise9-patches.json", "psnr", "## Noise"),
        ("denoise-best-*.json", "psnr", "## Noise"),
        ("inpaint11-gp.json", "psnr", "## Missing pixels"),
        ("inpaint11-patches.json", "psnr", "## Missing pixels"),
        ("set5-x4.json", "psnr_y", "## Enlarging"),
        ("deblur.json", "psnr", "## Blur"),
        ("deblur-gp.json", "psnr", "## Blur"),
        ("deblur-sgld-fast.json", "psnr", "## Blur"),
    ],
)
def test_tables_hold_the_figures_of_the_results(pattern: str, key: str, heading: str) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    section = page.split(f"\n{heading}\n")[1].split("\n## ")[0]
    for row in results(pattern):
        assert f"{row[key]:.2f}" in section, f"{pattern}: {row['picture']} {row[key]:.2f}"


def test_links_between_files_of_the_repository_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert os.path.exists(page.parent / target), f"{name(page)} links to {target}"


GALLERY = sorted(ROOT.glob("examples/gallery/*.py"))


@pytest.mark.parametrize("script", GALLERY, ids=name)
def test_a_page_of_the_gallery_shows_a_few_lines_what_they_took_and_when_not_to(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    cells = import_module("example_pages").cells(script.read_text(encoding="utf-8"))
    (code,) = [body for kind, body in cells if kind == "code"]
    lines = [line for line in code.splitlines() if line.strip()]
    assert 4 <= len(lines) <= 12 and "it took" in code and "import bayesdip as bd" in lines
    assert "**When not to:**" in [body for kind, body in cells if kind == "text"][-1]
    assert f"gallery/{script.stem.replace('_', '-')}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_the_gallery_has_its_twelve_pages() -> None:
    assert len(GALLERY) == 12
