"""A run that was killed goes on from its checkpoints, to the same bits."""

import json
import math
from collections import deque

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.errors import BayesDipError, FileError
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.resuming import OtherRequestError, give_back, run_folder, stages, state_of
from bayesdip.resuming.encoding import decoded, encoded
from conftest import smooth_picture

TINY = arch.skip(scales=1, width=6, skip=2)
NOISY = 255 * smooth_picture((20, 20)) + np.random.default_rng(0).normal(0, 10, (20, 20))
COLOUR = 255 * smooth_picture((20, 20), 3) + np.random.default_rng(0).normal(0, 10, (20, 20, 3))
HOLES = np.random.default_rng(1).random((20, 20)) < 0.4
EXACT = 255 * smooth_picture((20, 20))
# So large that a network on its own grid follows those on a coarser one.
LARGE = 255 * smooth_picture((132, 144))
GAPS = (np.abs(np.indices(LARGE.shape) % [[[66]], [[72]]] - [[[33]], [[30]]]) < [[[20]], [[12]]]).all(0)


class Killed(BaseException):
    """What stands for SIGKILL: nothing in the program catches it."""


@pytest.fixture
def often(monkeypatch):
    """A checkpoint before every step."""
    monkeypatch.setattr(stages, "INTERVAL", 0.0)
    monkeypatch.setattr(stages, "TIMES_ITS_COST", 0.0)
    monkeypatch.setattr(stages, "WORTH", 0.0)


@pytest.fixture
def killed_at(monkeypatch):
    """Have the program killed right after it wrote its n-th checkpoint; how many there were is in `counted`."""
    write = stages.Stages.write

    class Plan:
        at = math.inf
        counted = 0

    def counting(self, key, content):
        write(self, key, content)
        Plan.counted += 1
        if Plan.counted == Plan.at:
            raise Killed

    def plan(n):
        Plan.at, Plan.counted = n, 0
        return Plan

    monkeypatch.setattr(stages.Stages, "write", counting)
    return plan


def sgld(**options):
    return bd.SGLD(**{"arch": TINY, "steps": 30, "samples": 3, "device": "cpu", **options})


def fitted(**options):
    return bd.MAP(**{"arch": TINY, "steps": 30, "device": "cpu", **options})


CASES = {
    "map": lambda **k: bd.denoise(NOISY, 10, method=fitted(), **k),
    "map, windowed variance": lambda **k: bd.denoise(NOISY, 10, method=fitted(stop="windowed-variance"), **k),
    "map, sure": lambda **k: bd.denoise(NOISY, 10, method=fitted(stop="sure"), **k),
    "map, weight decay": lambda **k: bd.inpaint(
        EXACT, HOLES, method=fitted(optimiser="sgd+weight-decay"), **k
    ),
    "sgld": lambda **k: bd.denoise(NOISY, 10, method=sgld(), **k),
    "sgld, chains and sigma": lambda **k: bd.denoise(
        COLOUR, 10, channel_axis=-1, method=sgld(chains=2, sample_sigma=True), **k
    ),
    "sgld, refit": lambda **k: bd.inpaint(EXACT, HOLES, method=sgld(refit=True), **k),
    "sgld, a hole": lambda **k: bd.inpaint(LARGE, GAPS, method=sgld(steps=40), **k),
    "sgld, adam noise": lambda **k: bd.denoise(NOISY, 10, method=sgld(sampler="adam-noise"), **k),
    "sgld, counts": lambda **k: bd.denoise(
        np.random.default_rng(2).poisson(EXACT / 8), noise=bd.Poisson(), method=sgld(), **k
    ),
    "patches": lambda **k: bd.denoise(NOISY, 10, method="patches", effort="best", device="cpu", **k),
    "patches, holes": lambda **k: bd.inpaint(
        EXACT, HOLES, method="patches", effort="best", device="cpu", **k
    ),
    "patches, enlarging": lambda **k: bd.upscale(
        EXACT, 2, method="patches", effort="fast", device="cpu", **k
    ),
    "stack": lambda **k: bd.inpaint(EXACT, HOLES, method=bd.Stack(sgld=sgld(), device="cpu"), **k),
}


