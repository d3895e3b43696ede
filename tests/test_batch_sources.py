"""Which files are meant, what their outputs are called, and which mask belongs to which."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from bayesdip.batch_processing.sources import find_sources, match_masks, output_name
from bayesdip.errors import FileError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def names(*given: str) -> list[str]:
    return [source.name.as_posix() for source in find_sources(given)]


def test_a_pattern_a_folder_and_a_list_of_the_shell_mean_the_same(here):
    made("in/b.tif", "in/a.tif", "in/notes.txt", "in/.hidden.tif")
    assert names("in/*.tif") == names("in") == names("in/a.tif", "in/b.tif") == ["a.tif", "b.tif"]


def test_a_file_is_taken_once_however_often_it_is_named(here):
    made("in/a.tif")
    assert names("in/a.tif", "in", "./in/*.tif", str(here / "in/a.tif")) == ["a.tif"]


def test_a_name_with_brackets_is_a_file_where_there_is_one(here):
    made("in/a[1].png", "in/a1.png")
    assert names("in/a[1].png") == ["a[1].png"]
    Path("in/a[1].png").unlink()
    assert names("in/a[1].png") == ["a1.png"]


def test_folders_that_a_wildcard_stands_for_are_kept_and_none_leads_up(here):
    made("in/mon/x.tif", "in/tue/x.tif", "in/tue/deep/y.tif")
    assert names("in/*/x.tif") == ["mon/x.tif", "tue/x.tif"]
    assert names("in/**/*.tif") == ["mon/x.tif", "tue/deep/y.tif", "tue/x.tif"]
    assert names("in/*/../tue/x.tif") == ["x.tif"]
    assert names("in/../in/mon/x.tif") == ["x.tif"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("in/*.png", "matches no file"),
        ("nowhere.tif", "no such file"),
        ("empty", "holds no picture"),
        ("-", "standard input is one picture"),
    ],
)
def test_what_stands_for_no_file_is_one_line(here, given, said):
    Path("empty").mkdir()
    with pytest.raises(FileError, match=said) as caught:
        find_sources([given])
    assert "\n" not in str(caught.value) and "expected" in str(caught.value)


def test_an_output_has_the_name_of_the_input_where_its_format_is_written():
    given = ["a.tif", "a.JPG", "a.npy", "a.bmp", "d/a.gif", "a", "a.dat"]
    expected = ["a.tif", "a.JPG", "a.npy", "a.png", "d/a.png", "a.tif", "a.dat.tif"]
    assert [output_name(PurePath(name)).as_posix() for name in given] == expected


def test_masks_belong_to_the_pictures_of_their_names(here):
    made("in/a.tif", "in/b.tif", "masks/b_mask.png", "masks/a.png", "masks/c.png")
    masks, others = match_masks(find_sources(["in"]), "masks")
    assert masks == [Path("masks/a.png"), Path("masks/b_mask.png")] and others == [Path("masks/c.png")]
    assert match_masks(find_sources(["in"]), "masks/c.png") == ([Path("masks/c.png")] * 2, [])


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (["m/a.png"], "b.tif: 0 masks"),
        (["m/a.png", "m/b.png", "m/b_mask.png"], "b.tif: 2 masks"),
    ],
)
def test_masks_that_do_not_fit_one_to_one_are_refused(here, masks, said):
    made("in/a.tif", "in/b.tif", *masks)
    with pytest.raises(FileError, match=said):
        match_masks(find_sources(["in"]), "m")


def test_a_mask_that_would_serve_two_pictures_is_refused(here):
    made("in/a.tif", "in/a.png", "m/a.png")
    with pytest.raises(FileError, match=r"would share the mask m/a.png"):
        match_masks(find_sources(["in"]), "m/*.png")
