"""What becomes of a visit when its tab is closed, what is said before a start, and whether the page can be read."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from starlette.testclient import TestClient

from bayesdip.studio import visits
from bayesdip.studio.server import PAGE, make_app
from test_studio_server import LIMIT, LOCAL, begun, ended, folder_of, picture, png, sent, visit


def test_a_visit_that_is_over_leaves_nothing(monkeypatch):
    monkeypatch.setattr(visits, "SWEEP", 0.1)
    monkeypatch.setattr(visits, "CLOSED", 0.2)
    with TestClient(make_app(), base_url=LOCAL) as client:
        here = visit(client)
        sent(client, here, png(picture()))
        folder = folder_of(client, here)
        assert list(folder.iterdir())
        client.post(f"{here}/close")
        until = time.monotonic() + 30
        while folder.exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert not folder.exists()
        assert client.post(f"{here}/stay").status_code == 404
        root = folder.parent
    assert not root.exists()


@pytest.mark.parametrize("detached", [False, True])
def test_a_closed_tab_ends_its_runs_unless_they_shall_go_on(monkeypatch, detached):
    monkeypatch.setattr(visits, "SWEEP", 0.1)
    monkeypatch.setattr(visits, "CLOSED", 0.3)
    with TestClient(make_app(places=1), base_url=LOCAL) as client:
        here = visit(client)
        file = sent(client, here, png(picture()))["file"]
        run = begun(client, here, task="denoise", picture=file, sigma="12", method="sgld", effort="best")
        (going,) = client.app.state.queue.running
        client.post(f"{here}/stay", json={"detached": detached})
        client.post(f"{here}/close")
        until = time.monotonic() + (2 if detached else LIMIT)
        while not going.is_over and time.monotonic() < until:
            time.sleep(0.1)
        assert going.is_over != detached
        assert client.get(run).status_code == (200 if detached else 404)
        # Its files go a moment later, beside what the server does otherwise.
        until = time.monotonic() + 30
        while going.folder.exists() and not detached and time.monotonic() < until:
            time.sleep(0.1)
        assert going.folder.exists() == detached


def test_what_would_run_is_said_and_a_start_does_not_wait_for_that():
    with TestClient(make_app(places=1), base_url=LOCAL) as client:
        here = visit(client)
        asked = {"task": "denoise", "picture": sent(client, here, png(picture()))["file"], "sigma": "12"}
        found = client.post(f"{here}/plan", json=asked | {"method": "gp"}).json()
        assert found["method"] == "gp" and found["seconds"] > 0
        refused = client.post(f"{here}/plan", json=asked | {"sigma": "much"})
        assert refused.status_code == 400 and "much" in refused.json()["error"]
        assert ended(client, begun(client, here, **asked, method="gp"))["state"] == "done"


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    levels = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_edges_stand_out(scheme):
    colours = dict(
        re.findall(
            r"--([\w-]+): (#\w+)", re.findall(r":root \{([^}]*)\}", (PAGE / "studio.css").read_text())[scheme]
        )
    )
    text = [(name, on) for name in ("ink", "soft", "accent", "warn") for on in ("page", "card")]
    text += [("on-accent", "accent"), ("ink", "pale")]
    for least, pairs in [(4.5, text), (3.0, [("edge", "page"), ("edge", "card")])]:
        for pair in pairs:
            high, low = sorted((luminance(colours[name]) for name in pair), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= least, pair