def told(restoration):
    """All that a result says but the time that it took."""
    timeless = {} if restoration.method == "patches" else restoration.trace
    trace = {name: values for name, values in timeless.items() if name != "seconds"}
    summary = restoration.summary()
    plain = {name: value for name, value in summary.items() if name not in ("seconds", "trace")}
    arrays = [restoration.mean, restoration.std, restoration.raw_std, restoration.samples, restoration.chain]
    return [None if a is None else a.tobytes() for a in arrays], repr(trace), repr(plain)


QUICK = ("map", "sgld", "patches")


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_killed_run_goes_on_to_the_same_bits(case, tmp_path, often, killed_at):
    restore = CASES[case]
    wanted = told(restore())
    plan = killed_at(math.inf)
    assert told(restore(resume=tmp_path / "whole")) == wanted, "checkpoints change nothing"
    total = plan.counted
    assert not list((tmp_path / "whole").glob("stage-*.*.safetensors")), "parts of what is done are gone"
    assert total > 1 or case.startswith("patches")
    for at in sorted({1, total // 3, total // 2, total - 1} & set(range(1, total + 1))):
        folder = tmp_path / str(at)
        killed_at(at)
        with pytest.raises(Killed):
            restore(resume=folder)
        killed_at(math.inf)
        assert told(restore(resume=folder)) == wanted, f"killed after checkpoint {at} of {total}"


def test_a_run_that_is_killed_again_and_again_comes_to_the_same_bits(tmp_path, often, killed_at):
    wanted = told(CASES["sgld"]())
    for _ in range(3):
        killed_at(7)
        with pytest.raises(Killed):
            CASES["sgld"](resume=tmp_path)
    killed_at(math.inf)
    assert told(CASES["sgld"](resume=tmp_path)) == wanted


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "INTERVAL", 1e9)  # it keeps its end all the same
    wanted = told(CASES["sgld"]())
    stopped = CASES["sgld"](
        resume=tmp_path, callback=lambda seen: seen.phase == "sampling" and seen.step >= 20
    )
    assert stopped.stopped == "interrupted" and stopped.trace["step"][-1] < 30
    steps = []
    found = CASES["sgld"](
        resume=tmp_path, callback=lambda seen: steps.append(seen.step) if seen.step else None
    )
    assert told(found) == wanted
    assert min(steps) >= 20, "nothing that was done is done again"


def test_the_time_that_was_spent_counts_against_the_budget(tmp_path, often, killed_at):
    method = sgld(steps=10**6)
    killed_at(30)
    with pytest.raises(Killed):
        bd.denoise(NOISY, 10, method=method, time_budget=20, resume=tmp_path)
    content = json.dumps({"spent": 19.99})
    last = max(tmp_path.glob("stage-*"))
    kept = decoded(last.read_bytes())
    last.write_bytes(encoded(kept | {"times": [19.99 for _ in kept["times"]]}))
    killed_at(math.inf)
    found = bd.denoise(NOISY, 10, method=method, time_budget=20, resume=tmp_path)
    assert found.stopped == "time budget", content
    assert found.trace["step"][-1] <= kept["value"]["step"] + 1
    assert found.mean.std() > 0


CHANGES = {
    "input": ({"image": NOISY + 1e-9}, "input is"),
    "seed": ({"seed": 7}, "seed is 0 there, 7 here"),
    "noise": ({"sigma": 11}, "noise is"),
    "method": ({"method": fitted()}, "method is 'sgld' there, 'map' here"),
    "steps": ({"method": sgld(steps=31)}, "steps is 30 there, 31 here"),
    "network": ({"method": sgld(arch=arch.skip(scales=1, width=7, skip=2))}, "arch is"),
    "budget": ({"time_budget": 1000}, "time_budget is None there, 1000 here"),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_checkpoints_of_another_request_are_refused_and_stay(change, said, tmp_path, often, killed_at):
    asked = {"image": NOISY, "sigma": 10, "method": sgld(), "resume": tmp_path}
    killed_at(5)
    with pytest.raises(Killed):
        bd.denoise(**asked)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    killed_at(math.inf)
    with pytest.raises(OtherRequestError, match=said):
        bd.denoise(**asked | change)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_checkpoints_of_another_version_are_refused(tmp_path):
    CASES["map"](resume=tmp_path)
    file = tmp_path / "request.json"
    for key, value in {"version": "0.1.0", "format": 0}.items():
        kept = json.loads(file.read_text())
        file.write_text(json.dumps(kept | {key: value}))
        with pytest.raises(OtherRequestError, match=f"{key} is {value!r} there"):
            CASES["map"](resume=tmp_path)
        file.write_text(json.dumps(kept))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * 100])
