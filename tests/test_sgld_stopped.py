"""A sampled network that is stopped: the best result so far is a picture, whatever was reached."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.networks.schedule import SCHEDULES, Schedule


@pytest.mark.parametrize(("steps", "until", "fitted"), [(12, 1, False), (300, 270, True)])
def test_stopped_while_it_samples_it_gives_the_network_only_if_it_fits(monkeypatch, steps, until, fitted):
    """As a time budget that is far too short for the machine ends it."""
    monkeypatch.setitem(SCHEDULES, "fast", Schedule(steps))
    rng = np.random.default_rng(0)
    clean = 60 + 100 * np.add.outer(np.sin(np.linspace(0, 3, 48)), np.linspace(0, 1, 48))
    noisy = clean + rng.normal(0, 15, clean.shape)
    method = bd.SGLD(arch="skip(scales=2, width=8)", effort="fast")
    found = bd.denoise(noisy, 15, method=method, callback=lambda s: s.phase == "sampling" and s.step >= until)
    assert found.stopped == "interrupted" and found.info["counted"] > 0
    assert found.info["initial_estimate"] is not fitted
    assert (found.std is not None) == fitted and (len(found.samples) > 0) == fitted
    assert np.sqrt(np.mean((found.mean - clean) ** 2)) < 10
