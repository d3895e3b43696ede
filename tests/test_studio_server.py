"""The page's server: what it answers, what it refuses, and that visitors do not meet."""

from __future__ import annotations

import os
import shlex
import signal
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from bayesdip import io
from bayesdip.arch import Flat
from bayesdip.errors import BayesDipError
from bayesdip.studio import aside, limits, run_queue
from bayesdip.studio.asked import Asked
from bayesdip.studio.layer_list import architecture
from bayesdip.studio.repeating import command_of
from bayesdip.studio.server import PAGE, make_app, serve

LOCAL = "http://localhost"
LIMIT = 180


def png(levels):
    data = BytesIO()
    Image.fromarray(levels).save(data, "PNG")
    return data.getvalue()


def picture(side=24, seed=0):
    wave = 100 + 60 * np.sin(np.arange(side) / 3)[:, None] * np.cos(np.arange(side) / 4)
    noise = np.random.default_rng(seed).normal(0, 12, (side, side))
    return np.clip(wave + noise, 0, 255).astype(np.uint8)


def strokes(side=24):
    mask = np.zeros((side, side), np.uint8)
    mask[8:10, 4:20] = 255
    return mask


@pytest.fixture(scope="module")
def client():
    with TestClient(make_app(places=1), base_url=LOCAL) as found:
        yield found


def visit(client):
    return "/api/visit/" + client.post("/api/visit").json()["visit"]


def folder_of(client, here):
    return client.app.state.visits.get(here.rpartition("/")[2]).folder


def sent(client, here, data, role="picture", name="mine.png"):
    answer = client.post(f"{here}/file", params={"role": role, "name": name}, content=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def begun(client, here, **asked):
    answer = client.post(f"{here}/run", json=asked)
    assert answer.status_code == 200, answer.text
    return f"{here}/run/{answer.json()['run']}"


def ended(client, run):
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        found = client.get(run).json()
        if found["state"] in ("done", "failed"):
            return found
        time.sleep(0.1)
    raise AssertionError("the run did not end")


def test_a_restoration_from_file_to_files_and_its_command_gives_the_same(client, tmp_path, monkeypatch):
    here = visit(client)
    file = sent(client, here, png(picture()))
    assert (file["width"], file["height"], file["type"], file["channels"]) == (24, 24, "uint8", 1)
    mask = sent(client, here, png(strokes()), "mask", "strokes.png")
    looked = client.post(f"{here}/mask", json={"picture": file["file"], "mask": mask["file"]}).json()
    assert looked["share"] == pytest.approx((strokes() > 0).mean()) and not looked["doubtful"]
    run = begun(client, here, task="inpaint", picture=file["file"], mask=mask["file"], method="gp", samples=3)
    found = ended(client, run)
    assert found["state"] == "done", found
    result = found["result"]
    assert result["summary"]["method"] == "gp" and result["samples"] == 3
    for name in ("mean.png", "before.png", "std.png", "spread.png", "sample2.png"):
        assert client.get(f"{run}/shown/{name}").headers["content-type"] == "image/png"
    restored = client.get(f"{run}/picture").content
    levels = np.asarray(Image.open(BytesIO(restored)))
    pixel = client.get(f"{run}/pixel", params={"row": 8, "column": 10}).json()
    assert pixel["mean"] == [levels[8, 10]] and len(pixel["samples"]) == 3
    assert pixel["low"][0] < pixel["mean"][0] < pixel["high"][0] and pixel["std"][0] > 0
    assert client.get(f"{run}/pixel", params={"row": 24, "column": 0}).status_code == 404
    assert client.get(f"{run}/pixel", params={"row": -1, "column": 0}).status_code == 404
    report = client.get(f"{run}/report")
    assert "mine.png" in report.text and "sandbox" in report.headers["content-security-policy"]

    from typer.testing import CliRunner

    from bayesdip.cli import app

    monkeypatch.chdir(tmp_path)
    assert result["given"] == {"picture": "mine.png", "mask": "strokes.png"}
    for role, name in result["given"].items():
        given = client.get(f"{run}/given/{role}")
        assert f'filename="{name}"' in given.headers["content-disposition"]
        Path(name).write_bytes(given.content)
    assert client.get(f"{run}/given/psf").status_code == 404
    assert CliRunner().invoke(app, shlex.split(result["command"])[1:]).exit_code == 0
    assert np.array_equal(io.read_picture("mine-restored.png").pixels, levels)
    Path("mine-restored.png").unlink()
    Path("mine-std.tif").unlink()
    told = {}
    exec(result["python"], told)
    assert np.array_equal(told["r"].mean, levels)


def test_a_mask_that_leaves_little_is_doubted_and_can_be_turned_over(client):
    here = visit(client)
    file = sent(client, here, png(picture()))
    mask = sent(client, here, png(255 - strokes()), "mask")
    asked = {"picture": file["file"], "mask": mask["file"]}
    assert client.post(f"{here}/mask", json=asked).json()["doubtful"]
    turned = client.post(f"{here}/mask", json=asked | {"invert": True}).json()
    assert not turned["doubtful"] and turned["share"] == pytest.approx((strokes() > 0).mean())


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"no picture at all", "broken.png", "broken.png"),
        (png(picture())[:200], "cut.png", "cut.png"),
        (b"", "empty.png", "empty.png"),
    ],
)
def test_a_broken_file_is_one_line_with_the_visitors_name(client, data, name, says):
    answer = client.post(f"{visit(client)}/file", params={"name": name}, content=data)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert says in error and "\n" not in error and "/tmp" not in error and "visit-" not in error


