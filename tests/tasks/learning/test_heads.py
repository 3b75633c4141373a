import torch

from tasks.learning.heads import ClassificationHead


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
