import pytest
import torch
from torch.optim import AdamW

from hyperseq.optim import Kar2, Kar3
from tasks.learning.optimizers import make_optimizer


def groups(weight_decay=0.0):
    return [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.5, "weight_decay": weight_decay}]


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("kar2", Kar2), ("kar3", Kar3)])
def test_a_name_gives_its_optimizer_with_the_rates_of_the_groups(name, kind):
    optimizer = make_optimizer(name, groups(), lr=1.0)
    assert type(optimizer) is kind and optimizer.param_groups[0]["lr"] == 0.5


def test_unknown_names_and_decays_that_would_be_ignored_are_refused():
    with pytest.raises(ValueError, match="name must be one of adamw, kar2, kar3, got 'sgd'"):
        make_optimizer("sgd", groups(), lr=1.0)
    with pytest.raises(ValueError, match="weight_decay must be 0 with kar2, which has none, got 0.1"):
        make_optimizer("kar2", groups(weight_decay=0.1), lr=1.0)
