"""Averages over several sizes of patches."""

import torch

from bayesdip.patches.estimate import Estimate, average_over_sizes

NAN = float("nan")


def go_on(stage, share):
    return False


def test_estimates_are_averaged_by_weight_where_they_cover_a_pixel():
    means = {3: [1.0, 1.0, 1.0, 9.0], 5: [2.0, 2.0, 9.0, 9.0], 7: [4.0, 9.0, 4.0, 9.0]}
    covered = {3: [1, 1, 1, 0], 5: [1, 1, 0, 0], 7: [1, 0, 1, 0]}

    def restore(values, stop):
        where = torch.tensor(covered[values]).bool()
        mean = torch.tensor(means[values])
        return Estimate(mean, torch.where(where, mean / 10, NAN), 2, where)

    found = average_over_sizes(restore, {3: 0.5, 5: 0.25, 7: 0.25}, 2, go_on, stages=2)
    expected = torch.tensor([0.5 + 0.5 + 1.0, (0.5 + 0.5) / 0.75, (0.5 + 1.0) / 0.75])
    assert found.covered.tolist() == [True, True, True, False]
    torch.testing.assert_close(found.mean[:3], expected)
    torch.testing.assert_close(found.std[:3], expected / 10)
    assert found.passes == 2


def test_a_first_estimate_of_nothing_gives_way_to_the_second():
    def restore(values, stop):
        where = torch.tensor([values == 5])
        return Estimate(torch.tensor([float(values)]), torch.where(where, 0.5, NAN), 1, where)

    found = average_over_sizes(restore, {3: 0.4, 5: 0.6}, 1, go_on, stages=1)
    assert float(found.mean) == 5 and float(found.std) == 0.5 and bool(found.covered)


def test_stopped_it_gives_the_sizes_that_were_finished():
    asked = []

    def stop(stage, share):
        asked.append(stage)
        return stage == 5

    def restore(values, stop):
        for stage in range(2):
            if stop(stage, 0.0):
                return Estimate(torch.full((1,), -1.0), None, stage)
        return Estimate(torch.full((1,), float(values)), torch.ones(1), 2)

    found = average_over_sizes(restore, {1: 1.0, 3: 1.0, 9: 1.0}, 2, stop, stages=2)
    assert asked == [0, 1, 2, 3, 4, 5]
    assert float(found.mean) == 2 and float(found.std) == 1
    first = average_over_sizes(restore, {1: 1.0}, 2, lambda stage, share: True, stages=2)
    assert float(first.mean) == -1 and first.std is None and first.passes == 0
