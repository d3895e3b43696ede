"""Whether a deep image prior pays: for a ranking, and the same words on the site's page."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bayesdip.comparison.answer import ANSWERS, QUESTION, answer, kind_of
from bayesdip.comparison.setup import set_up
from conftest import smooth_picture

PAGE = Path(__file__).parents[1] / "docs" / "answer.md"


def ranking(*entries, mask=None):
    """A comparison of these (name, dB behind, tied), best first."""
    applied = [
        SimpleNamespace(name=name, behind=SimpleNamespace(value=behind), tied=tied)
        for name, behind, tied in entries
    ]
    setup = set_up(smooth_picture((40, 40)), mask, sigma=0.1 if mask is None else 0.0)
    return SimpleNamespace(applied=applied, setup=setup)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            (("patches", 0.0, True), ("tv", 0.5, False), ("sgld", 0.8, False)),
            "no: sgld is 0.80 dB behind patches",
        ),
        ((("sgld", 0.0, True), ("patches", 0.3, False)), "yes: sgld is 0.30 dB ahead of patches"),
        (
            (("stack", 0.0, True), ("patches", 0.1, True)),
            "makes no difference: patches cannot be told apart from stack",
        ),
        (
            (("patches", 0.0, True), ("map", 0.1, True)),
            "makes no difference: map cannot be told apart from patches",
        ),
        ((("patches", 0.0, True), ("tv", 0.1, True)), "no network was compared"),
        ((("sgld", 0.0, True),), "nothing else was compared"),
    ],
)
def test_the_answer_for_a_picture_follows_its_ranking(entries, said):
    told = answer(ranking(*entries))
    assert told.startswith(QUESTION) and said in told
    assert told.endswith(f"In general, for noise: no; {ANSWERS['noise'].words}")


def test_a_hole_is_told_from_scattered_pixels():
    hole = np.zeros((40, 40), bool)
    hole[8:34, 8:34] = True
    scattered = np.random.default_rng(0).random((40, 40)) < 0.5
    kinds = [kind_of(ranking(("gp", 0.0, True), mask=mask).setup) for mask in (hole, scattered, None)]
    assert kinds == ["holes", "scattered", "noise"]


def test_the_page_has_the_same_words():
    page = PAGE.read_text(encoding="utf-8")
    for one in ANSWERS.values():
        assert f"| {one.task} | {one.buy} | {one.words} |" in page
