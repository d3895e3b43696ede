"""Which pictures are meant: files, folders and patterns, and a mask for each."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from bayesdip.errors import FileError, one_line
from bayesdip.io import PIPE
from bayesdip.io.encoding import FORMATS, READ_SUFFIXES, suffix_of
from bayesdip.io.raw import SUFFIXES as RAW_SUFFIXES

# Of the files in a folder, these are taken for pictures. Cameras write a raw file beside a JPEG of the same: raw files are named.
SUFFIXES = tuple(suffix for suffix in READ_SUFFIXES if suffix not in RAW_SUFFIXES)
# What the name of a mask may have beside that of its picture.
MASK_WORD = re.compile(r"[ ._-]*mask[ ._-]*", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A picture file.

    Attributes
    ----------
    path : Path
        As it was given.
    name : PurePath
        Relative, below the folder of the outputs: the file's name, and before it the folders that a wildcard stands for.
    """

    path: Path
    name: PurePath


def find_sources(given: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """The files that are meant, each once, those of a folder or a pattern in order of their names.

    Parameters
    ----------
    given : iterable of path-like
        Each a file, a folder, whose pictures are taken, or a pattern: ``in/*.tif``, ``in/**/*.png``.

    Returns
    -------
    list of Source

    Raises
    ------
    FileError
        One of them stands for no file.
    """
    found: dict[str, Source] = {}
    for path in given:
        text = os.fspath(path)
        for source in _sources_of(text):
            found.setdefault(os.path.abspath(source.path), source)
    if not found:
        raise FileError("no pictures were given: expected files, folders or patterns; name some")
    return list(found.values())


def _sources_of(text: str) -> list[Source]:
    if text == PIPE:
        raise FileError(
            "- was given: files are expected, because standard input is one picture; give it to the verb itself, without batch"
        )
    path = Path(text)
    if path.is_dir():
        inside = sorted(p for p in path.iterdir() if suffix_of(p) in SUFFIXES and p.name[0] != ".")
        files = [Source(p, PurePath(p.name)) for p in inside if p.is_file()]
        if not files:
            raise FileError(
                f"{one_line(text)}: holds no picture; a folder of {' '.join(SUFFIXES)} is expected: name another one, or a "
                "pattern such as '**/*.tif'"
            )
        return files
    if not glob.has_magic(text) or os.path.lexists(text):
        if not os.path.lexists(text):
            raise FileError(
                f"{one_line(text)}: no such file or folder; an existing one is expected: check the name"
            )
        return [Source(path, PurePath(path.name))]
    matches = [Path(p) for p in sorted(glob.glob(text, recursive=True)) if os.path.isfile(p)]
    if not matches:
        raise FileError(f"{one_line(text)}: matches no file; a pattern of pictures is expected: check it")
    return [Source(match, _name_below(match, _fixed_part(text))) for match in matches]


def _fixed_part(pattern: str) -> PurePath:
    """The folders of a pattern before its first wildcard."""
    fixed = []
    for part in PurePath(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return PurePath(*fixed)


def _name_below(match: Path, folder: PurePath) -> PurePath:
    """The match relative to the folder; its own name where the way to it leads up again."""
    name = PurePath(match).relative_to(folder)
    return PurePath(match.name) if ".." in name.parts else name


def output_name(name: PurePath) -> PurePath:
    """What the restored picture is called: as the picture, but that formats which are only read become others.

    Parameters
    ----------
    name : PurePath
        Of the picture.

    Returns
    -------
    PurePath
    """
    suffix = suffix_of(name)
    if suffix in FORMATS:
        return name
    if suffix in RAW_SUFFIXES:
        return name.with_suffix(".tif")
    return name.with_suffix(".png") if suffix in SUFFIXES else name.with_name(f"{name.name}.tif")


def std_name(name: PurePath) -> PurePath:
    """What the standard deviation is called beside an output of that name: a format with a header of its own keeps it."""
    suffix = suffix_of(name)
    own = suffix if FORMATS.get(suffix) in ("FITS", "NIFTI", "EXR") else ".tif"
    return name.with_name(f"{_without(name, suffix)}_std{own}")


def _without(name: PurePath, suffix: str) -> str:
    """The file's name without its extension."""
    return name.name[: len(name.name) - len(suffix)] if suffix and len(name.name) > len(suffix) else name.name


def match_masks(sources: Sequence[Source], given: str | os.PathLike[str]) -> tuple[list[Path], list[Path]]:
    """A mask for each picture, and the masks that are left over.

    A file is the mask of all pictures. Those of a folder or a pattern belong to the pictures of the same name, which
    may have another extension and the word ``mask`` in it: ``a_mask.png`` belongs to ``a.tif``.

    Parameters
    ----------
    sources : sequence of Source
    given : path-like
        A file, a folder or a pattern.

    Returns
    -------
    masks : list of Path
        As many as pictures.
    others : list of Path

    Raises
    ------
    FileError
        A picture has no mask or several, or a mask several pictures.
    """
    text = os.fspath(given)
    if os.path.isfile(text):
        return [Path(text)] * len(sources), []
    masks: dict[str, list[Path]] = defaultdict(list)
    stems = {_stem(source.name) for source in sources}
    for mask in find_sources([text]):
        stem = _stem(mask.name)
        masks[stem if stem in stems else MASK_WORD.sub("", stem)].append(mask.path)
    owners: dict[str, Path] = {}
    chosen = []
    for source in sources:
        stem = _stem(source.name)
        of_it = masks.get(stem, [])
        said = f"{one_line(source.path)}: {len(of_it)} masks of {one_line(text)} have its name"
        if len(of_it) != 1:
            raise FileError(
                f"{said}; one is expected: name each as its picture, such as {PurePath(stem).name}.png, or give one for all"
            )
        if stem in owners:
            raise FileError(
                f"{one_line(owners[stem])} and {one_line(source.path)} would share the mask {one_line(of_it[0])}; one picture "
                "for each mask is expected: rename one, or restore them apart"
            )
        owners[stem] = source.path
        chosen += of_it
    others = [path for stem, paths in masks.items() if stem not in owners for path in paths]
    return chosen, others


def _stem(name: PurePath) -> str:
    """The name without its extension, folders included."""
    return name.with_name(_without(name, suffix_of(name))).as_posix()
