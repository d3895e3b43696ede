"""Filters that are not compiled yet: compiling is told, or left out where there is no time for it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.patches import compilation, machine_code
from bayesdip.patches.chain import chain_of

NOISY = np.random.default_rng(0).normal(np.add.outer(np.arange(32.0), np.arange(32.0)) * 3, 10)


def phases(**options):
    seen = []
    found = bd.denoise(NOISY, 10, method="patches", callback=lambda s: seen.append(s.phase), **options)
    return found, seen


def test_a_filter_that_ran_is_compiled_and_so_it_is_for_the_next_process():
    bd.denoise(NOISY, 10, method="patches")
    chain = chain_of("balanced", 1)
    assert compilation.is_compiled(chain)
    from bayesdip.patches.group_filters import combine

    class Fresh:
        """The same function in a process that has not called it."""

        signatures = ()
        py_func = combine.py_func
        stats = combine.stats
        __name__ = combine.__name__

    assert compilation._is_ready(Fresh())


def test_compiling_is_told_and_left_out_where_there_is_no_time(monkeypatch):
    monkeypatch.setattr(compilation, "_is_ready", lambda function: False)
    found, seen = phases()
    assert "compiling" in seen and "chain" in found.info["model"]
    found, seen = phases(time_budget=20.0)
    assert "compiling" not in seen and found.info["model"] == "NL-Bayes"
    monkeypatch.undo()
    assert phases(time_budget=20.0)[0].info["model"] == phases()[0].info["model"]


def test_where_nothing_can_be_kept_each_process_compiles(monkeypatch):
    nowhere = "/proc/nowhere"  # no folder can be made there
    monkeypatch.setenv("XDG_CACHE_HOME", nowhere)
    made = {}
    exec(compile("def twice(x):\n    return 2 * x\n", f"{nowhere}/twice.py", "exec"), made)
    twice = machine_code.compiled(made["twice"])
    assert twice.stats.cache_path is None
    assert not compilation._is_ready(twice)
    assert twice(1.5) == 3 and compilation._is_ready(twice)


LOADS_ALL = """
from bayesdip.patches import eigenvectors, group_filters, machine_code, patch_search, small_matrices
for module in (machine_code, small_matrices, eigenvectors, patch_search, group_filters):
    for function in list(vars(module).values()):
        if hasattr(function, "_cache"):
            for signature, *_ in function._cache._cache_file._load_index():
                function.compile(signature)
"""
DENOISES = """
import numpy as np, bayesdip as bd
noisy = np.random.default_rng(0).normal(np.add.outer(np.arange(32.0), np.arange(32.0)) * 3, 10)
found = bd.denoise(noisy, 10, method="patches")
print(found.held_out, found.mean.tobytes().hex())
"""


@pytest.mark.slow
def test_results_do_not_depend_on_what_was_compiled_or_loaded_before(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    compiling, loading, loading_all = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for code in (DENOISES, DENOISES, LOADS_ALL + DENOISES)
    )
    assert compiling == loading == loading_all and len(compiling) > 1000


ROOT = Path(__file__).parents[1]
TELLS_OF_COMPILING = """
import sys, numpy as np, bayesdip as bd
x = 100 * np.random.default_rng(1).random((40, 40))
hidden = np.random.default_rng(2).random(x.shape) < 0.6
colour = np.stack([x] * 3, -1)
def told(snapshot):
    if snapshot.phase == "compiling":
        sys.exit("compiling")
for effort in ("fast", "balanced"):
    bd.denoise(x, 5, callback=told, effort=effort)
    bd.denoise(colour, 5, channel_axis=-1, callback=told, effort=effort)
    bd.inpaint(x, hidden, callback=told, effort=effort)
bd.upscale(x, 2, callback=told, effort="fast")
bd.deblur(x, np.ones((3, 3)) / 9, sigma=2, callback=told, effort="fast")
"""


@pytest.mark.slow
def test_the_image_has_compiled_what_a_first_run_in_a_container_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (code,) = re.findall(r'RUN python -c "(.+)" ', (ROOT / "Dockerfile").read_text())
    for text in (code, TELLS_OF_COMPILING):
        subprocess.run([sys.executable, "-c", text], check=True)


def test_the_time_that_compiling_takes_is_no_part_of_the_estimate(monkeypatch):
    calls = []

    def ready(function):
        calls.append(function)
        return len(calls) > 8  # compiled in the course of the run

    monkeypatch.setattr(compilation, "_is_ready", ready)
    seen = phases()[1]
    begun = seen.index("patches")
    assert "compiling" in seen[:begun] and "compiling" not in seen[begun:]
    assert "estimate" not in seen[:begun]