def test_a_file_that_is_too_large_is_refused_and_nothing_of_it_stays(client, monkeypatch):
    here = visit(client)
    folder = folder_of(client, here)
    monkeypatch.setattr(limits, "MOST_BYTES", 1000)
    answer = client.post(f"{here}/file", params={"name": "large.png"}, content=bytes(1001))
    assert answer.status_code == 413 and "expected a smaller one" in answer.json()["error"]
    parts = iter([bytes(600), bytes(600)])
    assert client.post(f"{here}/file", params={"name": "large.png"}, content=parts).status_code == 413
    assert not list(folder.iterdir())


def test_too_many_pixels_are_refused():
    with pytest.raises(limits.Refused, match="at most 25 on this page") as refused:
        limits.check_pixels((5001, 5000))
    assert refused.value.status == 413
    limits.check_pixels((5000, 5000))
    with pytest.raises(limits.Refused):
        limits.check_pixels((1500, 1500), factor=4)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "asked.json", "mean.npy", "..%2fasked.json", "state.json"]
)
def test_only_pictures_of_a_run_are_shown(client, name):
    here = visit(client)
    file = sent(client, here, png(picture()))
    run = begun(client, here, task="denoise", picture=file["file"], sigma="12", method="gp")
    assert client.get(f"{run}/shown/{name}").status_code == 404
    ended(client, run)


def test_names_with_folders_are_taken_for_names(client):
    file = sent(client, visit(client), png(picture()), name="../../../tmp/evil.png")
    assert file["name"] == "evil.png"


def test_what_is_not_allowed_is_one_line(client):
    here = visit(client)
    file = sent(client, here, png(picture()))["file"]
    for asked, says in [
        ({"task": "denoise"}, "drop one"),
        ({"task": "denoise", "picture": "gone"}, "send it again"),
        ({"task": "paint", "picture": file}, "task"),
        ({"task": "deblur", "picture": file}, "PSF"),
        ({"task": "upscale", "picture": file, "factor": 99}, "factor is '99'"),
        ({"task": "denoise", "picture": file, "samples": "x"}, "samples"),
        ({"task": "inpaint", "picture": file, "mask": "none"}, "mask"),
    ]:
        answer = client.post(f"{here}/run", json=asked)
        assert 400 <= answer.status_code < 500 and says in answer.json()["error"], answer.text
    run = begun(client, here, task="denoise", picture=file, sigma="-3")
    assert "sigma" in ended(client, run)["failed"]["text"]


