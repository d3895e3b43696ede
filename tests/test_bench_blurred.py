"""The benchmark of deblurring."""

from __future__ import annotations

import pytest
from benchmarks.catalogue import Request, run_benchmark

from bayesdip import BayesDipError


def test_every_blur_is_restored_better_than_it_was_given_and_taken_up_again(tmp_path):
    ask = Request(None, {"method": "gp", "seed": 0}, pictures=("coins",))
    first = run_benchmark("deblur", ask, tmp_path / "kept.json", lambda line: None)
    assert [(row["picture"], row["blur"]) for row in first.rows] == [("coins", 1.6), ("coins", 2.5)]
    assert all(row["psnr"] > row["blurred"] + 1 for row in first.rows)
    again = run_benchmark("deblur", ask, tmp_path / "kept.json", lambda line: None)
    assert again.rows == first.rows  # with their seconds: nothing was measured anew


def test_an_unknown_picture_is_refused_in_one_line():
    with pytest.raises(BayesDipError, match="camera"):
        run_benchmark("deblur", Request(None, {}, pictures=("moose",)), None, lambda line: None)
