import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR

from tasks.learning.schedules import constant, cosine, make_schedule, one_cycle


def rates(schedule, optimizer, steps):
    told = [[group["lr"] for group in optimizer.param_groups]]
    for _ in range(steps - 1):
        optimizer.step()
        schedule.step()
        told.append([group["lr"] for group in optimizer.param_groups])
    return torch.tensor(told, dtype=torch.float64)


def two_groups():
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    return SGD([{"params": weights[:1], "lr": 0.5}, {"params": weights[1:], "lr": 0.01}], lr=1.0)


@pytest.mark.parametrize(("total_steps", "warmup"), [(10, 0.3), (100, 0.25), (37, 0.3)])
def test_one_cycle_equals_torchs_own(total_steps, warmup):
    ours, theirs = two_groups(), two_groups()
    schedule = make_schedule("one_cycle", ours, total_steps=total_steps, warmup=warmup)
    peaks = [group["lr"] for group in theirs.param_groups]
    torchs = OneCycleLR(theirs, max_lr=peaks, total_steps=total_steps, pct_start=warmup, cycle_momentum=False)
    torch.testing.assert_close(rates(schedule, ours, total_steps), rates(torchs, theirs, total_steps))


@pytest.mark.parametrize("function", [one_cycle, cosine])
def test_a_schedule_rises_to_the_peak_and_falls_to_nothing(function):
    factors = [function(step, total_steps=1000, warmup=0.3) for step in range(1000)]
    peak = factors.index(max(factors))
    assert factors[peak] == pytest.approx(1, abs=1e-4) and peak in (299, 300)
    assert factors[:peak] == sorted(factors[:peak]) and factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] < 1e-4


def test_constant_rises_and_stays():
    assert [constant(step, total_steps=10, warmup=0) for step in range(10)] == [1.0] * 10
    assert constant(0, total_steps=10, warmup=0.3) < constant(2, total_steps=10, warmup=0.3) < 1
    assert constant(3, total_steps=10, warmup=0.3) == 1


@pytest.mark.parametrize("function", [one_cycle, cosine, constant])
@pytest.mark.parametrize("warmup", [0, 0.01, 0.5, 1])
def test_factors_are_in_range_at_every_length_and_beyond_the_end(function, warmup):
    for total_steps in (1, 2, 3, 10):
        for step in range(total_steps + 5):
            assert 0 <= function(step, total_steps=total_steps, warmup=warmup) <= 1


def test_each_group_keeps_its_own_peak():
    optimizer = two_groups()
    told = rates(make_schedule("cosine", optimizer, total_steps=50, warmup=0.2), optimizer, 50)
    torch.testing.assert_close(told[:, 0], 50 * told[:, 1])


def test_what_makes_no_schedule_is_refused():
    with pytest.raises(ValueError, match="name must be one of one_cycle, cosine, constant, got 'linear'"):
        make_schedule("linear", two_groups(), total_steps=1, warmup=0)
    with pytest.raises(ValueError, match="total_steps must be at least 1, got 0"):
        make_schedule("cosine", two_groups(), total_steps=0, warmup=0)
    with pytest.raises(ValueError, match=r"warmup must lie in \[0, 1\], got 1.5"):
        make_schedule("cosine", two_groups(), total_steps=1, warmup=1.5)
