"""The problems: batches of inputs and targets, and what a trained network is scored by."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

IGNORED = -100
"""Target of a position that is not scored, as `torch.nn.functional.cross_entropy` has it."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Problem:
    """A supervised problem on token ids or on numbers.

    Attributes:
        draw: Draws a training batch from a generator: inputs and targets.
        held_out: Batches that training never sees.
        length: Length L of the inputs.
        num_tokens: Number of token ids of the inputs; None: inputs are numbers ``(B, 1, L)``.
        num_classes: Number of classes of the targets.
        causal: Targets ``(B, L)``, one per position, and no position may read later ones. Otherwise targets ``(B,)``.
        score: ``bits per byte`` (lower is better) or ``accuracy``.
    """

    draw: Callable[[torch.Generator], Batch]
    held_out: list[Batch]
    length: int
    num_tokens: int | None
    num_classes: int
    causal: bool
    score: str


def byte_model(*, length: int = 256, batch: int = 16) -> Problem:
    """Predict the next byte of the language reference that ships with Python; the last tenth is held out."""
    topics = import_module("pydoc_data.topics").topics
    text = torch.frombuffer(bytearray("\n".join(topics[name] for name in sorted(topics)).encode()), dtype=torch.uint8)
    first, last = text[: len(text) * 9 // 10].long(), text[len(text) * 9 // 10 :].long()

    def draw(generator: torch.Generator) -> Batch:
        starts = torch.randint(len(first) - length, (batch,), generator=generator)
        windows = torch.stack([first[start : start + length + 1] for start in starts.tolist()])
        return windows[:, :-1], windows[:, 1:]

    windows = last[: (len(last) - 1) // length * length + 1].unfold(0, length + 1, length)
    held_out = [(part[:, :-1], part[:, 1:]) for part in windows.split(batch)]
    return Problem(draw, held_out, length, 256, 256, True, "bits per byte")


def selective_copying(*, length: int = 64, num_copied: int = 8, num_symbols: int = 14, batch: int = 32) -> Problem:
    """Repeat, in order, the symbols that stand scattered among blanks (Gu and Dao 2023, arXiv 2312.00752)."""
    blank, repeat = 0, num_symbols + 1

    def draw(generator: torch.Generator) -> Batch:
        symbols = torch.randint(1, num_symbols + 1, (batch, num_copied), generator=generator)
        room = length - num_copied
        places = torch.rand(batch, room, generator=generator).topk(num_copied).indices.sort().values
        inputs = torch.full((batch, length), blank)
        inputs[:, room:] = repeat
        inputs.scatter_(1, places, symbols)
        targets = torch.full((batch, length), IGNORED)
        targets[:, room:] = symbols
        return inputs, targets

    return Problem(draw, _held_out(draw), length, num_symbols + 2, num_symbols + 2, True, "accuracy")


def associative_recall(*, num_pairs: int = 4, num_keys: int = 16, length: int = 32, batch: int = 32) -> Problem:
    """Give the value of a key asked for again: multi-query associative recall (Arora et al. 2023, arXiv 2312.04927)."""

    def draw(generator: torch.Generator) -> Batch:
        keys = torch.rand(batch, num_keys, generator=generator).topk(num_pairs).indices
        values = torch.randint(num_keys, 2 * num_keys, (batch, num_pairs), generator=generator)
        inputs = torch.full((batch, length), 2 * num_keys)
        inputs[:, 0 : 2 * num_pairs : 2], inputs[:, 1 : 2 * num_pairs : 2] = keys, values
        targets = torch.full((batch, length), IGNORED)
        order = torch.rand(batch, num_pairs, generator=generator).argsort(1)
        room = length - 2 * num_pairs
        places = 2 * num_pairs + torch.rand(batch, room, generator=generator).topk(num_pairs).indices
        inputs.scatter_(1, places, keys.gather(1, order))
        targets.scatter_(1, places, values.gather(1, order))
        return inputs, targets

    return Problem(draw, _held_out(draw), length, 2 * num_keys + 1, 2 * num_keys + 1, True, "accuracy")


def digits(*, batch: int = 32) -> Problem:
    """Classify the handwritten digits of scikit-learn, 8 x 8 pixels read as 64 steps; the last fifth is held out."""
    data = import_module("sklearn.datasets").load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(data.images, dtype=torch.float32).flatten(1)[order, None] / 8 - 1
    labels = torch.tensor(data.target)[order]
    count = len(labels) * 4 // 5

    def draw(generator: torch.Generator) -> Batch:
        chosen = torch.randint(count, (batch,), generator=generator)
        return images[chosen], labels[chosen]

    return Problem(draw, [(images[count:], labels[count:])], 64, None, 10, False, "accuracy")


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "bytes": byte_model,
    "selective copying": selective_copying,
    "associative recall": associative_recall,
    "digits": digits,
}


def _held_out(draw: Callable[[torch.Generator], Batch]) -> list[Batch]:
    generator = torch.Generator().manual_seed(1_000_003)
    return [draw(generator) for _ in range(8)]
