"""Bad input to the command line: one clear line, exit code 2, and no existing file touched."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bayesdip import holdout
from bayesdip.cli import app

GP = ["--method", "gp", "--effort", "fast"]
STACK = ["--method", "stack"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with good files and bad ones, which is the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (8, 10)).astype(np.uint8)
    Image.fromarray(gray).save("good.png")
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save("whole.png")
    Image.open("whole.png").save("whole.jpg")
    for name in ("png", "jpg"):
        data = Path(f"whole.{name}").read_bytes()
        Path(f"truncated.{name}").write_bytes(data[: len(data) // 2])
    Path("folder").mkdir()
    Path("text.png").write_text("this is no picture")
    Path("empty.png").touch()
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        holed = gray.astype(np.float32)
        holed[2, 3] = value
        np.save(f"{name}.npy", holed)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("other_size.png")
    Image.fromarray(np.zeros((8, 10), np.uint8)).save("nothing_missing.png")
    Image.fromarray(np.full((8, 10), 255, np.uint8)).save("nothing_known.png")
    half = np.zeros((8, 10), np.uint8)
    half[:, ::2] = 255
    Image.fromarray(half).save("mask.png")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save("black_psf.png")
    Path("kept.png").write_bytes(b"precious")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(folder, words, said):
    before = contents(folder)
    result = run(*words)
    lines = result.stderr.splitlines()
    assert result.exit_code == 2, result.stderr
    errors = [line for line in lines if line.startswith("bayesdip: error: ")]
    assert len(errors) == 1 and said in errors[0]
    assert all(line.startswith(("bayesdip: error: ", "note: ")) for line in lines)
    assert result.stdout == ""
    assert contents(folder) == before


BAD = {
    "missing file": (["denoise", "nowhere.png"], "no such file"),
    "directory": (["denoise", "folder"], "is a directory"),
    "text named .png": (["denoise", "text.png"], "not a picture"),
    "truncated PNG": (["denoise", "truncated.png"], "damaged or cut short"),
    "truncated JPEG": (["denoise", "truncated.jpg"], "damaged or cut short"),
    "zero bytes": (["denoise", "empty.png"], "empty"),
    "NaN": (["denoise", "nan.npy", "-o", "out.npy"], "missing='nan'"),
    "infinity": (["denoise", "infinite.npy", "-o", "out.npy"], "1 value that is NaN or infinite"),
    "mask of another size": (["inpaint", "good.png", "--mask", "other_size.png"], "10x8 pixels"),
    "nothing missing": (["inpaint", "good.png", "--mask", "nothing_missing.png"], "nothing missing"),
    "nothing known": (["inpaint", "good.png", "--mask", "nothing_known.png"], "nothing known"),
    "no mask": (["inpaint", "good.png"], "give --mask"),
    "no such mask": (["inpaint", "good.png", "--mask", "nowhere.png"], "no such file"),
    "NaN in inpaint": (["inpaint", "nan.npy", "--mask", "mask.png", "-o", "out.npy"], "NaN or infinite"),
    "unknown --missing": (["inpaint", "good.png", "--missing", "zero"], "missing is 'zero'"),
    "negative sigma": (["denoise", "good.png", "--sigma", "-5"], "sigma is -5"),
    "sigma that is no number": (["denoise", "good.png", "--sigma", "much"], "expected auto, a number"),
    "infinite sigma": (["denoise", "good.png", "--sigma", "inf"], "sigma is inf"),
    "sigma for other channels": (["denoise", "good.png", "--sigma", "5,6,7"], "one for each channel"),
    "unknown noise": (["denoise", "good.png", "--noise", "pink"], "noise is 'pink'"),
    "gain without counts": (["denoise", "good.png", "--gain", "2"], "--gain"),
    "gain of zero": (["denoise", "good.png", "--noise", "poisson", "--gain", "0"], "gain is 0"),
    "sigma with poisson": (["denoise", "good.png", "--noise", "poisson", "--sigma", "3"], "poisson-gaussian"),
    "factor 0": (["upscale", "good.png", "--factor", "0"], "--factor"),
    "factor 2.5": (["upscale", "good.png", "--factor", "2.5"], "--factor"),
    "unknown kind": (["upscale", "good.png", "--kind", "magic"], "kind is 'magic'"),
    "black psf": (["deblur", "good.png", "--psf", "black_psf.png"], "sums to 0"),
    "no psf": (["deblur", "good.png"], "--psf"),
    "unknown boundary": (["deblur", "good.png", "--psf", "mask.png", "--boundary", "x"], "boundary is 'x'"),
    "unknown method": (["denoise", "good.png", "--method", "guess"], "method is 'guess'"),
    "unknown device": (["denoise", "good.png", "--device", "abacus"], "device 'abacus'"),
    "unknown effort": (["denoise", "good.png", "--effort", "some"], "effort is 'some'"),
    "unknown network": (["denoise", "good.png", "--method", "map", "--arch", "tower"], "tower"),
    "unknown kernel": (["denoise", "good.png", "--method", "gp", "--kernel", "pop"], "pop"),
    "unknown sampler": (
        ["denoise", "good.png", "--method", "sgld", "--sampler", "dice"],
        "sampler is 'dice'",
    ),
    "unknown optimiser": (["denoise", "good.png", "--method", "map", "--optimiser", "x"], "optimiser is 'x'"),
    "unknown preset": (["denoise", "good.png", "--preset", "newest"], "preset is 'newest'"),
    "negative temperature": (
        ["denoise", "good.png", "--method", "sgld", "--temperature", "-1"],
        "temperature is -1",
    ),
    "negative samples": (["denoise", "good.png", "--samples", "-1"], "samples is -1"),
    "negative seed": (["denoise", "good.png", "--seed", "-1"], "seed is -1"),
    "no chain": (["inpaint", "good.png", "--mask", "mask.png", *STACK, "--chains", "0"], "chains is 0"),
    "no time": (["denoise", "good.png", "--time-budget", "0"], "time_budget is 0"),
    "option of another method": (
        ["denoise", "good.png", "--method", "gp", "--sampler", "psgld"],
        "it belongs to sgld",
    ),
    "network option of patches": (
        ["denoise", "good.png", "--method", "patches", "--samples", "4"],
        "gp, sgld",
    ),
    "kernel of a stack": (["denoise", "good.png", *STACK, "--kernel", "rbf"], "it belongs to gp"),
    "option of no chosen method": (
        ["denoise", "good.png", "--sample-sigma"],
        "--sample-sigma was given with --method auto, which chooses the options itself: expected a method that has it; "
        "use --method sgld",
    ),
    "the paper's recipe of another method": (
        ["denoise", "good.png", "--method", "gp", "--preset", "paper"],
        "use --method sgld",
    ),
    "what the paper's recipe has not": (
        ["denoise", "good.png", "--preset", "paper", "--stop", "sure"],
        "map",
    ),
    "patches by their old name": (["denoise", "good.png", "--kernel", "nonlocal"], "use --method patches"),
    "a method of the lab": (["denoise", "good.png", "--method", "variational"], "bayesdip.lab.methods"),
    "unknown option": (["denoise", "good.png", "--sharpen"], "--sharpen"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_code_2(here, words, said):
    assert_refused(here, words if "-o" in words else [*words, "-o", "out.png"], said)


BAD_OUTPUTS = {
    "exists": (["-o", "kept.png"], "--force"),
    "no such folder": (["-o", "nowhere/out.png"], "folder does not exist"),
    "a file as folder": (["-o", "kept.png/out.png"], "kept.png"),
    "no writable folder": (["-o", "/proc/out.png"], "/proc/out.png"),
    "a directory": (["-o", "folder"], "folder"),
    "unknown format": (["-o", "out.xyz"], ".xyz"),
    "std exists": (["-o", "out.png", "--std", "kept.png"], "kept.png"),
    "std in 8 bits": (["-o", "out.png", "--std", "std.png"], "floating-point"),
    "std exists as .npy": (["-o", "out.png", "--std", "nan.npy"], "--force"),
    "std of a single fit": (
        ["-o", "out.png", "--std", "std.tif", "--method", "map"],
        "no standard deviation",
    ),
    "report in a file": (["-o", "out.png", "--report", "kept.png"], "is a file"),
    "report in no writable folder": (["-o", "out.png", "--report", "/proc/page"], "/proc/page"),
    "resume in a file": (["-o", "out.png", "--resume", "kept.png/there"], "is a file"),
    "two outputs in one file": (["-o", "out.npy", "--std", "out.npy"], "same file"),
    "no output": ([], "--output"),
}


@pytest.mark.parametrize(("words", "said"), BAD_OUTPUTS.values(), ids=BAD_OUTPUTS.keys())
def test_outputs_are_refused_before_the_run(here, monkeypatch, words, said):
    def never(*args, **options):
        raise AssertionError("the run began")

    monkeypatch.setattr(holdout, "run", never)
    assert_refused(here, ["denoise", "good.png", *words], said)


def test_a_result_that_does_not_fit_in_memory_is_told_before_the_run(here):
    words = ["upscale", "good.png", "-o", "out.npy", "--factor", "100000"]
    assert_refused(here, words, "a result of 800000 x 1000000 needs up to")


def test_an_existing_report_is_kept(here):
    Path("page").mkdir()
    Path("page/report.html").write_text("precious")
    assert_refused(
        here, ["denoise", "good.png", "-o", "out.png", "--report", "page"], "report.html: exists already"
    )


def test_float_pictures_are_refused_for_png_before_the_run(here):
    np.save("float.npy", np.random.default_rng(0).random((5, 5)))
    assert_refused(here, ["denoise", "float.npy", "-o", "out.png"], "samples of type float64")


def test_a_full_disk_is_one_line_and_leaves_no_torn_file(here, monkeypatch):
    from bayesdip.io import writing

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    before = contents(here)
    result = run("denoise", "good.png", "-o", "kept.png", "--force", "--sigma", "5", *GP)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("bayesdip: error: kept.png: the disk is full")
    assert contents(here) == before


def test_a_failing_output_does_not_cost_the_others(here, monkeypatch):
    from bayesdip.cli import restoring

    write = restoring.io.write_picture

    def full(path, *args, **options):
        if path.name == "out.png":
            raise OSError(errno.ENOSPC, "No space left on device", "out.png")
        return write(path, *args, **options)

    monkeypatch.setattr(restoring.io, "write_picture", full)
    result = run(
        "denoise", "good.png", "-o", "out.png", "--std", "std.npy", "--resume", "kept", "--sigma", "5", *GP
    )
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("bayesdip: error: out.png: No space left on device")
    assert Path("std.npy").exists() and Path("kept/restoration.npz").exists()


def test_running_out_of_memory_is_one_line(here, monkeypatch):
    def out(*args, **options):
        raise MemoryError

    monkeypatch.setattr(holdout, "run", out)
    assert_refused(here, ["denoise", "good.png", "-o", "out.png"], "the memory ran out")


def test_control_characters_of_a_file_name_are_escaped(here):
    result = run("denoise", "bad\x1b[31m\nname.png", "-o", "out.png")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr and len(result.stderr.splitlines()) == 1


def test_an_error_with_json_is_one_object_too(here):
    result = run("denoise", "nowhere.png", "-o", "out.png", "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert told["error"]["type"] == "FileError"
    assert told["error"]["message"] in result.stderr


def test_a_defect_of_the_program_still_shows_itself(here, monkeypatch):
    def defect(*args, **options):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(holdout, "run", defect)
    assert isinstance(run("denoise", "good.png", "-o", "out.png").exception, ZeroDivisionError)
