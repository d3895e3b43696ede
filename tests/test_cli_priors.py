"""Looking at a prior from the command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bayesdip import arch
from bayesdip.arch.layerwise import layerwise_covariance
from bayesdip.cli import app
from bayesdip.errors import BayesDipError

NETWORK = "skip(scales=2, width=16)"


def run(*words):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", [NETWORK, "decoder(scales=2)", "shuffle(scales=1)"])
def test_the_walk_ends_at_the_kernel(name, dims):
    described = arch.named(name)
    last = list(layerwise_covariance(described, dims))[-1]
    expected = described.kernel(7, dims).quadrant((8, *[1] * (dims - 1))).flatten()
    assert np.allclose(last.correlation(8), expected, atol=1e-12)


def test_kernel_prints_every_layer_and_the_values():
    shown = run("kernel", NETWORK)
    assert shown.exit_code == 0
    assert shown.output.count("Upsample") == 2 and "at infinity" in shown.output


def test_kernel_as_json_is_one_object_with_the_values_of_the_library():
    facts = json.loads(run("kernel", NETWORK, "--json", "--lags", "5").output)
    assert np.allclose(facts["values"], arch.named(NETWORK).kernel(lags=5).values)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_figures_are_written_and_not_replaced_without_force(ending, tmp_path):
    figure = tmp_path / f"figure.{ending}"
    for command in (["kernel", NETWORK], ["sample", NETWORK, "--count", "2", "--size", "16"]):
        figure.unlink(missing_ok=True)
        assert run(*command, "-o", str(figure)).exit_code == 0
        before = figure.read_bytes()
        assert len(before) > 5000
        refused = run(*command, "-o", str(figure))
        assert refused.exit_code == 2 and figure.read_bytes() == before
        assert run(*command, "-o", str(figure), "--force").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["kernel", "nope"],
        ["kernel", "skip(scales=x"],
        ["kernel", "skip(scale=2)"],
        ["kernel", NETWORK, "--dims", "4"],
        ["kernel", NETWORK, "-o", "figure.txt"],
        ["sample", NETWORK, "--count", "0"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words):
    refused = run(*words)
    assert refused.exit_code == 2
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["skip", "skip()", "skip(scales=3, width=64, upsample='nearest')", " decoder ( slope = 0.1 )"]
)
def test_a_description_reads_back(text):
    described = arch.named(text)
    assert arch.named(described.describe()) == described


def test_settings_without_names_are_refused():
    with pytest.raises(BayesDipError, match="scales=2"):
        arch.named("skip(3)")
