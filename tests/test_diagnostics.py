"""Whether a chain has mixed: told where it is known."""

import builtins

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.diagnostics import by_chain, diagnose, halved, split_rhat
from bayesdip.report.facts import diagnostics_of, mixing_of

pytest.importorskip("arviz")


def draws(chains, count, shape=(8, 8), drift=0.0, apart=0.0, seed=0):
    """Samples (S, *shape) and their chain: white, plus a drift in time and a distance between chains."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((chains, count, *shape))
    x += drift * np.linspace(-1, 1, count).reshape(1, count, *[1] * len(shape))
    x += apart * np.arange(chains).reshape(chains, 1, *[1] * len(shape))
    return x.reshape(chains * count, *shape), np.repeat(np.arange(chains), count)


def restoration(samples, chain, trace=None):
    return bd.Restoration(
        mean=samples.mean(0),
        std=samples.std(0).astype(np.float32),
        raw_std=samples.std(0).astype(np.float32),
        samples=samples,
        trace=trace or {},
        sigma=None,
        held_out=None,
        held_out_count=0,
        seconds=1.0,
        stopped="finished",
        method="sgld",
        why="as asked for",
        settings={},
        chain=chain,
    )


@pytest.mark.parametrize("chains", [1, 4])
def test_independent_draws_have_mixed(chains):
    found = diagnose(*draws(chains, 256 // chains), {}, None)
    assert found.pixels == pytest.approx(1.0, abs=0.03) and found.mixed
    assert np.median(found.ess) == pytest.approx(256, rel=0.25)
    assert found.word.startswith("mixed") and found.rhat.shape == (8, 8)


@pytest.mark.parametrize("faulty", [{"drift": 2.0}, {"chains": 2, "apart": 3.0}])
def test_a_drifting_chain_and_chains_apart_have_not_mixed(faulty):
    samples, chain = draws(**({"chains": 1, "count": 40} | faulty))
    found = diagnose(samples, chain, {}, None)
    assert found.pixels > 1.1 and not found.mixed
    assert found.word.startswith("not mixed") and found.word.endswith("run longer")
    assert np.median(found.ess) < 0.5 * found.samples


def test_a_trace_that_drifts_tells_on_a_chain_whose_pixels_look_well():
    samples, chain = draws(1, 32)
    rng = np.random.default_rng(1)
    level = rng.standard_normal(100)
    sampling = [0.0] * 50 + [1.0] * 50
    still = diagnose(samples, chain, {"fit": level.tolist(), "sampling": sampling}, None)
    drifting = (level + np.linspace(0, 8, 100)).tolist()
    moving = diagnose(samples, chain, {"fit": drifting, "sampling": sampling}, None)
    assert still.mixed and not moving.mixed and moving.summaries["fit"] > 1.1
    # What came before sampling does not count.
    early = diagnose(
        samples, chain, {"fit": (level + 100 * (np.arange(100) < 50)).tolist(), "sampling": sampling}, None
    )
    assert early.summaries["fit"] == still.summaries["fit"]


def test_one_chain_is_judged_by_its_halves_as_arviz_judges_two_chains():
    import arviz

    samples, chain = draws(1, 40)
    halves = np.stack([samples[:20], samples[20:]])
    expected = arviz.rhat(arviz.convert_to_dataset({"x": halves}), method="split")["x"].values
    np.testing.assert_allclose(diagnose(samples, chain, {}, None).rhat, expected)
    np.testing.assert_array_equal(halved(samples[None]), halves)


def test_what_does_not_vary_counts_as_mixed():
    assert split_rhat(np.ones((2, 8, 3))).tolist() == [1.0, 1.0, 1.0]


def test_chains_of_unequal_length_give_their_latest_draws():
    chains = by_chain(np.arange(7.0), np.array([0, 0, 0, 0, 1, 1, 1]))
    np.testing.assert_array_equal(chains, [[1, 2, 3], [4, 5, 6]])


def test_large_and_coloured_pictures_are_looked_at_on_a_lattice(monkeypatch):
    from bayesdip import diagnostics

    monkeypatch.setattr(diagnostics, "MOST_PIXELS", 64)
    samples, chain = draws(1, 8, (23, 23, 3))
    found = diagnose(samples, chain, {}, -1)
    assert found.stride == 3 and found.rhat.shape == (8, 8)
    gray = diagnose(samples.mean(-1)[:, ::3, ::3], chain, {}, None)
    np.testing.assert_allclose(found.rhat, gray.rhat)


def test_few_samples_and_independent_draws_are_not_diagnosed():
    few = restoration(*draws(1, 7))
    assert few.diagnostics is None and "too few" in mixing_of(few)
    independent = restoration(draws(1, 40)[0], None)
    assert independent.diagnostics is None and mixing_of(independent) == ""


def test_without_arviz_the_summary_says_so_and_nothing_fails(monkeypatch):
    r = restoration(*draws(1, 16))
    there = builtins.__import__

    def missing(name, *rest, **named):
        if name == "arviz":
            raise ImportError(name)
        return there(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert "pip install 'bayesdip[arviz]'" in mixing_of(r) and diagnostics_of(r) is None


def test_arviz_gets_chains_and_draws_and_the_names_of_the_axes():
    samples, chain = draws(4, 6, (5, 7))
    picture = restoration(samples, chain).to_arviz().posterior["picture"]
    assert picture.dims == ("chain", "draw", "row", "column") and picture.shape == (4, 6, 5, 7)
    np.testing.assert_array_equal(picture[2, 3].values, samples[2 * 6 + 3])
    assert restoration(*draws(1, 6, (5, 7))).to_arviz().posterior["picture"].shape == (2, 3, 5, 7)
    assert restoration(samples, None).to_arviz().posterior["picture"].shape == (1, 24, 5, 7)


def test_chains_come_back_from_a_file(tmp_path):
    r = restoration(*draws(2, 8, (4, 4)))
    back = bd.Restoration.load(r.save(tmp_path))
    np.testing.assert_array_equal(back.chain, r.chain)
    assert back.diagnostics.summary() == r.diagnostics.summary()


def test_the_summary_is_plain_json():
    import json

    told = diagnostics_of(restoration(*draws(2, 8)))
    assert json.loads(json.dumps(told))["chains"] == 2
