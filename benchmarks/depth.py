"""Statistics per block of deep stacks without residuals, at initialisation and after a short training.

``python -m benchmarks.depth`` trains stacks of 2, 5, 10 and 20 blocks on the digits of scikit-learn, and prints
for every block the deviation of its output and the root mean square of the loss's gradient there; and how much each
branch of a block in the middle amplifies a small change of the block's input. ``--plain-start`` draws the bottlenecks
as any other mixing, without the nearly linear start that `hyperseq.nn.SFNEBlock` gives them.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import hyperseq
from benchmarks.report import environment
from hyperseq.nn import ChannelMixing
from tasks.images.digits import Digits

CHANNELS = 16
CLIP = 1.0


class Statistics:
    """Deviation and gradient of every block's output, taken from the blocks of a network as it runs."""

    def __init__(self, network: hyperseq.Terminator) -> None:
        self.deviations: list[float] = []
        self.gradients: list[float] = [0.0] * len(network.blocks)
        self.handles = [block.register_forward_hook(self._watch(i)) for i, block in enumerate(network.blocks)]

    def _watch(self, position: int):
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            self.deviations.append(output.std().item())
            output.register_hook(lambda grad: self.gradients.__setitem__(position, grad.square().mean().sqrt().item()))

        return hook

    def close(self) -> None:
        """Stop watching."""
        for handle in self.handles:
            handle.remove()


def amplification(block: nn.Module, x: Tensor) -> dict[str, float]:
    """Measure how much a block amplifies a small random change of its input, each deviation relative to its own signal.

    Args:
        block: The block.
        x: Its input.

    Returns:
        The factor of every branch, by number, and of the output.
    """
    seen: list[list[Tensor]] = []
    handle = block.bottleneck.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        change = 1e-3 * x.std() * torch.randn_like(x)
        outputs = [block(x), block(x + change)]
    handle.remove()
    names = [*map(str, range(1, 1 + len(seen[0]))), "output"]
    pairs = zip([*seen[0], outputs[0]], [*seen[1], outputs[1]], strict=True)
    size = _relative(x, x + change)
    return {name: _relative(before, after) / size for name, (before, after) in zip(names, pairs, strict=True)}


def _relative(before: Tensor, after: Tensor) -> float:
    # a constant in a channel tells samples and positions apart as little as no signal at all
    axes = (0, *range(2, before.dim()))
    signal, change = (x - x.mean(axes, keepdim=True) for x in (before, after - before))
    return float(change.square().mean().sqrt() / signal.square().mean().sqrt())


def build(num_blocks: int, *, plain_start: bool, seed: int) -> hyperseq.Terminator:
    """Build a stack of blocks of 16 channels, with or without the nearly linear start of their bottlenecks."""
    torch.manual_seed(seed)
    network = hyperseq.Terminator(1, 1, size=64, channels=[CHANNELS] * (num_blocks + 1))
    for block in network.blocks:
        if plain_start:
            ChannelMixing.reset_parameters(block.bottleneck)
    return network


def measure(
    network: hyperseq.Terminator, *, epochs: int, lr: float, seed: int
) -> tuple[Statistics, Statistics, list[float], float]:
    """Train a stack of blocks.

    Args:
        network: The stack, freshly built.
        epochs: Passes over the training digits.
        lr: Peak learning rate of AdamW, in one cycle.
        seed: Seed of the head and of the order.

    Returns:
        Statistics before and after, the norm of all gradients at every step before clipping, the validation accuracy.
    """
    torch.manual_seed(seed)
    data = Digits(seed=seed)
    data.setup()
    head = nn.Linear(CHANNELS, 10)
    parameters = [*network.parameters(), *head.parameters()]
    loader = data.train_dataloader()
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(loader))
    first = next(iter(loader))

    def loss_of(batch: dict[str, Tensor]) -> Tensor:
        return cross_entropy(head(network(batch["x"]).mean(-1)), batch["y"])

    def statistics() -> Statistics:
        watched = Statistics(network)
        loss_of(first).backward()
        optimizer.zero_grad()
        watched.close()
        return watched

    before, norms = statistics(), []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            optimizer.zero_grad()
            loss_of(batch).backward()
            norms.append(nn.utils.clip_grad_norm_(parameters, CLIP).item())
            optimizer.step()
            schedule.step()
    after = statistics()
    network.eval()
    with torch.no_grad():
        right = sum((head(network(b["x"]).mean(-1)).argmax(-1) == b["y"]).sum().item() for b in data.val_dataloader())
    return before, after, norms, right / data.split_sizes["val"]


def main() -> None:
    """Measure every depth, and print tables in Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.depth", description=__doc__)
    parser.add_argument("--blocks", type=int, nargs="+", default=[2, 5, 10, 20], help="numbers of blocks")
    parser.add_argument("--epochs", type=int, default=5, help="passes over the training digits")
    parser.add_argument("--lr", type=float, default=5e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order")
    parser.add_argument("--plain-start", action="store_true", help="bottlenecks drawn as any other mixing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts = environment()
    print(f"{facts['device']}, 1 thread, torch {facts['torch']}, commit {facts['commit']}, seed {arguments.seed}")
    print(f"start of the bottlenecks: {'plain' if arguments.plain_start else 'nearly linear'}")
    _print_amplification(build(10, plain_start=arguments.plain_start, seed=arguments.seed), seed=arguments.seed)
    for num_blocks in arguments.blocks:
        network = build(num_blocks, plain_start=arguments.plain_start, seed=arguments.seed)
        before, after, norms, accuracy = measure(network, epochs=arguments.epochs, lr=arguments.lr, seed=arguments.seed)
        growth = [(s.gradients[0] / s.gradients[-1]) ** (1 / (num_blocks - 1)) for s in (before, after)]
        print(f"\n{num_blocks} blocks: validation {100 * accuracy:.1f}% after {arguments.epochs} epochs; gradient norm")
        print(f"before clipping: median {sorted(norms)[len(norms) // 2]:.2g}, largest {max(norms):.2g}; the gradient")
        print(f"grows by {growth[0]:.2f} a block towards the input before, {growth[1]:.2f} after.\n")
        print("| block | deviation before | after | gradient before | after |\n|---|---|---|---|---|")
        for block in range(num_blocks):
            print(
                f"| {block + 1} | {before.deviations[block]:.2f} | {after.deviations[block]:.2f} "
                f"| {before.gradients[block]:.1e} | {after.gradients[block]:.1e} |"
            )


def _print_amplification(network: hyperseq.Terminator, *, seed: int) -> None:
    data = Digits(seed=seed)
    data.setup()
    middle = len(network.blocks) // 2
    with torch.no_grad():
        x = network.stem(next(iter(data.train_dataloader()))["x"])
        for block in network.blocks[:middle]:
            x = block(x)
    factors = amplification(network.blocks[middle], x)
    print(f"\na small change of the input of block {middle + 1} of {len(network.blocks)}, amplified by\n")
    print(f"| {' | '.join(factors)} |\n|{'---|' * len(factors)}")
    print(f"| {' | '.join(f'{factor:.2f}' for factor in factors.values())} |")


if __name__ == "__main__":
    main()
