from functools import partial

import pytest
import torch
from torch.optim import SGD, AdamW

from hyperseq.optim import Kar2, Kar3
from tasks.errors import UserError
from tasks.learning.optimizers import adamw, make_optimizer


def groups(weight_decay=0.0):
    return [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.5, "weight_decay": weight_decay}]


@pytest.mark.parametrize("factory", [AdamW, Kar2, Kar3, partial(SGD, momentum=0.9)])
def test_any_optimizer_has_the_rates_of_the_groups(factory):
    optimizer = make_optimizer(factory, groups(), lr=1.0)
    assert isinstance(optimizer, getattr(factory, "func", factory)) and optimizer.param_groups[0]["lr"] == 0.5


def test_adamw_steps_by_one_fused_call_and_leaves_unscaling_to_the_trainer():
    optimizer = make_optimizer(adamw, groups(), lr=1.0)
    assert optimizer.param_groups[0]["fused"] is True
    assert not getattr(optimizer, "_step_supports_amp_scaling", False)
    loop, fused = (make_optimizer(partial(AdamW, foreach=choice), groups(0.1), lr=1.0) for choice in (False, None))
    assert not loop.param_groups[0]["fused"]
    for _ in range(3):
        for each in (loop, fused):
            each.param_groups[0]["params"][0].grad = torch.full((1,), 0.3)
            each.step()
    torch.testing.assert_close(loop.param_groups[0]["params"][0], fused.param_groups[0]["params"][0])


def test_a_decay_that_would_be_ignored_is_refused():
    with pytest.raises(UserError, match="weight_decay must be 0 with Kar2, which has none, got 0.1"):
        make_optimizer(Kar2, groups(weight_decay=0.1), lr=1.0)


def test_what_makes_no_optimizer_is_refused():
    with pytest.raises(UserError, match=r"optimizer must return a torch.optim.Optimizer, got dict"):
        make_optimizer(lambda groups, lr: {}, groups(), lr=1.0)
