"""The house: who may import whom, no import cycles, short files, and no function that hides a module."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
# From the lowest to the highest; a module may import from its own line and from those above it here.
LAYERS = (
    {"errors", "findings", "signals"},
    {
        "arrays",
        "window",
        "operators",
        "noise",
        "kernels",
        "progress",
        "snapshot",
        "interruption",
        "threads",
        "folder_lock",
        "resuming",
        "memory",
        "processes",
        "dct_thresholding",
        "membrane",
    },
    {"arch"},
    {
        "layout",
        "mask_argument",
        "no_data",
        "noise_argument",
        "problem",
        "rim",
        "result",
        "noise_check",
        "calibration",
        "error_law",
        "expected_errors",
        "hidden_texture",
        "seen_pixels",
        "diagnostics",
        "control_variate",
    },
    {"gp", "patches", "networks", "tiling", "damage_parts", "quick_picture"},
    {"blur_border", "inputs"},
    {"methods"},
    {
        "simple",
        "held_out_excess",
        "held_out_regions",
        "held_out_split",
        "held_out_weights",
        "hole_replicas",
        "value_scale",
        "simple_comparison",
        "simple_process",
        "edgeless_process",
        "leave_one_out",
    },
    {"error_places", "simulated_average", "simulated_calibration", "simulated_truth"},
    {"simulated_weights"},
    {"simulation"},
    {"holdout"},
    {"damage", "run_request"},
    {"api"},
    {"io", "baselines", "report", "comparison", "adapters"},
    {"batch_processing"},
    {"tile_processing"},
    {"lab"},
    {"studio", "napari_plugin"},
    {"cli"},
)
# The public face, the entry of `python -m bayesdip`, and the version that the build writes, stand outside.
OUTSIDE = {"", "__main__", "_version"}
MOST_LINES = 400

# Meant to be so: methods of low classes that need more when they are called, in functions.
UPWARD = {
    "bayesdip.result -> bayesdip.io",  # Restoration.save
    "bayesdip.result -> bayesdip.report.notebook",  # Restoration._repr_html_
}
CYCLES = {"bayesdip.operators.operator -> bayesdip.operators.pixelwise"}  # Operator.with_held_out is a Mask


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name."""
    names = {}
    for path in sorted((SOURCE / "bayesdip").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(name: str) -> set[str]:
    """Modules of the package that a module imports when it runs, in functions too; not those for types alone."""
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    found = set()
    for node in running(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else node.module)
    return (found & set(modules())) - {name}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``."""
    yield node
    only_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    children = node.orelse if only_types else ast.iter_child_nodes(node)
    for child in children:
        yield from running(child)


def part(name: str) -> str:
    """The part of the house that a module belongs to: ``bayesdip.gp.solver`` to ``gp``."""
    return name.split(".")[1] if "." in name else ""


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of a graph of imports; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_the_check_sees_imports_in_functions_and_not_those_for_types(tmp_path, monkeypatch):
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bayesdip import api\n"
    source += "def f():\n    from bayesdip.io import Picture\n    from bayesdip import errors\n"
    (tmp_path / "example.py").write_text(source)
    monkeypatch.setitem(modules(), "bayesdip.example", tmp_path / "example.py")
    assert imports("bayesdip.example") == {"bayesdip.io", "bayesdip.errors"}
    assert cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_every_part_of_the_house_has_its_place():
    placed = set().union(*LAYERS) | OUTSIDE
    assert {part(name) for name in modules()} <= placed, "give it a line in LAYERS"
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


def test_nothing_imports_from_above():
    height = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    upward = {
        f"{name} -> {other}"
        for name in modules()
        for other in imports(name)
        if part(name) not in OUTSIDE and part(other) not in OUTSIDE
        if height[part(name)] < height[part(other)]
    }
    assert upward == UPWARD


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {name: imports(name) for name in modules() if name != "bayesdip"}
    for edge in CYCLES:
        name, other = edge.split(" -> ")
        assert other in graph[name], f"{edge} is gone: take it off the list"
        graph[name].discard(other)
    assert not cycle(graph), " -> ".join(cycle(graph))


def test_the_package_does_not_need_the_benchmarks():
    for name, path in modules().items():
        for node in running(ast.parse(path.read_text(encoding="utf-8"))):
            given = [node.module] if isinstance(node, ast.ImportFrom) else []
            given += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any((module or "").split(".")[0] == "benchmarks" for module in given), name


def test_parts_of_the_house_do_not_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for name in modules():
        edges = {other for other in imports(name) if f"{name} -> {other}" not in UPWARD | CYCLES}
        graph.setdefault(part(name), set()).update({part(other) for other in edges} - {part(name), ""})
    assert not cycle(graph), " -> ".join(cycle(graph))


def test_no_file_is_too_long():
    folders = (SOURCE, ROOT / "tests", ROOT / "benchmarks", ROOT / "examples")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    long = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }
    assert not long, sorted(long)


def test_every_module_can_be_imported_and_no_function_hides_it():
    hidden = set()
    for name in modules():
        package, _, own = name.rpartition(".")
        if not package or own == "__main__":
            continue
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("bayesdip"):
                raise
            continue  # an optional dependency is not installed
        if getattr(import_module(package), own) is not module:
            hidden.add(name)
    assert not hidden, f"{sorted(hidden)}: rename the function or the module"


def test_public_names_exist():
    for name, path in modules().items():
        if path.name != "__init__.py":
            continue
        package = import_module(name)
        for public in getattr(package, "__all__", ()):
            assert hasattr(package, public), f"{name}.__all__ has {public!r}, which is not there"


@pytest.mark.parametrize("name", ["api", "methods", "io"])
def test_a_part_can_be_imported_by_itself(name):
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", f"import bayesdip.{name}"], check=True, timeout=120)
