"""What goes wrong around a run ends in the result or in one clear line, and destroys nothing that was there."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.io import write_picture
from bayesdip.networks.samplers import Psgld
from bayesdip.resuming import stages
from conftest import smooth_picture

TINY = arch.skip(scales=1, width=6, skip=2)
NOISY = 255 * smooth_picture((20, 20)) + np.random.default_rng(0).normal(0, 10, (20, 20))
PROGRAM = [sys.executable, "-c", "from bayesdip.cli import main; main()"]
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (%d, %d)); from bayesdip.cli import main; main()"


def sgld(steps=30):
    return bd.SGLD(arch=TINY, steps=steps, samples=3, device="cpu")


def denoise(**options):
    return bd.denoise(NOISY, 10, method=sgld(), **options)


def words(*more):
    network = ("--method", "sgld", "--arch", "skip(scales=1, width=6, skip=2)", "--effort", "fast")
    return ["denoise", "in.npy", "-o", "out.npy", "--sigma", "10", *network, *map(str, more)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a small noisy picture, which is the current one."""
    monkeypatch.chdir(tmp_path)
    write_picture("in.npy", NOISY.astype(np.float32))
    return tmp_path


@pytest.fixture
def often(monkeypatch):
    for name in ("INTERVAL", "TIMES_ITS_COST", "WORTH"):
        monkeypatch.setattr(stages, name, 0.0)


