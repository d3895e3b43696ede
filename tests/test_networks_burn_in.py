"""Burn-in ends when the fit's trend is gone, and not before."""

import math

import pytest
import torch

from bayesdip.networks.burn_in import FEWEST_EVALUATIONS, has_settled


def correlated(n, level=1.0, scatter=0.02, memory=0.6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, generator=generator).tolist()
    values, x = [], 0.0
    for e in noise:
        x = memory * x + math.sqrt(1 - memory**2) * e
        values.append(level * (1 + scatter * x))
    return values


def first_settled(trace):
    return next((n for n in range(1, len(trace) + 1) if has_settled(trace[:n])), None)


def test_a_rising_fit_has_not_settled():
    assert first_settled([0.8 + 0.005 * n for n in range(60)]) is None


@pytest.mark.parametrize("seed", range(5))
def test_it_waits_for_an_approach_to_die_out(seed):
    """From 0.8 to 1 with a time constant of 30 evaluations: settled within 2% of the plateau, not ten constants late."""
    noise = correlated(400, scatter=0.005, seed=seed)
    trace = [v - 0.2 * math.exp(-n / 30) for n, v in enumerate(noise)]
    settled = first_settled(trace)
    assert settled is not None and 60 <= settled <= 200


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_trace_settles_soon(seed):
    assert first_settled(correlated(100, scatter=0.01, seed=seed)) <= 4 * FEWEST_EVALUATIONS


@pytest.mark.parametrize("seed", range(5))
def test_spikes_are_no_trend(seed):
    """A chain that leaves its plateau for single evaluations has settled as soon as one that does not."""
    trace = correlated(100, scatter=0.01, seed=seed)
    spiked = [value * (1.4 if n % 9 == 4 else 1.0) for n, value in enumerate(trace)]
    assert first_settled(spiked) <= 5 * FEWEST_EVALUATIONS


def test_a_trace_too_noisy_to_tell_has_not_settled():
    trace = correlated(30, scatter=0.5, memory=0.0, seed=1)
    assert first_settled(trace) is None


def test_few_evaluations_are_no_verdict():
    assert not has_settled([1.0] * FEWEST_EVALUATIONS)