def test_a_damaged_checkpoint_is_one_clear_line(damage, tmp_path):
    CASES["map"](resume=tmp_path)
    file = tmp_path / "stage-1.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BayesDipError, match=r"stage-1.safetensors: cannot be read as a checkpoint"):
        CASES["map"](resume=tmp_path)


def test_a_pickle_in_place_of_a_checkpoint_is_not_run(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    CASES["map"](resume=tmp_path)
    (tmp_path / "stage-1.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BayesDipError, match="cannot be read as a checkpoint"):
        CASES["map"](resume=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_two_runs_do_not_share_a_folder(tmp_path):
    with (
        run_folder(tmp_path, {"a": 1}, Progress()),
        pytest.raises(FileError, match="another run keeps its checkpoints there"),
        run_folder(tmp_path, {"a": 1}, Progress()),
    ):
        pass
    with run_folder(tmp_path, {"a": 1}, Progress()):
        pass


def test_what_else_lies_in_the_folder_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "stage-1.safetensors.part").write_bytes(b"half written")
    CASES["map"](resume=tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "stage-1.safetensors.part").exists()


def test_a_value_comes_back_as_it_was():
    strided = torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
    shared = torch.arange(3)
    value = {
        "numbers": [None, True, 3, 0.1, math.inf, "text"],
        1: (strided, torch.tensor(2.5, dtype=torch.float64)),
        "deque": deque([(1, shared)]),
        "array": np.arange(6.0).reshape(2, 3),
        "shared": [shared, shared],
        "posterior": Posterior(torch.ones(1, 2), process=Posterior(torch.zeros(1)), info={"passes": 3}),
    }
    found = decoded(encoded(value), (Posterior,))
    assert found["numbers"] == value["numbers"]
    assert torch.equal(found[1][0], strided) and found[1][0].stride() == strided.stride()
    assert found[1][1].dtype == torch.float64
    assert isinstance(found["deque"], deque) and torch.equal(found["deque"][0][1], shared)
    assert np.array_equal(found["array"], value["array"])
    assert found["shared"][0] is not None and torch.equal(found["shared"][1], shared)
    assert torch.equal(found["posterior"].process.mean, torch.zeros(1)) and found["posterior"].info == {
        "passes": 3
    }


def test_a_class_that_was_not_asked_for_is_not_made():
    with pytest.raises(ValueError, match="KeyError"):
        decoded(encoded(Posterior(torch.ones(1))))


def test_what_cannot_be_kept_is_an_error_and_not_left_out():
    with pytest.raises(TypeError, match="function"):
        encoded({"f": smooth_picture})


def test_state_goes_back_in_place_to_whoever_shares_it():
    weight = torch.nn.Parameter(torch.ones(3))
    adam = torch.optim.Adam([weight], lr=0.1)
    generator = torch.Generator().manual_seed(3)

    def step():
        weight.grad = torch.randn(3, generator=generator)
        adam.step()

    step()
    state = decoded(encoded(state_of(([weight], adam, generator))))
    step()
    wanted = weight.detach().clone()
    step()
    give_back(([weight], adam, generator), state)
    step()
    assert torch.equal(weight, wanted)