def test_a_full_disk_ends_no_run_and_leaves_the_checkpoint_that_was_there(tmp_path, often, monkeypatch):
    wanted, write = denoise(), stages.write_whole
    written = []

    def full_after_four(path, part, content):
        if len(written) >= 4:
            part.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        write(path, part, content)

    monkeypatch.setattr(stages, "write_whole", full_after_four)
    found = denoise(resume=tmp_path)
    assert found.mean.tobytes() == wanted.mean.tobytes()
    said = [finding for finding in found.findings if finding.kind == "no checkpoints"]
    assert len(said) == 1 and "No space left on device" in said[0].text
    assert not list(tmp_path.glob("*.part"))
    monkeypatch.setattr(stages, "write_whole", write)
    again = denoise(resume=tmp_path)
    assert again.mean.tobytes() == wanted.mean.tobytes() and not again.findings


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the system")
def test_a_limit_on_the_size_of_files_is_one_line_and_the_old_output_stays(here):
    np.save("out.npy", np.zeros((3, 3)))
    before = Path("out.npy").read_bytes()
    program = [sys.executable, "-c", LIMITED % (600, 600)]
    ended = subprocess.run(
        [*program, "denoise", "in.npy", "-o", "out.npy", "--sigma", "10", "--method", "gp", "--force"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr, ended.stderr
    assert "out.npy" in ended.stderr and "File too large" in ended.stderr
    assert Path("out.npy").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["in.npy", "out.npy"]


def test_a_folder_of_checkpoints_that_vanishes_ends_no_run(tmp_path, often):
    wanted, kept = denoise(), tmp_path / "kept"

    def vanish(seen):
        if seen.phase == "sampling":
            shutil.rmtree(kept, ignore_errors=True)

    found = denoise(resume=kept, callback=vanish)
    assert found.mean.tobytes() == wanted.mean.tobytes()
    assert [finding.kind for finding in found.findings] == ["no checkpoints"]


def test_a_folder_that_cannot_be_made_is_one_line_before_the_run(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(bd.errors.FileError, match=r"file.kept: nothing can be written there"):
        denoise(
            resume=tmp_path / "file" / "kept", callback=lambda seen: seen.step > 0 and pytest.fail("it ran")
        )
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_folder_that_vanishes_is_one_line_and_the_result_is_kept(here, monkeypatch):
    from typer.testing import CliRunner

    from bayesdip import holdout
    from bayesdip.cli import app

    Path("out").mkdir()
    run = holdout.run

    def vanishing(*arguments, **named):
        shutil.rmtree("out", ignore_errors=True)
        return run(*arguments, **named)

    monkeypatch.setattr(holdout, "run", vanishing)
    command = ["denoise", "in.npy", "--sigma", "10", "--method", "gp", "--resume", "kept"]
    ended = CliRunner().invoke(app, [*command, "-o", "out/out.npy"])
    assert ended.exit_code == 2 and "out/out.npy" in ended.stderr and "Traceback" not in ended.stderr
    monkeypatch.setattr(holdout, "run", lambda *arguments: pytest.fail("the result was kept"))
    assert CliRunner().invoke(app, [*command, "-o", "again.npy"]).exit_code == 0


def test_nan_in_the_middle_of_sampling_is_taken_back(monkeypatch):
    step, count = Psgld.step, []

    def broken(self):
        count.append(1)
        picture = step(self)
        if len(count) == 12:
            with torch.no_grad():
                self.weights[0].fill_(torch.nan)
                self.coordinates[0].fill_(torch.nan)
        return picture

    monkeypatch.setattr(Psgld, "step", broken)
    found = bd.denoise(NOISY, 10, method=sgld(steps=100))
    assert len(count) > 12 and found.info["rollbacks"] >= 1
    assert np.isfinite(found.mean).all() and np.isfinite(found.std).all() and np.isfinite(found.samples).all()


def test_nan_at_every_step_is_one_line(monkeypatch):
    step = Psgld.step

    def broken(self):
        return step(self) * torch.nan

    monkeypatch.setattr(Psgld, "step", broken)
    with pytest.raises(bd.BayesDipError, match="diverged"):
        bd.denoise(NOISY, 10, method=sgld(steps=400))


def test_memory_that_runs_out_in_the_middle_is_one_line_and_the_old_output_stays(here, monkeypatch):
    from typer.testing import CliRunner

    from bayesdip.cli import app

    def no_memory(self):
        raise MemoryError

    np.save("out.npy", np.zeros((3, 3)))
    before = Path("out.npy").read_bytes()
    monkeypatch.setattr(Psgld, "step", no_memory)
    ended = CliRunner().invoke(app, words("--force"))
    assert ended.exit_code != 0 and "the memory ran out" in ended.stderr and "Traceback" not in ended.stderr
    assert Path("out.npy").read_bytes() == before


def test_two_runs_on_one_output_leave_the_first_that_was_written(here, monkeypatch):
    from typer.testing import CliRunner

    from bayesdip import holdout
    from bayesdip.cli import app

    run = holdout.run

    def beaten(*arguments, **named):
        found = run(*arguments, **named)
        Path("out.npy").write_bytes(b"of the other run")
        return found

    monkeypatch.setattr(holdout, "run", beaten)
    ended = CliRunner().invoke(app, ["denoise", "in.npy", "-o", "out.npy", "--sigma", "10", "--method", "gp"])
    assert ended.exit_code == 2 and "out.npy: exists already" in ended.stderr
    assert Path("out.npy").read_bytes() == b"of the other run"


def test_a_clock_that_is_set_back_is_not_what_budgets_go_by(monkeypatch):
    now = [1e9]

    def back():
        now[0] -= 3600.0
        return now[0]

    monkeypatch.setattr(time, "time", back)
    began = time.monotonic()
    found = bd.denoise(NOISY, 10, method=sgld(steps=10**6), time_budget=3.0)
    assert found.stopped == "time budget" and 0 < found.seconds < 60 > time.monotonic() - began


def started(*more):
    process = subprocess.Popen(
        [*PROGRAM, *words("--json", *more)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if list(Path("kept/checkpoints").glob("stage-*")):
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate())


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals")
def test_a_suspended_run_with_a_budget_ends_with_its_best_picture_when_it_wakes(here):
    process = started("--resume", "kept", "--time-budget", 12)
    process.send_signal(signal.SIGSTOP)
    time.sleep(14)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["stopped"] in ("time budget", "finished")
    assert np.isfinite(np.load("out.npy")).all()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_kill_9_and_the_same_command_again_give_the_bits_of_a_run_that_was_left_alone(here):
    assert subprocess.run([*PROGRAM, *words()], capture_output=True).returncode == 0
    os.rename("out.npy", "alone.npy")
    process = started("--resume", "kept")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not Path("out.npy").exists()
    ended = subprocess.run([*PROGRAM, *words("--resume", "kept")], capture_output=True, text=True)
    assert ended.returncode == 0 and "going on from the checkpoints in kept" in ended.stderr
    assert Path("out.npy").read_bytes() == Path("alone.npy").read_bytes()
