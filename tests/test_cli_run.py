"""What a run of the command line writes, says and keeps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bayesdip import holdout, io
from bayesdip.cli import app

GP = ("--method", "gp", "--effort", "fast")
PROGRAM = [sys.executable, "-c", "from bayesdip.cli import main; main()"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a small noisy picture, which is the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 24)[:, None] + np.linspace(0, 40, 20)
    Image.fromarray(np.clip(ramp + 10 * rng.standard_normal((24, 20)), 0, 255).astype(np.uint8)).save(
        "in.png"
    )
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def told_by(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)


def test_json_is_one_object_with_the_documented_fields(here):
    told = told_by("denoise", "in.png", "-o", "out.png", "--sigma", 10, "--std", "std.tif", *GP)
    documented = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    table = documented.split("## `--json`")[1].split("`bayesdip demo --json`")[0]
    named = {
        name.strip(" `")
        for line in table.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].split(",")
    }
    assert set(told) == named
    assert told["schema"] == 2 and told["task"] == "denoise" and told["sigma"] == [10.0]
    assert told["input"] == {
        "path": "in.png", "format": "PNG", "shape": [24, 20], "dtype": "uint8", "bits": 8, "colour": "gray",
    }  # fmt: skip
    assert told["files"] == {"output": "out.png", "std": "std.tif", "report": None, "resume": None}
    assert told["sigma_estimated"] is False and told["stopped"] == "finished"


def test_the_estimated_sigma_is_told(here):
    told = told_by("denoise", "in.png", "-o", "out.png", *GP)
    assert told["sigma_estimated"] is True and told["sigma"][0] == pytest.approx(10, rel=0.5)
    assert "(estimated: Gaussian noise" in run("denoise", "in.png", "-o", "two.png", *GP).stdout


def test_the_summary_says_what_was_done_on_one_screen(here):
    result = run(
        "denoise", "in.png", "-o", "out.png", "--sigma", 10, "--std", "std.tif", "--report", "page", *GP
    )
    lines = result.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 110
    for words in (
        "20 x 24 pixels, 8-bit PNG",
        "noise sigma     10 (Gaussian noise, sigma 10)",
        "method          gp (kernel of network 'skip', effort fast)",
        "why             the posterior of a Gaussian process, in closed form: as asked for",
        "mean std",
        "held-out error",
    ):
        assert words in result.stdout
    for name in ("out.png", "std.tif", "page/report.html"):
        assert name in result.stdout and Path(name).exists()
    assert "\x1b" not in result.stdout + result.stderr


def test_restoring_lowers_the_noise_in_the_written_file(here):
    assert run("denoise", "in.png", "-o", "out.png", *GP).exit_code == 0
    ramp = np.linspace(40, 200, 24)[:, None] + np.linspace(0, 40, 20)
    error = {name: np.std(io.read_picture(name).pixels - ramp) for name in ("in.png", "out.png")}
    assert error["out.png"] < 0.8 * error["in.png"]


def test_one_sigma_for_each_channel_is_taken(here):
    colour = np.random.default_rng(0).integers(0, 255, (9, 9, 3)).astype(np.uint8)
    Image.fromarray(colour).save("colour.png")
    told = told_by("denoise", "colour.png", "-o", "out.png", "--sigma", "5,6,7.5", *GP)
    assert told["sigma"] == [5.0, 6.0, 7.5]


def test_force_replaces_an_output(here):
    Path("out.png").write_bytes(b"old")
    assert run("denoise", "in.png", "-o", "out.png", "--force", *GP).exit_code == 0
    assert io.read_picture("out.png").pixels.shape == (24, 20)


def test_what_the_format_cannot_keep_is_said(here):
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save("deep.png")
    result = run("denoise", "deep.png", "-o", "out.webp", *GP)
    assert "note: 16 bits became 8" in result.stderr
    assert any(
        "16 bits became 8" in note for note in told_by("denoise", "deep.png", "-o", "two.webp", *GP)["notes"]
    )


def test_resume_takes_the_same_request_from_the_folder(here, monkeypatch):
    words = ("denoise", "in.png", "--sigma", 10, "--resume", "kept", *GP)
    first = told_by(*words, "-o", "out.png")
    assert not first["resumed"] and Path("kept/restoration.npz").exists()

    monkeypatch.setattr(holdout, "run", lambda *a, **k: pytest.fail("it was computed again"))
    again = told_by(*words, "-o", "again.png", "--std", "std.npy")
    assert again["resumed"] and again["seconds"] == first["seconds"]
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()
    assert "taken from      kept" in run(*words, "-o", "third.png").stdout


@pytest.mark.parametrize(
    ("source", "change", "said"),
    [
        ("in.png", ("--seed", 1), "seed is 0 there, 1 here"),
        ("in.png", ("--sigma", 11), "sigma is 10.0 there, 11.0 here"),
        ("other.png", (), "input is"),
    ],
)
def test_resume_refuses_another_request_and_force_replaces_it(here, source, change, said):
    assert run("denoise", "in.png", "-o", "a.png", "--sigma", 10, "--resume", "kept", *GP).exit_code == 0
    Image.fromarray(255 - np.asarray(Image.open("in.png"))).save("other.png")
    words = ("denoise", source, "-o", "b.png", "--sigma", 10, "--resume", "kept", *GP, *change)
    kept = Path("kept/restoration.npz").read_bytes()
    refused = run(*words)
    assert refused.exit_code == 2 and said in refused.stderr
    assert Path("kept/restoration.npz").read_bytes() == kept and not Path("b.png").exists()
    assert run(*words, "--force").exit_code == 0
    assert told_by(*words[:2], "-o", "c.png", *words[4:])["resumed"]


def test_resume_refuses_a_damaged_folder(here):
    words = ("denoise", "in.png", "--sigma", 10, "--resume", "kept", *GP)
    assert run(*words, "-o", "a.png").exit_code == 0
    Path("kept/restoration.npz").write_bytes(b"torn")
    result = run(*words, "-o", "b.png")
    assert result.exit_code == 2 and "holds no restoration that can be read" in result.stderr
    assert not told_by(*words, "-o", "b.png", "--force")["resumed"]


def test_an_interrupted_result_in_the_folder_is_computed_anew(here):
    words = ("denoise", "in.png", "--sigma", 10, "--resume", "kept", *GP)
    assert run(*words, "-o", "a.png").exit_code == 0
    facts = json.loads(Path("kept/restoration.json").read_text())
    Path("kept/restoration.json").write_text(json.dumps(facts | {"stopped": "interrupted"}))
    assert not told_by(*words, "-o", "b.png")["resumed"]


def test_the_report_repeats_the_command_as_it_was_typed(here):
    Path("a b.png").write_bytes(Path("in.png").read_bytes())
    words = ("denoise", "a b.png", "-o", "out.png", "--report", "page", "--seed", "7", *GP)
    assert run(*words).exit_code == 0
    page = Path("page/report.html").read_text(encoding="utf-8")
    assert "bayesdip denoise &#39;a b.png&#39; -o out.png --report page --seed 7 --method gp" in page


def test_a_run_without_two_samples_says_that_there_is_no_std(here, monkeypatch):
    from bayesdip.cli import verbs

    def without_std(picture, choice, missing):
        work = denoising(picture, choice, missing)

        def run_without(**options):
            from dataclasses import replace

            return replace(work.run(**options), std=None, stopped="interrupted")

        return verbs.Work(run_without, work.shape, work.request)

    denoising = verbs.denoising
    monkeypatch.setattr(verbs, "denoising", without_std)
    told = told_by("denoise", "in.png", "-o", "out.png", "--std", "std.tif", *GP)
    assert told["files"]["std"] is None and told["stopped"] == "interrupted"
    assert not Path("std.tif").exists() and any("std.tif" in note for note in told["notes"])
    assert "interrupted" in run("denoise", "in.png", "-o", "two.png", *GP).stdout


def test_version_and_help_answer():
    from bayesdip import __version__

    assert run("--version").stdout == f"bayesdip {__version__}\n"
    assert run().exit_code == 0 and run("--help").exit_code == 0
    for verb in ("denoise", "inpaint", "upscale", "deblur"):
        said = run(verb, "--help")
        assert said.exit_code == 0
        for option in ("--method", "--time-budget", "--std", "--report", "--resume", "--json", "--force"):
            assert option in said.stdout


def test_help_loads_neither_torch_nor_numpy():
    code = "import sys; from bayesdip.cli import app; print(*{'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_the_program_itself_refuses_in_one_line(here):
    result = subprocess.run(
        [*PROGRAM, "denoise", "nowhere.png", "-o", "out.png"], capture_output=True, text=True
    )
    assert result.returncode == 2 and result.stdout == ""
    assert (
        result.stderr.startswith("bayesdip: error: nowhere.png: no such file")
        and result.stderr.count("\n") == 1
    )


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_writes_the_best_result_so_far(here, number):
    words = ["denoise", "in.png", "-o", "out.png", "--method", "map", "--effort", "best", "--sigma", "10"]
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:  # the estimate comes after a few steps
            if line.startswith("estimate"):
                break
        time.sleep(0.2)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "interrupted" in said
    assert io.read_picture("out.png").pixels.shape == (24, 20)


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_sigterm_before_a_run_is_one_line_and_130(here):
    code = (
        "import os, signal, sys\nfrom bayesdip import cli, io\n"
        "io.read_picture = lambda path: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.argv = ['bayesdip', 'denoise', 'in.png', '-o', 'out.png']\ncli.main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 130
    assert found.stderr == "bayesdip: interrupted before there was a result\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), "no result"])
def test_ctrl_c_before_there_is_a_result_is_130(here, monkeypatch, error):
    from bayesdip.errors import NoResultError

    def interrupted(*args, **options):
        raise NoResultError("nothing yet", "interrupted") if error == "no result" else error

    monkeypatch.setattr(holdout, "run", interrupted)
    result = run("denoise", "in.png", "-o", "out.png", "--json")
    assert result.exit_code == 130
    assert result.stderr == "bayesdip: interrupted before there was a result\n"
    assert "error" in json.loads(result.stdout) and not Path("out.png").exists()


def test_a_budget_too_short_for_a_picture_is_an_error(here, monkeypatch):
    from bayesdip.errors import NoResultError

    def too_short(*args, **options):
        raise NoResultError("stopped before its first picture", "time budget")

    monkeypatch.setattr(holdout, "run", too_short)
    assert run("denoise", "in.png", "-o", "out.png").exit_code == 2


@pytest.mark.parametrize("said", [None, "77"])
def test_threads_wait_less_busily_unless_the_user_has_said_how(said):
    code = (
        "import os, sys; sys.argv = ['bayesdip', '--version']\nfrom bayesdip.cli import SPINS, main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print(os.environ['GOMP_SPINCOUNT'], SPINS)"
    )
    others = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment = others if said is None else others | {"GOMP_SPINCOUNT": said}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    spins, usual = found.stdout.split()[-2:]
    assert spins == (said or usual)


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["denoise", "--sigma", "10", "--method", "patches"], signal.SIGTERM),
        (["inpaint", "--mask", "mask.png", "--method", "sgld"], signal.SIGINT),
        (["upscale", "--factor", "2"], signal.SIGTERM),
    ],
)
def test_a_signal_before_the_method_has_a_picture_gives_a_simple_one(here, words, number):
    """It comes with the first look at the clock inside the method, before any picture."""
    mask = np.zeros((24, 20), np.uint8)
    mask[8:12, 6:9] = 255
    Image.fromarray(mask).save("mask.png")
    code = (
        "import os, signal, sys\nimport bayesdip.holdout as holdout\nfrom bayesdip import cli\n"
        "keep = holdout.judged\n"
        f"holdout.judged = lambda *given: (os.kill(os.getpid(), {int(number)}), keep(*given))[1]\n"
        f"sys.argv = ['bayesdip', {words[0]!r}, 'in.png', '-o', 'out.png', *{words[1:]!r}]\ncli.main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "interrupted" in found.stdout and "Traceback" not in found.stderr
    assert io.read_picture("out.png").pixels.size > 0


def test_resume_goes_on_from_the_checkpoints_of_a_killed_run(here, quick, monkeypatch):
    from bayesdip.resuming import stages

    class Killed(BaseException):
        pass

    def killed(*arguments):
        write(*arguments)
        raise Killed

    words = ("denoise", "in.png", "--sigma", 10, "--method", "map", "--arch", "skip(scales=1, width=6)")
    assert run(*words, "-o", "whole.tif").exit_code == 0
    write = stages.Stages.write
    with monkeypatch.context() as patch:
        patch.setattr(stages.Stages, "write", killed)
        with pytest.raises(Killed):
            run(*words, "-o", "a.tif", "--resume", "kept")
    assert not Path("a.tif").exists() and list(Path("kept/checkpoints").glob("stage-*"))
    result = run(*words, "-o", "b.tif", "--resume", "kept", "--effort", "fast")
    assert result.exit_code == 2 and "effort is 'balanced' there, 'fast' here" in result.stderr
    result = run(*words, "-o", "c.tif", "--resume", "kept")
    assert result.exit_code == 0 and "going on from the checkpoints in kept" in result.stderr
    assert Path("c.tif").read_bytes() == Path("whole.tif").read_bytes()
    assert sorted(path.name for path in Path("kept").iterdir()) == sorted(
        ("restoration.npz", "restoration.json", "request.json")
    )
