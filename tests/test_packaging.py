"""What a user installs: bounds that the tests of the lowest versions use, and what `bayesdip doctor` says of it."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from typer.testing import CliRunner

from bayesdip.cli import app, doctor
from bayesdip.cli.noise_choice import NOISES
from bayesdip.methods import NAMES
from bayesdip.networks.stopping import RULES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def test_the_lowest_versions_that_are_tested_are_the_lower_bounds():
    lowest = pins("constraints-lowest.txt")
    extras = PROJECT["optional-dependencies"]
    optional = [text for name in extras if name not in doctor.NOT_FEATURES for text in extras[name]]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *optional]):
        (bound,) = (part for part in requirement.specifier if part.operator == ">=")
        if requirement.name not in ("torch", "deepinv", "napari"):  # too large a download for a test
            assert lowest[canonicalize_name(requirement.name)] == Version(bound.version), requirement


def test_the_lowest_versions_are_tested_with_every_extra_that_they_name():
    asked = re.search(r"\.\[([a-z,]+)\]", (ROOT / ".ci" / "lowest").read_text())
    whole = {"formats": ["dicom", "exr", "fits", "nifti", "raw"]}
    named = [one for name in asked[1].split(",") for one in whole.get(name, [name])]
    assert {*named} == {*PROJECT["optional-dependencies"]} - {*doctor.NOT_FEATURES, "deepinv", "napari"}


def test_what_is_pinned_is_within_the_ranges_of_every_extra():
    pinned = pins("constraints.txt")
    extras = PROJECT["optional-dependencies"].values()
    for requirement in map(Requirement, [*PROJECT["dependencies"], *chain(*extras)]):
        if requirement.name != "bayesdip":
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_every_extra_is_said_by_doctor_to_be_for_something():
    assert {*doctor.FEATURES, *doctor.NOT_FEATURES} == {*PROJECT["optional-dependencies"]}


@pytest.fixture
def metadata(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy>=1.26", 'starlette>=0.4; extra == "studio"'])
    return monkeypatch


def test_doctor_tells_versions_and_the_machine(metadata):
    metadata.setattr(doctor, "version", lambda name: "9.8")
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 0
    assert "numpy                 9.8" in said.stdout and "starlette 9.8" in said.stdout
    assert "cores" in said.stdout and "GiB free" in said.stdout and "GPU" in said.stdout


def test_doctor_says_which_feature_lacks_what_and_how_to_have_it(metadata):
    def version(name: str) -> str:
        if name == "starlette":
            raise doctor.PackageNotFoundError
        return "9.8"

    metadata.setattr(doctor, "version", version)
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 0
    assert "(bayesdip studio): missing: pip install 'bayesdip[studio]'" in said.stdout


def test_doctor_ends_with_an_error_without_what_everything_needs(metadata):
    def version(name: str) -> str:
        raise doctor.PackageNotFoundError

    metadata.setattr(doctor, "version", version)
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 1
    assert "missing: numpy; pip install numpy" in said.stderr


def test_doctor_as_json():
    content = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert content["machine"]["cores"] >= 1
    assert {"name", "version", "extra"} == {*content["packages"][0]}


def completed(shell: str, typed: str, **asked: str):
    """What the program answers a shell that completes these words."""
    words = len(typed.split()) - (not typed.endswith(" "))
    asked |= {"COMP_WORDS": typed, "COMP_CWORD": str(words), "_TYPER_COMPLETE_ARGS": typed}
    asked["_BAYESDIP_COMPLETE"] = f"complete_{shell}"
    return CliRunner().invoke(app, [], env=asked, prog_name="bayesdip")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("bayesdip den", "denoise"),
        ("bayesdip denoise --ef", "--effort"),
        ("bayesdip denoise a.png --effort ", "balanced"),
        ("bayesdip upscale a.png --kind b", "bicubic"),
        ("bayesdip batch inpaint a.png --missing n", "nan"),
    ],
)
def test_the_shell_completes(typed, offered):
    assert offered in completed("bash", typed).stdout.split()


def test_what_is_offered_for_method_and_noise_is_what_there_is():
    offered = completed("bash", "bayesdip denoise a.png --method ").stdout.split()
    assert {*offered} == {"auto", *NAMES}
    assert completed("bash", "bayesdip denoise a.png --noise ").stdout.split() == [*NOISES]
    assert {*completed("bash", "bayesdip denoise a.png --stop ").stdout.split()} == {*RULES}


@pytest.mark.parametrize(
    ("typed", "code"), [("--effort ", 0), ("no", 1), ("-o ", 1), ("--std u", 1), ("a.png --meth", 0)]
)
def test_fish_is_told_to_offer_files_where_there_are_no_words(typed, code):
    typed = f"bayesdip denoise {typed}"
    assert completed("fish", typed, _TYPER_COMPLETE_FISH_ACTION="is-args").exit_code == code


# Packages that conda-forge calls by another name.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()
    for requirement in map(Requirement, PROJECT["dependencies"]):
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        assert f"    - {name} {requirement.specifier}\n" in recipe.split("run:")[1], requirement