def test_visitors_do_not_see_each_other(client):
    one, other = visit(client), visit(client)
    file = sent(client, one, png(picture()))["file"]
    assert client.get(f"{other}/file/{file}").status_code == 404
    assert client.post(f"{other}/run", json={"task": "denoise", "picture": file}).status_code == 404
    run = begun(client, one, task="denoise", picture=file, sigma="12", method="gp")
    assert client.get(run.replace(one, other)).status_code == 404
    assert client.get("/api/visit/guessed/file/x").status_code == 404
    ended(client, run)


def test_a_run_that_is_killed_says_so_and_the_next_one_is_served(client):
    one, other = visit(client), visit(client)
    files = [sent(client, here, png(picture()))["file"] for here in (one, other)]
    first = begun(client, one, task="denoise", picture=files[0], sigma="12", method="sgld", effort="best")
    second = begun(client, other, task="denoise", picture=files[1], sigma="12", method="gp")
    assert client.get(second).json()["place"] == 1
    until = time.monotonic() + LIMIT
    while not client.get(first).json().get("progress") and time.monotonic() < until:
        time.sleep(0.1)
    (run,) = client.app.state.queue.running
    os.kill(run.process.pid, signal.SIGKILL)
    found = ended(client, first)
    assert found["state"] == "failed" and "SIGKILL" in found["failed"]["text"]
    assert ended(client, second)["state"] == "done"


def test_stop_gives_the_best_so_far(client):
    here = visit(client)
    file = sent(client, here, png(picture()))["file"]
    run = begun(client, here, task="denoise", picture=file, sigma="12", method="sgld", effort="best")
    until = time.monotonic() + LIMIT
    while not client.get(run).json().get("progress", {}).get("pictures") and time.monotonic() < until:
        time.sleep(0.1)
    client.post(f"{run}/stop")
    found = ended(client, run)
    assert found["state"] == "done" and found["result"]["summary"]["stopped"] == "interrupted"


def test_a_waiting_run_can_be_taken_out_of_the_line(client):
    here = visit(client)
    file = sent(client, here, png(picture()))["file"]
    first = begun(client, here, task="denoise", picture=file, sigma="12", method="gp")
    second = begun(client, here, task="denoise", picture=file, sigma="12", method="gp")
    third = begun(client, here, task="denoise", picture=file, sigma="12", method="gp")
    refused = client.post(f"{here}/run", json={"task": "denoise", "picture": file})
    assert refused.status_code == 429 and "stop one first" in refused.json()["error"]
    client.post(f"{second}/stop")
    assert "before it began" in client.get(second).json()["failed"]["text"]
    assert ended(client, first)["state"] == ended(client, third)["state"] == "done"


def test_elsewhere_than_here_the_token_is_needed():
    with TestClient(
        make_app(token="secret"), base_url="http://studio.example", follow_redirects=False
    ) as client:
        assert client.get("/").status_code == 401
        assert client.post("/api/visit").status_code == 401
        assert client.get("/", params={"token": "wrong"}).status_code == 401
        let_in = client.get("/", params={"token": "secret"})
        assert let_in.status_code == 303 and "token" not in let_in.headers["location"]
        assert client.get("/").status_code == 200
        assert client.post("/api/visit").status_code == 200


