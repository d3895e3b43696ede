"""What a run over many files does, leaves alone, refuses and loses: nothing that was there, and nothing it had done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdip.batch_processing import folder_run
from bayesdip.batch_processing.folder_run import Job, check_targets, run_jobs
from bayesdip.batch_processing.journal import JOURNAL, digest_of, open_journal
from bayesdip.batch_processing.sources import output_name
from bayesdip.batch_processing.staging import Target
from bayesdip.batch_processing.worker_pool import Failure
from bayesdip.errors import FileError, explanation

FACTS = {
    "seconds": 0.1, "method": "gp", "stopped": "finished", "sigma": [1.0], "held_out_rmse": None, "coverage": None,
    "findings": [], "notes": [],
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abc":
        Path(f"in/{name}.tif").write_text(name)
    return tmp_path


@dataclass
class Log:
    """Which jobs ended."""

    names: list[str] = field(default_factory=list)
    plan: object = None

    def begins(self, plan):
        self.plan = plan

    def told(self, job, seconds):
        pass

    def ended(self, job, record):
        self.names.append(job.name)


def upper(source: Path):
    def work(paths, checkpoints, tell):
        paths["output"].write_text(source.read_text().upper())
        return FACTS

    return work


def jobs(*names: str, folder: str = "out", options=None, **others) -> list[Job]:
    found = []
    for name in names:
        path = Path(f"in/{name}.tif")
        target = {"output": Target(Path(folder), PurePath(f"{name}.tif"))}
        settled = {"sigma": 1} if options is None else options
        found.append(Job(str(path), upper(path), (path,), {"input": digest_of(path)}, target, settled))
    return found


def in_this_process(tasks, told):
    for place, task in reversed(list(enumerate(tasks))):
        try:
            yield place, task(lambda seconds: None)
        except OSError as error:
            yield place, Failure.of(error)


def run(some, folder="out", force=False, pool=in_this_process):
    log = Log()
    return run_jobs(some, Path(folder), pool, log, force), log


def records(folder="out"):
    return [json.loads(line) for line in (Path(folder) / JOURNAL).read_text().splitlines()]


def left_behind(folder="out") -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def test_a_run_writes_each_output_and_a_line_and_nothing_else(here):
    result, log = run(jobs("a", "b", "c"))
    assert [Path(f"out/{n}.tif").read_text() for n in "abc"] == ["A", "B", "C"]
    assert log.names == ["c.tif", "b.tif", "a.tif"] and not result.failed
    assert left_behind() == {"a.tif", "b.tif", "c.tif", JOURNAL}
    assert [r["input"] for r in records()] == ["in/c.tif", "in/b.tif", "in/a.tif"]
    assert records()[0]["files"]["output"] == {"path": "c.tif", "sha256": digest_of("out/c.tif")}


def test_run_again_does_nothing_and_says_how_many_it_left_alone(here):
    run(jobs("a", "b"))
    result, log = run(jobs("a", "b"))
    assert log.names == [] and len(result.plan.done) == 2
    assert set(result.records) == {"a.tif", "b.tif"}


def test_run_again_does_what_is_missing_or_changed(here, monkeypatch):
    run(jobs("a", "b"))
    assert run(jobs("a", "b", "c"))[1].names == ["c.tif"], "a new input"
    Path("in/a.tif").write_text("other")
    assert run(jobs("a", "b", "c"))[1].names == ["a.tif"], "a changed input"
    assert Path("out/a.tif").read_text() == "OTHER"
    Path("out/b.tif").unlink()
    assert run(jobs("a", "b", "c"))[1].names == ["b.tif"], "a missing output"
    assert len(run(jobs("a", "b", "c", options={"sigma": 2}))[1].names) == 3, "another option"
    monkeypatch.setattr(folder_run, "__version__", "9")
    assert len(run(jobs("a", "b", "c", options={"sigma": 2}))[1].names) == 3, "another version"


def test_what_cannot_be_told_is_done_again(here):
    unknown = [Job(j.label, j.work, j.inputs, j.digests, j.targets, None) for j in jobs("a")]
    run(unknown)
    assert run(unknown)[1].names == ["a.tif"]


def test_a_failed_picture_stops_nothing_and_is_tried_again_by_the_next_run(here):
    some = jobs("a", "b")
    Path("in/a.tif").unlink()
    result, _ = run(some)
    assert [r["output"] for r in result.failed] == ["a.tif"] and Path("out/b.tif").exists()
    assert "No such file" in result.failed[0]["error"]["message"] and not Path("out/a.tif").exists()
    Path("in/a.tif").write_text("a")
    assert run(jobs("a", "b"))[1].names == ["a.tif"]


def test_a_file_that_batch_did_not_write_is_not_replaced_unasked(here):
    Path("out").mkdir()
    Path("out/b.tif").write_text("mine")
    with pytest.raises(FileError, match=r"b.tif: exists already.*--overwrite"):
        run(jobs("a", "b"))
    assert Path("out/b.tif").read_text() == "mine" and not Path("out/a.tif").exists()
    run(jobs("a", "b"), force=True)
    assert Path("out/b.tif").read_text() == "B"


def test_an_output_that_was_changed_by_hand_is_not_replaced_unasked(here):
    run(jobs("a"))
    Path("out/a.tif").write_text("touched up")
    assert run(jobs("a"))[1].names == [], "nothing has changed that decides it"
    with pytest.raises(FileError, match="exists already"):
        run(jobs("a", options={"sigma": 2}))
    assert Path("out/a.tif").read_text() == "touched up"


def test_a_file_that_appears_during_the_run_is_not_replaced(here):
    def meanwhile(tasks, told):
        Path("out/a.tif").write_text("mine")
        yield from in_this_process(tasks, told)

    result, _ = run(jobs("a", "b"), pool=meanwhile)
    assert Path("out/a.tif").read_text() == "mine" and Path("out/b.tif").read_text() == "B"
    assert "made by another program" in result.failed[0]["error"]["message"]


def test_outputs_that_collide_or_are_inputs_are_refused_before_anything_is_written(here):
    with pytest.raises(FileError, match="is an input, and would be an output"):
        run(jobs("a", folder="in"), folder="in")
    first, second = jobs("a", "b")
    same = Job(second.label, second.work, second.inputs, second.digests, first.targets, second.options)
    with pytest.raises(FileError, match=r"in/a.tif and in/b.tif would both be written to out/a.tif"):
        run([first, same])
    journal = {"output": Target(Path("out"), PurePath(JOURNAL))}
    with pytest.raises(FileError, match="would both be written"):
        run([Job(first.label, first.work, first.inputs, first.digests, journal, first.options)])
    assert not Path("out").exists() and left_behind("in") == {"a.tif", "b.tif", "c.tif"}


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_that_leads_out_of_the_folder_is_refused(here):
    Path("out").mkdir()
    Path("elsewhere").mkdir()
    Path("out/sub").symlink_to(here / "elsewhere")
    job = jobs("a")[0]
    below = {"output": Target(Path("out"), PurePath("sub/a.tif"))}
    with pytest.raises(FileError, match="leads out of out"):
        run([Job(job.label, job.work, job.inputs, job.digests, below, job.options)], force=True)
    assert not left_behind("elsewhere")


def test_outputs_of_an_earlier_run_are_not_taken_for_inputs(here):
    run(jobs("a"))
    own = Job("out/a.tif", upper(Path("out/a.tif")), (Path("out/a.tif"),), {"input": "x"},
              {"output": Target(Path("out"), PurePath("again.tif"))}, {})  # fmt: skip
    result, log = run([own, *jobs("b")])
    assert result.plan.own == ["out/a.tif"] and log.names == ["b.tif"]


def test_a_second_run_on_one_folder_is_refused_and_a_killed_one_leaves_no_lock(here):
    code = (
        "import sys; from pathlib import Path; from bayesdip.batch_processing.journal import open_journal\n"
        "with open_journal(Path('out')): print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(FileError, match="another run of bayesdip is writing there"):
        run(jobs("a"))
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    assert run(jobs("a"))[1].names == ["a.tif"]


def test_an_interrupted_run_keeps_what_is_finished(here):
    def interrupted(tasks, told):
        yield 0, tasks[0](lambda seconds: None)
        raise KeyboardInterrupt

    result, _ = run(jobs("a", "b"), pool=interrupted)
    assert result.interrupted and left_behind() == {"a.tif", JOURNAL}
    assert run(jobs("a", "b"))[1].names == ["b.tif"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_between_the_line_and_the_file_waits_for_the_file(here, monkeypatch):
    replace = os.replace

    def interrupted(*paths):
        signal.raise_signal(signal.SIGINT)
        replace(*paths)

    monkeypatch.setattr(folder_run.os, "replace", interrupted)
    handler = signal.default_int_handler  # a program started in the background ignores Ctrl-C
    before = signal.signal(signal.SIGINT, handler)
    try:
        result, _ = run(jobs("a", "b"))
        assert result.interrupted and left_behind() == {"b.tif", JOURNAL} and set(result.records) == {"b.tif"}
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_that_is_killed_between_the_line_and_the_file_is_made_good_by_the_next(here, monkeypatch):
    monkeypatch.setattr(folder_run.os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(jobs("a"))[0].interrupted and not Path("out/a.tif").exists()
    monkeypatch.undo()
    assert len(records(here / "out")) == 1
    os.chdir(here)
    assert run(jobs("a"))[1].names == ["a.tif"] and Path("out/a.tif").read_text() == "A"


def test_a_line_cut_short_is_as_if_it_were_not_there(here):
    run(jobs("a", "b"))
    lines = Path("out", JOURNAL).read_text()
    Path("out", JOURNAL).write_text(lines[:-40])
    first = json.loads(lines.splitlines()[0])["output"]
    with pytest.raises(FileError, match="exists already"):
        run(jobs("a", "b"))
    result, log = run(jobs("a", "b"), force=True)
    assert [job.name for job in result.plan.done] == [first] and len(log.names) == 1
    assert run(jobs("a", "b"))[1].names == []


def test_a_journal_of_something_else_is_no_traceback(here):
    Path("out").mkdir()
    Path("out", JOURNAL).write_bytes(b'[1]\n{"output": 3}\nnull\n\xff\xfe\n{"output": "x", "files": [1]}\n')
    assert run(jobs("a"))[1].names == ["a.tif"]
    with open_journal(Path("out")) as journal:
        assert set(journal.latest) == {"a.tif"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(here):
    Path("out").mkdir(mode=0o500)
    with pytest.raises(FileError, match="writable folder"):
        run(jobs("a"))


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_one_goes_on(here, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
    with pytest.raises(OSError) as caught:
        run(jobs("a", "b"))
    assert "out/batch.jsonl: No space left" in explanation(caught.value)
    monkeypatch.undo()
    os.chdir(here)
    assert left_behind() == {JOURNAL} and Path("out", JOURNAL).read_bytes() == b""
    assert len(run(jobs("a", "b"))[1].names) == 2


def test_a_folder_that_vanishes_during_the_run_costs_what_lay_in_it(here):
    def vanishing(tasks, told):
        yield 0, tasks[0](lambda seconds: None)
        shutil.rmtree("out")
        yield from ((n, Failure.of(error)) for n, error in enumerate_errors(tasks, 1))

    result, _ = run(jobs("a", "b"), pool=vanishing)
    assert [record["output"] for record in result.failed] == ["b.tif"]
    assert "No such file" in result.failed[0]["error"]["message"]
    assert len(run(jobs("a", "b"))[1].names) == 2


def enumerate_errors(tasks, first):
    for n, task in enumerate(tasks[first:], first):
        with pytest.raises(OSError) as caught:
            task(lambda seconds: None)
        yield n, caught.value


# Names that a file can have: no separator, no zero, none of the two that stand for folders.
NAMES = st.text(st.characters(exclude_characters="/\\\0", codec="utf-8"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=200, deadline=None)
@given(name=NAMES, suffix=st.sampled_from(["", ".tif", ".PNG", ".bmp", ".txt"]))
def test_no_name_leads_out_of_the_folder(name, suffix):
    own = output_name(PurePath(name + suffix))
    job = Job("x", upper, (), {}, {"output": Target(Path("/nowhere/out"), own)}, {})
    check_targets([job], Path("/nowhere/out"))
    assert Path(os.path.normpath(job.targets["output"].path)).parent == Path("/nowhere/out")
