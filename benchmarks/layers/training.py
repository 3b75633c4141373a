"""Train one network for some seconds, and score it."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.layers.problems import IGNORED, Problem
from hyperseq.backbones import ResidualStack
from hyperseq.nn import TokenEmbedding


class Network(nn.Module):
    """Embedding, learned positions, residual stack, and one linear head per position or per sequence."""

    def __init__(self, problem: Problem, layer: Callable[[int], nn.Module], *, depth: int, width: int) -> None:
        super().__init__()
        self.problem = problem
        tokens = problem.num_tokens
        self.embedding = nn.Conv1d(1, width, 1) if tokens is None else TokenEmbedding(tokens + 1, width)
        self.positions = nn.Parameter(0.02 * torch.randn(width, problem.length))
        stack = ResidualStack(width, layer=layer, depth=depth, d_model=width, stem=nn.Identity())
        self.stack, self.head = stack, nn.Linear(width, problem.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, L, classes)``, or ``(B, classes)`` for one answer per sequence."""
        # id 0 is the padding of the embedding
        embedded = self.embedding(x if self.problem.num_tokens is None else x + 1)
        features = self.stack(embedded + self.positions)
        return self.head(features.mT if self.problem.causal else features.mean(-1))


def train(
    network: Network,
    *,
    seed: int,
    seconds: float = math.inf,
    steps: int | None = None,
    lr: float = 3e-3,
    clip: float = 1.0,
) -> dict[str, float]:
    """Train with AdamW, a warm-up and a cosine over the seconds or the steps, and score the held-out batches.

    Args:
        network: The network.
        seed: Seed of the batches.
        seconds: Training time in seconds of this process on the CPU, so that other programs do not count.
        steps: Number of steps, in place of the seconds.
        lr: Highest learning rate.
        clip: Largest norm of the gradient.

    Returns:
        Steps, the mean held-out loss in nats, and the score.
    """
    problem = network.problem
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    done, start = 0, time.process_time()
    while (passed := (time.process_time() - start) / seconds if steps is None else done / steps) < 1:
        rate = lr * min(1.0, passed / 0.05) * (1 + math.cos(math.pi * passed)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, targets = (tensor.to(network.positions.device) for tensor in problem.draw(generator))
        loss = cross_entropy(network(inputs).flatten(0, -2), targets.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        done += 1
    return {"steps": done, **score(network)}


@torch.no_grad()
def score(network: Network) -> dict[str, float]:
    """Return mean loss in nats and the score of the problem over the held-out batches."""
    network.eval()
    total, right, count = 0.0, 0, 0
    for batch in network.problem.held_out:
        inputs, targets = (tensor.to(network.positions.device) for tensor in batch)
        logits, flat = network(inputs).flatten(0, -2), targets.flatten()
        scored = flat != IGNORED
        total += cross_entropy(logits[scored], flat[scored], reduction="sum").item()
        right += int((logits[scored].argmax(-1) == flat[scored]).sum())
        count += int(scored.sum())
    loss = total / count
    return {"loss": loss, "score": loss / math.log(2) if network.problem.score == "bits per byte" else right / count}
