"""Pipes: pictures through them, readers that go away, and one picture at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bayesdip.cli import app

PROGRAM = [sys.executable, "-c", "from bayesdip.cli import main; main()"]
GP = ("--method", "gp", "--effort", "fast", "--sigma", "10")


def run(*words, **options):
    return CliRunner().invoke(app, [str(word) for word in words], **options)


def png(tmp_path):
    out = BytesIO()
    picture = 100 + 10 * np.random.default_rng(0).standard_normal((24, 20))
    Image.fromarray(picture.astype(np.uint8)).save(out, "PNG")
    (tmp_path / "in.png").write_bytes(out.getvalue())
    return out.getvalue()


def test_a_picture_goes_through_a_pipe_and_the_summary_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = png(tmp_path)
    done = subprocess.run([*PROGRAM, "denoise", "-", "-o", "-", *GP], input=given, capture_output=True)
    assert done.returncode == 0, done.stderr
    restored = Image.open(BytesIO(done.stdout))
    assert restored.format == "PNG" and restored.size == (20, 24)
    assert b"denoised -" in done.stderr
    assert sorted(os.listdir()) == ["in.png"]


@pytest.mark.parametrize("words", [("--help",), ("denoise", "--help"), ("denoise", "in.png", "-o", "o.png", "--json", *GP)])  # fmt: skip
def test_a_reader_that_goes_away_is_no_error(tmp_path, words):
    png(tmp_path)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*PROGRAM, *words], stdout=write, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(write)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr and b"rror" not in done.stderr
    assert (tmp_path / "o.png").exists() == ("--json" in words)


def test_a_picture_is_written_although_nobody_reads_what_is_said(tmp_path):
    png(tmp_path)
    read, write = os.pipe()
    os.close(read)
    words = [*PROGRAM, "denoise", "in.png", "-o", "o.png", *GP]
    done = subprocess.run(words, stdout=write, stderr=write, cwd=tmp_path)
    os.close(write)
    assert done.returncode == 0 and (tmp_path / "o.png").exists()


def test_nothing_in_the_pipe_is_an_error():
    result = run("denoise", "-", "-o", "out.png", input=b"")
    assert result.exit_code == 2 and "standard input is empty" in result.stderr


def test_json_and_a_picture_cannot_share_standard_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    png(tmp_path)
    result = run("denoise", "in.png", "-o", "-", "--json")
    assert result.exit_code == 2 and "both write to standard output" in result.stderr
