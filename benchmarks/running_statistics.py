"""Which statistics evaluation should use where few samples are trained on.

``python -m benchmarks.running_statistics`` trains on 200 of the digits of scikit-learn, with ``--mnist ROOT`` on 200
images of MNIST; ``--train`` changes their number. Running statistics do not act on training, so one training serves all
forms of them: each epoch is validated with each form. A second training standardizes each sample alone.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.report import environment
from hyperseq import Terminator
from hyperseq.functional import spatial_mean
from hyperseq.losses import slow_neural_loss
from hyperseq.nn import BatchStandardization, update_statistics
from tasks.data.batches import BatchRows
from tasks.images.digits import Digits
from tasks.images.mnist import MNIST

NUM_VALIDATION, NUM_TEST, BATCH = 180, 400, 32

Moments = list[tuple[Tensor, Tensor]]
Split = tuple[Tensor, Tensor]


class Averages:
    """The running statistics of all layers, averaged in one way."""

    def __init__(self, layers: Sequence[BatchStandardization], weight: Callable[[int], float]) -> None:
        self.weight = weight
        self.moments = [(torch.zeros(layer.channels), torch.ones(layer.channels)) for layer in layers]

    def add(self, batch: Moments, step: int) -> None:
        """Add the statistics of the batch of a step, counted from 1."""
        for average, new in zip(self.moments, batch, strict=True):
            for old, value in zip(average, new, strict=True):
                old.lerp_(value, self.weight(step))


def forms_of_averages(layers: Sequence[BatchStandardization], steps_an_epoch: int) -> dict[str, Averages]:
    """Return the forms that are compared, one weight of the newest batch each."""
    epoch = 1 - 0.1 ** (1 / steps_an_epoch)  # nine tenths of all weight on the last epoch
    return {
        "from 0 and 1, momentum 0.1": Averages(layers, lambda _: 0.1),
        "corrected, momentum 0.1": Averages(layers, lambda step: 0.1 / (1 - 0.9**step)),
        "corrected, momentum 0.3": Averages(layers, lambda step: 0.3 / (1 - 0.7**step)),
        "corrected, last epoch": Averages(layers, lambda step: epoch / (1 - (1 - epoch) ** step)),
    }


def read(name: str, root: str | None, num_train: int) -> tuple[list[Split], dict[str, object]]:
    """Return train, validation and test split, cut, and the options of the network."""
    if name == "digits":
        data, options = Digits(), {"channels": [8, 16, 32, 64]}
    else:
        data = MNIST(root=root, num_spatial_dims=2, normalization="unit", patch_size=2, batch_size=BATCH)
        options = {"channels": [16, 32, 64], "local_kernel_sizes": [3, 5]}
    data.setup()
    splits = []
    for split, count in (("train", num_train), ("val", NUM_VALIDATION), ("test", NUM_TEST)):
        rows = torch.randperm(len(data.splits[split]), generator=torch.Generator().manual_seed(0))[:count].tolist()
        batch = data.splits[split][BatchRows(rows, epoch=0)]
        splits.append((batch["x"], batch["y"]))
    return splits, {"num_spatial_dims": len(data.size), "in_channels": data.in_channels, "size": data.size, **options}


def train(splits: Sequence[Split], options: dict[str, object], *, epochs: int, seed: int) -> dict[str, list[Tensor]]:
    """Train once, and return the validation and test accuracy after every epoch for each form of statistics."""
    torch.manual_seed(seed)
    model = nn.ModuleDict({"backbone": Terminator(**options), "head": nn.Linear(options["channels"][-1], 10)})
    layers = [module for module in model.modules() if isinstance(module, BatchStandardization)]
    for layer in layers:
        layer.momentum = 1.0  # the running statistics are those of the last batch
    (x, y), *others = splits
    steps = -(-len(x) // BATCH)
    forms = forms_of_averages(layers, steps) if layers else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * steps)
    curves: dict[str, list[Tensor]] = {}

    def accuracies() -> Tensor:
        model.eval()
        with torch.no_grad():
            found = [_accuracy(model, split) for split in others]
        model.train()
        return torch.tensor(found)

    for epoch in range(epochs):
        for number, rows in enumerate(torch.randperm(len(x)).split(BATCH)):
            kernels = model["backbone"].hyper_kernels()
            logits = model["head"](spatial_mean(model["backbone"](x[rows], hyper_kernels=kernels)))
            loss = cross_entropy(logits, y[rows], label_smoothing=0.09) + slow_neural_loss(kernels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            batch = [(layer.running_mean, layer.running_var) for layer in layers]
            for form in forms.values():
                form.add(batch, epoch * steps + number + 1)
        for name, form in forms.items():
            for layer, (mean, var) in zip(layers, form.moments, strict=True):
                layer.running_mean.copy_(mean)
                layer.running_var.copy_(var)
            curves.setdefault(name, []).append(accuracies())
        if layers:
            update_statistics(model["backbone"], x.split(BATCH))
        curves.setdefault("estimated anew each epoch" if layers else "instance", []).append(accuracies())
    return curves


def _accuracy(model: nn.ModuleDict, split: Split) -> float:
    right = [
        (model["head"](spatial_mean(model["backbone"](x))).argmax(-1) == y).sum().item()
        for x, y in zip(*(tensor.split(100) for tensor in split), strict=True)
    ]
    return 100 * sum(right) / len(split[1])


def main() -> None:
    """Print one row a form: validation in the first epochs, and test at the epoch that the validation chose."""
    parser = argparse.ArgumentParser(prog="benchmarks.running_statistics", description=__doc__)
    parser.add_argument("--mnist", metavar="ROOT", help="folder of MNIST, measured in place of the digits")
    parser.add_argument("--train", type=int, default=200, help="training samples")
    parser.add_argument("--epochs", type=int, default=20, help="passes over them")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="seeds of weights and order")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts = environment()
    print(f"{facts['device']}, 1 thread, torch {facts['torch']}, commit {facts['commit']}", flush=True)
    splits, options = read("digits" if arguments.mnist is None else "mnist", arguments.mnist, arguments.train)
    runs: dict[str, list[Tensor]] = {}
    for seed in arguments.seeds:
        for more in ({}, {"statistics": "instance"}):
            for name, curve in train(splits, {**options, **more}, epochs=arguments.epochs, seed=seed).items():
                runs.setdefault(name, []).append(torch.stack(curve))
        print(f"seed {seed} done", flush=True)
    print("\n| statistics | validation after epochs 1 to 5 | chosen test | last test |\n|---|---|---|---|")
    for name, curves in runs.items():
        found = torch.stack(curves)
        early = " ".join(f"{value:.0f}" for value in found[:, :5, 0].mean(0).tolist())
        chosen = torch.stack([curve[int(curve[:, 0].argmax()), 1] for curve in found])
        last = found[:, -1, 1]
        print(f"| {name} | {early} | {_spread(chosen)} | {_spread(last)} |")


def _spread(values: Tensor) -> str:
    return f"{values.mean():.1f} ± {values.std():.1f}" if len(values) > 1 else f"{values.mean():.1f}"


if __name__ == "__main__":
    main()