def test_other_pages_cannot_ask_through_the_browser(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert client.post("/api/visit", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/visit", headers={"origin": LOCAL}).status_code == 200
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "http" not in policy


def test_the_page_loads_nothing_from_elsewhere():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert (
            "http:" not in text
            and "https:" not in text
            and "//" not in text.replace(" // ", "").replace("\n// ", "\n").removeprefix("// ")
        ), file


def test_a_list_of_layers_is_the_network_that_it_lists():
    listed = architecture("layers: conv 3, norm, relu 0.2, conv 3, norm, relu 0.2")
    known = Flat(depth=2, filter_size=3, slope=0.2).kernel(6, 2).values
    assert np.allclose(listed.kernel(6, 2).values, known)
    up = architecture("layers: down stride, conv 3, relu, up nearest, up bilinear")
    assert up.grid_rule().magnification == 2 and up.grid_rule().multiple == 2
    for text in (
        "layers: pool",
        "layers: conv x",
        "layers: norm 3",
        "layers: down",
        "layers: " + "conv 3," * 50,
    ):
        with pytest.raises(ValueError, match="expected"):
            architecture(text)


def test_prior_and_lab_answer(client):
    here = visit(client)
    found = client.post(f"{here}/prior", json={"arch": "skip(scales=2)", "width": 8, "seed": 1}).json()
    assert found["kernel"][0] == 1 and found["kernel"][1] < 1 and len(found["layers"]) > 3
    assert client.get(f"{here}/prior/network0.png").headers["content-type"] == "image/png"
    assert client.get(f"{here}/prior/asked.png").status_code == 404
    unknown = client.post(f"{here}/prior", json={"arch": "nothing"})
    assert unknown.status_code == 400 and "nothing" in unknown.json()["error"]
    claims = client.get("/api/lab").json()
    assert len(claims) >= 22 and all(one["sentence"] for one in claims)


def test_the_command_of_every_task_is_one_that_the_program_takes():
    for asked, says in [
        (
            Asked("denoise", "a.png", "my photo.png", sigma="auto"),
            "bayesdip denoise 'my photo.png' --sigma auto",
        ),
        (
            Asked("upscale", "a.jpg", "x.jpg", factor=2, kind="area", samples=3),
            "--factor 2 --kind area -o x-restored.png --std x-std.tif --samples 3",
        ),
        (
            Asked("deblur", "a.tif", "x.tif", ".tif", psf="p.npy", psf_name="spot.npy"),
            "--psf spot.npy -o x-restored.tif",
        ),
        (Asked("denoise", "a.png", "x.png", method="map"), "-o x-restored.png --method map"),
        (
            Asked("inpaint", "a.png", "x.png", mask="m.png", mask_name="my m.png", invert_mask=True),
            "--mask 'my m.png' --invert-mask",
        ),
        (
            Asked("denoise", "a.png", "x.png", compares=True),
            "bayesdip compare x.png --methods patches,gp,baselines --time-budget 15",
        ),
    ]:
        assert says in command_of(asked)


def test_the_line_has_an_end(monkeypatch, client):
    monkeypatch.setattr(run_queue, "MOST_IN_QUEUE", 0)
    here = visit(client)
    file = sent(client, here, png(picture()))["file"]
    answer = client.post(f"{here}/run", json={"task": "denoise", "picture": file})
    assert answer.status_code == 503 and "try again" in answer.json()["error"]


def test_a_process_that_ends_before_it_is_needed_is_passed_over(client):
    queue = client.app.state.queue
    client.portal.call(queue.ready)
    os.kill(queue.spare.pid, signal.SIGKILL)
    here = visit(client)
    file = sent(client, here, png(picture()))["file"]
    assert (
        ended(client, begun(client, here, task="denoise", picture=file, sigma="12", method="gp"))["state"]
        == "done"
    )


def test_every_example_is_a_picture_with_what_its_task_needs(client):
    here = visit(client)
    for key, one in client.get("/api/choices").json()["examples"].items():
        found = client.post(f"{here}/example/{key}").json()
        assert found["task"] == one["task"] and found["picture"]["width"] >= 64
        assert ("mask" in found) == (one["task"] == "inpaint") and ("psf" in found) == (
            one["task"] == "deblur"
        )
        assert client.get(f"{here}/file/{found['picture']['file']}").headers["content-type"] == "image/png"
    assert client.post(f"{here}/example/none").status_code == 404


def test_without_shared_memory_one_line_says_so(monkeypatch):
    class Context:
        def Lock(self):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(aside, "get_context", lambda how: Context())
    with pytest.raises(BayesDipError, match="/dev/shm") as refused:
        serve("127.0.0.1", 0, print)
    assert "\n" not in str(refused.value)
