import pytest
import torch
from torch.nn.functional import cross_entropy

from hyperseq import Terminator
from tasks.errors import UserError
from tasks.learning import mixup
from tasks.learning.classifier import Classifier
from tasks.learning.mixup import mix_up

LENGTHS = torch.tensor([9, 4, 6])


def batch():
    x = torch.randn(3, 1, 9, generator=torch.Generator().manual_seed(1))
    x = x.masked_fill(torch.arange(9) >= LENGTHS[:, None, None], 0)
    return {"x": x, "y": torch.tensor([0, 1, 2]), "lengths": LENGTHS, "index": torch.arange(3)}


def test_each_sample_is_mixed_with_another_up_to_the_longer_of_both():
    given = batch()
    mixed = mix_up(given, concentration=0.4)
    assert 0 < mixed.weight < 1 and sorted(mixed.order.tolist()) == [0, 1, 2]
    for row, other in enumerate(mixed.order.tolist()):
        wanted = mixed.weight * given["x"][row] + (1 - mixed.weight) * given["x"][other]
        torch.testing.assert_close(mixed.x[row], wanted)
        assert mixed.lengths[row] == max(LENGTHS[row], LENGTHS[other])


def test_the_loss_is_that_of_both_targets(monkeypatch):
    model = Classifier(Terminator(1, 1, size=9, channels=[4, 8], slow_hidden_channels=4), num_classes=3, mixup=0.3)
    monkeypatch.setattr(model, "log_dict", lambda *arguments, **options: None)
    given = batch()
    torch.manual_seed(3)
    loss = model.training_step(given, 0)
    torch.manual_seed(3)
    mixed = mixup.mix_up(given, concentration=0.3)
    outputs = model(mixed.x, lengths=mixed.lengths)
    first, second = cross_entropy(outputs, given["y"]), cross_entropy(outputs, given["y"][mixed.order])
    torch.testing.assert_close(loss, mixed.weight * first + (1 - mixed.weight) * second)
    assert not torch.isclose(loss, first)


def test_the_same_seed_mixes_alike():
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(mix_up(batch(), concentration=0.2))
    assert found[0].weight == found[1].weight and torch.equal(found[0].x, found[1].x)


def test_ids_and_negative_concentrations_are_refused():
    with pytest.raises(UserError, match="mixup must be 0 for ids, which have no mixtures, got 0.2"):
        mix_up({"x": torch.zeros(2, 5, dtype=torch.int64)}, concentration=0.2)
    with pytest.raises(UserError, match="mixup must be at least 0, got -1"):
        Classifier(Terminator(1, 1, size=9, channels=[4, 8], slow_hidden_channels=4), num_classes=3, mixup=-1)
