"""``bayesdip batch --scheduler``: the workers of a Dask cluster give what processes of this machine give."""

from __future__ import annotations

import json
import os
import pickle
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import bayesdip as bd
from bayesdip.batch_processing import cluster
from bayesdip.batch_processing.worker_pool import attempted
from bayesdip.cli import app

OPTIONS = {"method": "gp", "effort": "fast"}


def pictures():
    rng = np.random.default_rng(0)
    return [(np.add.outer(np.arange(12), np.arange(14)) + rng.normal(size=(12, 14))).astype(np.float32)
            for _ in range(3)]  # fmt: skip


def test_without_dask_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(bd.BayesDipError, match=r"pip install 'bayesdip\[dask\]'"):
        bd.batch(pictures(), scheduler="tcp://127.0.0.1:8786")


def test_workers_that_stand_in_another_folder_find_relative_paths(tmp_path, monkeypatch):
    """Dask's workers start where they were started."""
    for folder in ("here/in", "here/masks", "there"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for n, picture in enumerate(pictures()):
        np.save(f"in/{n}.npy", picture)
        np.save(f"masks/{n}.npy", np.arange(picture.size).reshape(picture.shape) % 7 == 0)

    def elsewhere(tasks, address, threads):
        for place, task in enumerate(tasks):
            os.chdir(tmp_path / "there")
            found = attempted(pickle.dumps(task), lambda seconds: None)
            os.chdir(tmp_path / "here")
            yield place, found

    monkeypatch.setattr(cluster, "carried_out", elsewhere)
    words = {"mask": "masks", "output": "out", "std": "stds", "scheduler": "tcp://any:1", **OPTIONS}
    items = bd.batch("in/*.npy", "inpaint", **words)
    assert [item.error for item in items] == [""] * 3
    assert sorted(path.name for path in (tmp_path / "here" / "out").glob("*.npy")) == [
        *("0.npy", "1.npy", "2.npy")
    ]
    assert len(list((tmp_path / "here" / "stds").iterdir())) == 3 and not list((tmp_path / "there").iterdir())
    assert bd.batch("in/*.npy", "inpaint", **words)[0].record == items[0].record, "it is done already"


def test_a_cluster_gives_the_same_pictures_and_failures(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bd.io.write_picture("a.tif", pictures()[0])
    (tmp_path / "bad.tif").write_bytes(b"no picture")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, processes=False, protocol="tcp"
    ) as cluster:
        items = bd.batch(
            [*pictures(), np.full((4, 4), np.nan)], sigma=1, scheduler=cluster.scheduler_address, **OPTIONS
        )
        words = [
            "batch",
            "*.tif",
            "-o",
            "out",
            "--sigma",
            "1",
            "--method",
            "gp",
            "--effort",
            "fast",
            "--json",
        ]
        result = CliRunner().invoke(app, [*words, "--scheduler", cluster.scheduler_address])
    assert "NaN or infinite" in items[3].error
    for picture, item in zip(pictures(), items, strict=False):
        np.testing.assert_array_equal(item.restoration.mean, bd.denoise(picture, 1, **OPTIONS).mean)
    assert result.exit_code == 1, result.stderr
    told = json.loads(result.stdout)
    assert (told["done"], told["failed"]) == (1, 1) and "of the cluster at" in result.stderr
    np.testing.assert_array_equal(
        bd.io.read_picture("out/a.tif").pixels, bd.denoise(pictures()[0], 1, **OPTIONS).mean
    )


def test_an_address_where_nobody_answers_is_one_line(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("bayesdip.batch_processing.cluster.PATIENCE", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(bd.BayesDipError, match="no Dask scheduler answers"):
            bd.batch(pictures(), scheduler=address)
