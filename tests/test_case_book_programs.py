"""The library and the command inside programs of others: threads, processes, arrays and file names as they are."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import bayesdip as bd
from bayesdip.cli import app
from conftest import smooth_picture

CLEAN = 255 * smooth_picture((24, 24))
NOISY = np.clip(CLEAN + np.random.default_rng(1).normal(0, 12, CLEAN.shape), 0, 255).astype(np.uint8)
QUICK = {"method": "gp", "effort": "fast"}


def denoised(image=NOISY):
    return bd.denoise(image, 12, **QUICK).mean


def test_threads_at_once_give_what_one_after_the_other_gives():
    pictures = [NOISY, NOISY[::-1].copy(), NOISY.T.copy(), 255 - NOISY]
    alone = [denoised(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(denoised, pictures))
    assert all(np.array_equal(a, b) for a, b in zip(alone, at_once, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are not forked there")
def test_a_process_forked_after_a_run_restores_too():
    alone = denoised()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert np.array_equal(pool.apply_async(denoised).get(60), alone)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(Image.fromarray(NOISY), id="Pillow"),
        pytest.param(torch.from_numpy(NOISY), id="tensor"),
        pytest.param(NOISY.tolist(), id="lists"),
        pytest.param(np.asfortranarray(NOISY), id="Fortran order"),
        pytest.param(np.repeat(NOISY, 2, axis=1)[:, ::2], id="strided"),
        pytest.param(memoryview(NOISY), id="buffer"),
    ],
)
def test_the_same_numbers_give_the_same_result_however_they_are_held(given):
    assert np.array_equal(np.asarray(denoised(given), float), np.asarray(denoised(), float))


def test_arrays_that_may_not_be_written_are_taken_and_nothing_of_the_caller_is_touched():
    image, mask = NOISY.copy(), np.zeros(NOISY.shape, bool)
    mask[8:12, 8:12] = True
    image.setflags(write=False)
    mask.setflags(write=False)
    np.random.seed(3)
    random.seed(3)
    torch.manual_seed(3)
    states = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state().clone()
    settings = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), np.geterr()
    bd.inpaint(image, mask, **QUICK)
    bd.denoise(image, **QUICK)
    assert np.array_equal(np.random.get_state()[1], states[0])
    assert random.getstate() == states[1] and torch.equal(torch.get_rng_state(), states[2])
    assert (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        np.geterr(),
    ) == settings


def test_a_run_prints_nothing(capfd):
    denoised()
    assert capfd.readouterr() == ("", "")


NAMES = [
    "mein Bild äöü 写真 🙂.png",
    "-dash.png",
    "UPPER.PNG",
    "%d.png",
    "[1].png",
    "a*b.png",
    "noext",
    "sub dir/a.png",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub dir").mkdir()
    return tmp_path


def run(*words: str):
    first, *rest = words
    return CliRunner().invoke(app, [first, "--method", "gp", "--effort", "fast", "--sigma", "12", *rest])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_whatever_it_is_called(here, name):
    Image.fromarray(NOISY).save(here / name, "PNG")
    done = run("denoise", "-o", "out.png", "--", name)
    assert done.exit_code == 0, done.output
    with Image.open("out.png") as written:
        assert written.size == NOISY.shape[::-1]


def test_a_picture_is_known_by_its_content_not_by_its_ending(here):
    Image.fromarray(NOISY).save("wrong.jpg", "PNG")
    assert run("denoise", "wrong.jpg", "-o", "out.png").exit_code == 0


def test_a_link_is_followed(here):
    Image.fromarray(NOISY).save("in.png")
    os.symlink("in.png", "link.png")
    assert run("denoise", "link.png", "-o", "out.png").exit_code == 0


def test_the_input_is_not_replaced_by_the_output_unasked(here):
    Image.fromarray(NOISY).save("in.png")
    content = (here / "in.png").read_bytes()
    for name in ("in.png", "./in.png", str(here / "in.png")):
        refused = run("denoise", "in.png", "-o", name)
        assert refused.exit_code == 2 and len(refused.stderr.strip().splitlines()) == 1
    assert (here / "in.png").read_bytes() == content


def test_an_output_that_cannot_be_written_is_one_line(here):
    Image.fromarray(NOISY).save("in.png")
    for name in ("sub dir", "in.png/out.png"):
        refused = run("denoise", "in.png", "-o", name)
        assert refused.exit_code == 2 and len(refused.stderr.strip().splitlines()) == 1
