import pytest
import torch

from tasks.errors import UserError
from tasks.learning.heads import ClassificationHead, MultiLabelHead, RegressionHead, check_head


def test_the_head_scores_the_mean_over_space():
    head = ClassificationHead(3, 4)
    for size in ((5,), (4, 6)):
        features = torch.randn(2, 3, *size)
        torch.testing.assert_close(head(features), head.linear(features.flatten(2).mean(dim=2)))


def test_padding_changes_nothing_whatever_stands_in_it():
    head = ClassificationHead(3, 4)
    features, lengths = torch.randn(3, 3, 7), torch.tensor([7, 4, 1])
    padded = features.clone()
    for sample, length in enumerate(lengths):
        padded[sample, :, length:] = float("nan")
    padded.requires_grad_()
    scores = head(padded, lengths=lengths)
    for sample, length in enumerate(lengths):
        torch.testing.assert_close(scores[sample], head(features[sample : sample + 1, :, :length])[0])
    scores.sum().backward()
    for sample, length in enumerate(lengths):
        assert (padded.grad[sample, :, length:] == 0).all() and (padded.grad[sample, :, :length] != 0).all()


def test_predictions_of_classes_are_read_off_the_scores():
    logits = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 9.0]])
    told = ClassificationHead(3, 3).predictions(logits)
    assert told["predicted"].tolist() == [1, 2]
    torch.testing.assert_close(told["probability"], logits.softmax(dim=1).max(dim=1).values)


def test_of_equal_accuracies_the_lower_cross_entropy_scores_higher_and_one_more_right_beats_any():
    head, targets = ClassificationHead(3, 2), torch.tensor([1, 1, 1])
    right = torch.tensor([[0.0, 1.0]] * 3)
    sure = head.metrics(9 * right, targets)["score"]
    unsure = head.metrics(right, targets)["score"]
    two = head.metrics(torch.cat([9 * right[:2], torch.tensor([[0.1, 0.0]])]), targets)["score"]
    assert sure > unsure > two


@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_numbers_are_compared_one_by_one_whatever_the_shape_of_the_targets(shape):
    head = RegressionHead(3, shape[1] if len(shape) > 1 else 1)
    outputs, targets = head(torch.randn(6, 3, 5)), torch.randn(shape)
    difference = outputs.reshape(shape) - targets
    torch.testing.assert_close(head.loss(outputs, targets), difference.square().mean())
    told = head.metrics(outputs, targets)
    torch.testing.assert_close(told["mean_absolute_error"], difference.abs().mean())
    torch.testing.assert_close(told["root_mean_squared_error"] ** 2, difference.square().mean())
    explained = 1 - difference.square().sum() / (targets - targets.mean(0)).square().sum()
    torch.testing.assert_close(told["r_squared"], explained)
    assert head.predictions(outputs)["predicted"].shape == shape


def test_each_label_is_an_answer_of_its_own():
    head = MultiLabelHead(3, 4, threshold=0.3)
    outputs, targets = head(torch.randn(6, 3, 5)), torch.randint(0, 2, (6, 4)).float()
    probability = 1 / (1 + (-outputs).exp())
    told = head.predictions(outputs)
    torch.testing.assert_close(told["probability"], probability)
    assert torch.equal(told["predicted"], (probability >= 0.3).long())
    right = torch.where(targets == 1, probability, 1 - probability)
    torch.testing.assert_close(head.loss(outputs, targets), -right.log().mean())


def test_f1_and_the_share_of_right_answers_are_counted_over_all_labels():
    head = MultiLabelHead(3, 3)
    outputs = torch.tensor([[9.0, -9.0, 9.0], [-9.0, -9.0, 9.0]])
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    told = head.metrics(outputs, targets)
    # 2 found, 1 missed, 1 false
    assert told["f1"].item() == pytest.approx(4 / 6) and told["label_accuracy"].item() == pytest.approx(4 / 6)
    assert next(iter(told)) == "f1" and told["score"] == -told["binary_cross_entropy"]
    assert head.metrics(-outputs.abs(), 0 * targets)["f1"] == 1


@pytest.mark.parametrize(
    "targets", [torch.zeros(2, 3).long(), torch.zeros(2), torch.zeros(2, 2), torch.full((2, 3), 0.5)]
)
def test_targets_that_are_no_labels_are_refused(targets):
    head = MultiLabelHead(3, 3)
    for use in (head.loss, head.metrics):
        with pytest.raises(UserError, match=r"y must be 0 or 1, \(B, 3\) of float32, with MultiLabelHead, got"):
            use(torch.zeros(2, 3), targets)
    with pytest.raises(UserError, match="threshold must lie between 0 and 1, got 1"):
        MultiLabelHead(3, 3, threshold=1)


def test_what_a_head_lacks_is_named_all_at_once():
    rule = r"Linear is no head that can be trained: loss\(outputs, targets\), metrics\(outputs, targets\), predictions"
    with pytest.raises(UserError, match=rule):
        check_head(torch.nn.Linear(2, 2))


def test_targets_of_another_number_than_the_head_has_are_refused():
    head, outputs = RegressionHead(3, 2), torch.zeros(4, 2)
    for call in (head.loss, head.metrics):
        with pytest.raises(UserError, match=r"y must be \(B, 2\), one column for each target, got \(4,\)"):
            call(outputs, torch.zeros(4))
