"""The cases: what is timed, at which shapes, beside what."""

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

import hyperseq
from benchmarks import floor, peers
from hyperseq.functional import global_hyperzzw, local_hyperzzw

TOKENS = 32768
NUM_INPUTS = 3
"""Different inputs that calls take in turn, so that none is answered from a warm cache."""

Contenders = dict[str, Callable[[int], object]]


def batch_size(length: int) -> int:
    """Return the batch that makes a constant number of tokens; a longer sequence comes alone."""
    return max(1, TOKENS // length)


def operators(length: int, channels: int) -> Contenders:
    """Global operator with one and three values, local operator; forward + backward, beside bare transforms."""
    shape = (batch_size(length), channels, length)
    hyper_kernel = _leaf(1, channels, length)
    context, values = _leaf(*shape), [_leaf(*shape) for _ in range(3)]
    window, gradient = _leaf(*shape[:2], 5), torch.randn(shape)

    def run_global(count: int) -> None:
        outputs = global_hyperzzw(context, hyper_kernel, values[:count])
        torch.autograd.grad(outputs, [context, hyper_kernel, *values[:count]], [gradient] * count)

    def run_local(_: int) -> None:
        torch.autograd.grad(local_hyperzzw(values[0], window), [values[0], window], gradient)

    one, three = (floor.transforms(*shape, num_values=count, backward=True) for count in (1, 3))
    return {
        "global operator, one value": lambda _: run_global(1),
        "bare transforms, one value": lambda _: one(),
        "global operator, three values": lambda _: run_global(3),
        "bare transforms, three values": lambda _: three(),
        "local operator, 5 taps": run_local,
    }


def block(length: int, channels: int, *, mode: str, compiled: bool = False) -> Contenders:
    """SFNE block beside its floor and the peers. Modes: ``forward``, ``forward + backward``, ``evaluation``.

    With ``compiled``, a twin of the block behind `torch.compile` runs beside it (a minute of compiling before).
    """
    batch = batch_size(length)
    sfne = hyperseq.nn.SFNEBlock(1, channels, channels, size=length)
    backward = mode == "forward + backward"
    transforms = floor.transforms(batch, channels, length, num_values=3, backward=backward)
    products = floor.matrix_products(floor.block_shapes(batch, length, channels), backward=backward)
    contenders: Contenders = {
        "SFNE block": _caller(sfne, (batch, channels, length), mode),
        "floor": lambda _: (transforms(), products()),
    }
    if compiled:
        twin = _compiled(hyperseq.nn.SFNEBlock(1, channels, channels, size=length))
        contenders["SFNE block, compiled"] = _caller(twin, (batch, channels, length), mode)
    alternatives = {
        "Transformer layer": peers.transformer_layer,
        "GRU": peers.GRU,
        "separable convolution": peers.DepthwiseSeparableConv,
    }
    for name, build in alternatives.items():
        if length <= peers.LONGEST[name]:
            contenders[name] = _caller(build(channels), (batch, length, channels), mode)
    return contenders


def mixer(
    length: int, channels: int, *, causal: bool, compiled: bool = False, longest: dict[str, int] = peers.LONGEST
) -> Contenders:
    """Sequence mixer beside torch's encoder layer and GRU, each up to its ``longest``; forward + backward.

    With ``compiled``, a twin of each mixer behind `torch.compile` runs beside it.
    """
    shape, mode = (batch_size(length), length, channels), "forward + backward"
    contenders: Contenders = {}
    for form in ("values", "kernel"):
        build = partial(hyperseq.SequenceMixer, channels, l_max=length, causal=causal, context_in=form)
        contenders[f"SequenceMixer, context in {form}"] = _caller(build(), shape, mode)
        if compiled:
            contenders[f"SequenceMixer, context in {form}, compiled"] = _caller(_compiled(build()), shape, mode)
    for name, peer in {"Transformer layer": peers.transformer_layer, "GRU": peers.GRU}.items():
        if length <= longest[name]:
            contenders[name] = _caller(peer(channels), shape, mode)
    return contenders


def hyper_kernel(length: int, channels: int) -> Contenders:
    """Generate a global hyper-kernel, forward and forward + backward."""
    network = hyperseq.nn.SlowNetwork(1, channels, size=length)

    def train(_: int) -> None:
        network().sum().backward()

    return {"hyper-kernel, forward": lambda _: _without_gradient(network), "hyper-kernel, forward + backward": train}


def sequential_mnist_step() -> Contenders:
    """Train on one batch of 50 sequences of 784 pixels: two-block Terminator, one-layer GRU; and evaluate."""
    batch, length, classes = 50, 784, 10
    images, labels = torch.rand(batch, 1, length), torch.randint(classes, (batch,))
    terminator = hyperseq.Terminator(1, 1, size=length, channels=[16, 32, 64])
    gru, head = nn.GRU(1, 64, batch_first=True), nn.Linear(64, classes)
    trained = hyperseq.Terminator(1, 1, size=length, channels=[16, 32, 64]).eval()
    with torch.no_grad():
        kept = trained.hyper_kernels()
    compiled = _compiled(hyperseq.Terminator(1, 1, size=length, channels=[16, 32, 64]))
    optimizers = [
        torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-3, fused=True)
        for network in (terminator, compiled, gru)
    ]

    def step(optimizer: torch.optim.Optimizer, logits: Tensor) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()

    def evaluate() -> None:
        with torch.no_grad():
            head(trained(images, hyper_kernels=kept).mean(-1))

    return {
        "Terminator, training step": lambda _: step(optimizers[0], head(terminator(images).mean(-1))),
        "Terminator, compiled, training step": lambda _: step(optimizers[1], head(compiled(images).mean(-1))),
        "GRU 64, training step": lambda _: step(optimizers[2], head(gru(images.mT)[0][:, -1])),
        "Terminator, evaluation": lambda _: evaluate(),
    }


def _compiled(module: nn.Module) -> nn.Module:
    # sizes left open make torch 2.13 fail on our autograd functions
    module.compile(dynamic=False)
    return module


def _leaf(*shape: int) -> Tensor:
    return torch.randn(shape, requires_grad=True)


def _without_gradient(function: Callable[[], Tensor]) -> None:
    with torch.no_grad():
        function()


def _caller(module: nn.Module, shape: tuple[int, ...], mode: str) -> Callable[[int], None]:
    module.train(mode != "evaluation")
    inputs = itertools.cycle([_leaf(*shape) for _ in range(NUM_INPUTS)])
    gradient = torch.randn(shape)

    def call(_: int) -> None:
        x = next(inputs)
        if mode == "evaluation":
            _without_gradient(lambda: module(x))
        elif mode == "forward":
            module(x)
        else:
            module(x).backward(gradient)
            module.zero_grad()
            x.grad = None

    return call
