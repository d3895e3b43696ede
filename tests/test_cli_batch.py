"""``bayesdip batch``: the verb's own result for each picture, one line for each that fails, and a folder that is never torn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from typer.testing import CliRunner

from bayesdip import io
from bayesdip.cli import app

GP = ("--method", "gp", "--effort", "fast")
PROGRAM = [sys.executable, "-c", "from bayesdip.cli import main; main()"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three small noisy pictures, one of another format, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 24)[:, None] + np.linspace(0, 40, 20)
    Path("in").mkdir()
    for name in ("a.png", "b c.png", "ü.tif"):
        noisy = ramp + 10 * rng.standard_normal(ramp.shape)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(f"in/{name}")
    Path("in/no.png").write_bytes(b"no picture")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def records(folder="out"):
    lines = (Path(folder) / "batch.jsonl").read_text().splitlines()
    return {record["output"]: record for record in map(json.loads, lines)}


def test_every_output_is_that_of_the_verb_alone_whatever_the_workers(here):
    words = ("--sigma", 10, "--std", "std", "--report", "pages", *GP)
    result = run("batch", "denoise", "in", "-o", "out", *words, "--workers", 2)
    assert result.exit_code == 1, "one of the files is no picture"
    assert run("batch", "in/*", "-o", "one", *GP, "--sigma", 10, "--workers", 1).exit_code == 1
    for name in ("a.png", "b c.png", "ü.tif"):
        stem = Path(name).stem
        assert run("denoise", f"in/{name}", "-o", "alone.tif", "--std", "alone_std.tif", "--force", "--sigma", 10,
                   *GP).exit_code == 0  # fmt: skip
        np.testing.assert_array_equal(
            io.read_picture(f"out/{name}").pixels, io.read_picture("alone.tif").pixels
        )
        assert Path(f"std/{stem}_std.tif").read_bytes() == Path("alone_std.tif").read_bytes()
        assert Path(f"one/{name}").read_bytes() == Path(f"out/{name}").read_bytes()
        assert Path(f"pages/{stem}/report.html").is_file()
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["picture", "method", "sigma", "error"] and len(lines) == 6
    assert lines[4].startswith("failed: in/no.png: is not a picture")
    assert "3 restored, 1 failed" in lines[5] and "4 pictures to restore, 2 workers" in result.stderr
    kept = records()
    assert kept["no.png"]["error"]["type"] == "FileError" and kept["a.png"]["error"] is None
    assert kept["a.png"]["sigma"] == [10.0] and kept["a.png"]["options"]["sigma"] == "10"
    assert kept["a.png"]["seconds"] > 0 and kept["a.png"]["findings"] == []
    assert {path.name for path in Path("out").iterdir()} == {"a.png", "b c.png", "ü.tif", "batch.jsonl"}


def test_run_again_does_what_is_missing_or_changed(here):
    Path("in/no.png").unlink()
    words = ("batch", "in/*", "-o", "out", "--workers", 1, "--json", *GP)
    first = json.loads(run(*words, "--sigma", 10).stdout)
    assert (first["done"], first["left_alone"], first["failed"]) == (3, 0, 0)
    before = Path("out/a.png").stat().st_mtime_ns
    again = run(*words, "--sigma", 10)
    assert json.loads(again.stdout)["left_alone"] == 3 and "3 are done already" in again.stderr
    Image.fromarray(np.full((9, 9), 7, np.uint8)).save("in/b c.png")
    assert json.loads(run(*words, "--sigma", 10).stdout)["left_alone"] == 2
    assert Path("out/a.png").stat().st_mtime_ns == before
    other = json.loads(run(*words, "--sigma", 20).stdout)
    assert other["done"] == 3 and other["records"][0]["options"]["sigma"] == "20"


def test_every_picture_has_its_mask_and_masks_are_not_restored(here):
    Path("in/no.png").unlink()
    rng = np.random.default_rng(1)
    for name in ("a", "b c", "ü"):
        missing = rng.random((24, 20)) < 0.3
        Image.fromarray((255 * missing).astype(np.uint8)).save(f"in/{name}_mask.png")
    result = run("batch", "inpaint", "in", "-o", "out", "--mask", "in/*_mask.png", "--workers", 1, *GP)
    assert result.exit_code == 0, result.stderr
    assert "note: not restored, being a mask or a blur: in/a_mask.png" in result.stderr
    assert set(records()) == {"a.png", "b c.png", "ü.tif"}
    for name, mask in (("a.png", "a"), ("ü.tif", "ü")):
        run("inpaint", f"in/{name}", "-o", f"x{name}", "--mask", f"in/{mask}_mask.png", *GP)
        assert Path(f"x{name}").read_bytes() == Path(f"out/{name}").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("in/*.bmp", "-o", "out"), "in/*.bmp: matches no file"),
        (("in", "-o", "in"), "in/a.png: is an input, and would be an output"),
        (("in", "-o", "out", "--sigma", "much"), "sigma is 'much'"),
        (("in", "-o", "out", "--gain", "2"), "--gain was given with --noise auto"),
        (("in", "-o", "out", "--kernel", "rbf"), "use --method gp"),
        (("in", "-o", "out", "--workers", "0"), "workers is 0"),
        (("in", "-o", "out", "--method", "map", "--std", "std"), "which has no standard deviation"),
        (("in", "-o", "out", "--resume", "kept"), "No such option"),
        (("inpaint", "in", "-o", "out", "--mask", "in/*.tif"), "in/a.png: 0 masks"),
        (("deblur", "in", "-o", "out", "--psf", "none.npy"), "none.npy: no such file"),
        (("deblur", "in", "-o", "out"), "'--psf'"),
        (("in", "-o", "out", "--scheduler", "tcp://x:1", "--workers", "2"), "both given"),
    ],
)
def test_what_can_be_refused_is_refused_in_one_line_before_anything_is_done(here, words, said):
    result = run("batch", *words)
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1 and not Path("out").exists()


def test_an_existing_file_is_refused_and_overwrite_replaces_it(here):
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"mine")
    words = ("batch", "in/a.png", "-o", "out", *GP)
    refused = run(*words)
    assert refused.exit_code == 2 and "out/a.png: exists already" in refused.stderr
    assert Path("out/a.png").read_bytes() == b"mine"
    assert run(*words, "--overwrite").exit_code == 0
    assert io.read_picture("out/a.png").pixels.shape == (24, 20)


def test_one_verb_that_is_given_several_pictures_or_a_folder_names_batch(here):
    several = run("denoise", "in/a.png", "in/b c.png", "-o", "out")
    assert several.exit_code == 2 and "bayesdip batch denoise 'in/*.png' -o out/" in several.stderr
    folder = run("inpaint", "in", "-o", "out.png")
    assert folder.exit_code == 2 and "bayesdip batch inpaint in -o OUT" in folder.stderr


def test_a_message_of_a_worker_names_the_file_as_it_will_be_called(here):
    np.save("in/f.npy", np.random.default_rng(0).random((9, 9)))
    os.rename("in/f.npy", "in/f.png")
    result = run("batch", "in/f.png", "-o", "out", *GP)
    assert result.exit_code == 1 and "out/f.png" in result.stdout and ".bayesdip-batch" not in result.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_keeps_what_is_finished_and_the_next_one_goes_on(here, ended_by):
    Path("in/no.png").unlink()
    words = [*PROGRAM, "batch", "in", "-o", "out", "--workers", "1"]
    ending = subprocess.Popen(
        [*words, "--method", "map", "--time-budget", "8"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # whoever runs the tests in the background ignores it, and children would do so too
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    journal = Path("out/batch.jsonl")
    end = time.monotonic() + 120
    while not (journal.exists() and journal.read_text()) and time.monotonic() < end:
        time.sleep(0.1)
    workers = psutil.Process(ending.pid).children(recursive=True)
    # A terminal sends Ctrl-C to all of its processes.
    os.killpg(ending.pid, ended_by) if ended_by == signal.SIGINT else ending.send_signal(ended_by)
    said, errors = ending.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert workers and not alive
    done = list(records())
    if ended_by == signal.SIGKILL:  # a line stands before its file
        done = [name for name in done if Path("out", name).is_file()]
    assert len(done) < 3 and all(Path("out", name).is_file() for name in done)
    if ended_by == signal.SIGKILL:
        assert ending.returncode == -signal.SIGKILL
    else:
        assert done and ending.returncode == 130 and "the same command goes on from here" in said
        there = {path.name for path in Path("out").iterdir()} - {
            ".bayesdip-checkpoints"
        }  # of what was under way
        assert there == {*done, "batch.jsonl"}
    again = run("batch", "in", "-o", "out", "--workers", 1, "--method", "map", "--time-budget", 8, "--json")
    assert again.exit_code == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["left_alone"] == len(done) and told["done"] == 3 - len(done)
    assert {path.name for path in Path("out").iterdir()} == {"a.png", "b c.png", "ü.tif", "batch.jsonl"}
