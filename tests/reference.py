"""Loop-written truth for every function of hyperseq, and for the whole SFNE block and Terminator.

Every function takes a *sample*, a tensor ``(C, *S)`` without padding. A batch is a list of samples, which may differ in
length, so no function needs a mask. Loops run over positions; the channels of a position are one vector. The code is
written for reading, not for speed. It uses torch operations, so autograd gives the reference gradients.

Letters are those of the paper: X context, V value, K hyper-kernel, W fast weights, F, M, H the prepared inputs.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import torch
from torch import Tensor, nn

Position = tuple[int, ...]


# ---- batches and positions
def samples_of(batch: Tensor, lengths: Iterable[int] | None = None) -> list[Tensor]:
    """Cut ``(B, C, *S)`` into B samples, each to its own length where lengths are given."""
    if lengths is None:
        return list(batch)
    return [sample[..., : int(length)] for sample, length in zip(batch, lengths, strict=True)]


def batch_of(samples: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
    """Put samples into one ``(B, C, *S)``, with exact zeros after the end of the shorter ones."""
    size = tuple(samples[0].shape[1:]) if size is None else tuple(size)
    rows = []
    for sample in samples:
        if tuple(sample.shape[1:]) != size:
            sample = nn.functional.pad(sample, (0, size[0] - sample.shape[-1]))
        rows.append(sample)
    return torch.stack(rows)


def positions(size: Sequence[int]) -> list[Position]:
    """All index tuples of a size, in the order of memory."""
    return list(product(*(range(extent) for extent in size)))


def at(x: Tensor, position: Position) -> Tensor:
    """Return the channels at one position."""
    return x[(..., *position)]


def tabulate(function: Callable[[Position], Tensor], size: Sequence[int]) -> Tensor:
    """Build ``(C, *size)`` from the channels that ``function`` gives for every position."""
    columns = [function(position) for position in positions(size)]
    return torch.stack(columns, dim=-1).reshape(*columns[0].shape, *size)


def inside(position: Sequence[int], size: Sequence[int]) -> bool:
    """Whether an index tuple lies in a size."""
    return all(0 <= index < extent for index, extent in zip(position, size, strict=True))


def mean_over(x: Tensor, where: Sequence[Position]) -> Tensor:
    """Mean of the channels over some positions."""
    return sum(at(x, position) for position in where) / len(where)


# ---- coordinates
def coordinate(index: int, extent: int, rate: float = 1.0, start: float = 0.0) -> float:
    """c(p) = -1 + 2 (start + rate p) / (n - 1), or 0 on an axis of one position."""
    return 0.0 if extent == 1 else -1.0 + 2.0 * (start + rate * index) / (extent - 1)


def coordinate_grid(
    size: Sequence[int], extent: Sequence[int] | None = None, rate: float = 1.0, start: float = 0.0
) -> Tensor:
    """Coordinates ``(d, *size)`` in float64."""
    extent = size if extent is None else extent
    return tabulate(
        lambda p: torch.tensor(
            [coordinate(i, n, rate, start) for i, n in zip(p, extent, strict=True)], dtype=torch.float64
        ),
        size,
    )


# ---- convolution
def convolve(signal: Tensor, kernel: Tensor, mode: str) -> Tensor:
    """True convolution of ``(C, *S)`` by ``(C, *k)``: y[n] = sum over m of k[m] x[source(n, m)]."""
    size, kernel_size = signal.shape[1:], kernel.shape[1:]

    def source(n: Position, m: Position) -> Position:
        if mode == "circular":
            return tuple((i - j) % extent for i, j, extent in zip(n, m, size, strict=True))
        if mode == "causal":
            return tuple(i - j for i, j in zip(n, m, strict=True))
        return tuple(i - j + k // 2 for i, j, k in zip(n, m, kernel_size, strict=True))

    def output(n: Position) -> Tensor:
        total = torch.zeros_like(at(signal, n))
        for m in positions(kernel_size):
            if inside(source(n, m), size):
                total = total + at(kernel, m) * at(signal, source(n, m))
        return total

    return tabulate(output, size)


def global_hyperzzw(context: Tensor, hyper_kernel: Tensor, value: Tensor, mode: str = "circular") -> Tensor:
    """W = K X, then W and V together; a hyper-kernel longer than the sample is read from its start."""
    size = context.shape[1:]
    fast_weights = tabulate(lambda p: at(hyper_kernel, p) * at(context, p), size)
    if mode == "product":
        return tabulate(lambda p: at(fast_weights, p) * at(value, p), size)
    if mode == "matmul":
        inner = range(size[0])
        return tabulate(lambda p: sum(at(fast_weights, (p[0], q)) * at(value, (q, p[1])) for q in inner), size)
    return convolve(value, fast_weights, mode)


def local_hyperzzw(value: Tensor, kernel: Tensor) -> Tensor:
    """y[n] = sum over j of kernel[j] v[n + j - floor(k / 2)], zeros outside."""
    size, kernel_size = value.shape[1:], kernel.shape[1:]

    def output(n: Position) -> Tensor:
        total = torch.zeros_like(at(value, n))
        for j in positions(kernel_size):
            source = tuple(i + q - k // 2 for i, q, k in zip(n, j, kernel_size, strict=True))
            if inside(source, size):
                total = total + at(kernel, j) * at(value, source)
        return total

    return tabulate(output, size)


def causal_local_hyperzzw(context: Tensor, value: Tensor, kernel: Tensor) -> Tensor:
    """y[t] = sum over j of kernel[j] x[t - j] v[t - j], zeros before the start."""

    def output(t: Position) -> Tensor:
        lags = range(min(kernel.shape[-1], t[0] + 1))
        return sum(kernel[:, j] * context[:, t[0] - j] * value[:, t[0] - j] for j in lags)

    return tabulate(output, context.shape[1:])


# ---- mixing and means
def mix_channels(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[o] = sum over c of weight[o, c] x[c] + bias[o] at every position."""

    def output(p: Position) -> Tensor:
        rows = [sum(w * v for w, v in zip(row, at(x, p), strict=True)) for row in weight]
        return torch.stack(rows) if bias is None else torch.stack(rows) + bias

    return tabulate(output, x.shape[1:])


def spatial_mean(x: Tensor) -> Tensor:
    """Mean of ``(C, *S)`` over all positions, ``(C,)``."""
    return mean_over(x, positions(x.shape[1:]))


def cumulative_mean(x: Tensor) -> Tensor:
    """Mean of positions 0..t of ``(C, S)`` at every t."""
    return tabulate(lambda t: mean_over(x, positions((t[0] + 1,))), x.shape[1:])


def adaptive_mean_pool(x: Tensor, output_size: Sequence[int]) -> Tensor:
    """Bin j of an axis of n positions is the mean of [floor(j n / k), ceil((j + 1) n / k))."""
    size = x.shape[1:]

    def output(bin_: Position) -> Tensor:
        ranges = [
            range(math.floor(j * n / k), math.ceil((j + 1) * n / k))
            for j, n, k in zip(bin_, size, output_size, strict=True)
        ]
        return mean_over(x, list(product(*ranges)))

    return tabulate(output, output_size)


# ---- standardization
def standardized(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps), one mean and variance a channel."""
    return tabulate(lambda p: (at(x, p) - mean) / torch.sqrt(var + eps), x.shape[1:])


def moments(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of some columns of channels."""
    mean = sum(columns) / len(columns)
    return mean, sum((column - mean) ** 2 for column in columns) / len(columns)


def instance_standardize(x: Tensor, causal: bool = False, eps: float = 1e-5) -> Tensor:
    """Standardize every channel of a sample over its positions, or position t over 0..t."""
    columns = [at(x, p) for p in positions(x.shape[1:])]
    if not causal:
        return standardized(x, *moments(columns), eps)
    rows = []
    for t, column in enumerate(columns):
        mean, var = moments(columns[: t + 1])
        rows.append((column - mean) / torch.sqrt(var + eps))
    return torch.stack(rows, dim=-1)


def batch_moments(samples: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of every channel over all positions of all samples."""
    return moments([at(x, p) for x in samples for p in positions(x.shape[1:])])


def batch_standardize(
    samples: Sequence[Tensor], mean: Tensor | None = None, var: Tensor | None = None, eps: float = 1e-5
) -> list[Tensor]:
    """Standardize every channel over the batch, or by the given statistics."""
    if mean is None or var is None:
        mean, var = batch_moments(samples)
    return [standardized(x, mean, var, eps) for x in samples]


def group_standardize(
    samples: Sequence[Tensor],
    num_groups: int = 2,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    eps: float = 1e-5,
) -> list[Tensor]:
    """Even groups of channels by batch, odd groups by instance; mean and var are those of the even groups."""
    channels = samples[0].shape[0] // num_groups
    groups: list[list[Tensor]] = []
    for group in range(num_groups):
        own_channels = [x[group * channels : (group + 1) * channels] for x in samples]
        if group % 2 == 1:
            groups.append([instance_standardize(x, eps=eps) for x in own_channels])
        elif mean is None or var is None:
            groups.append(batch_standardize(own_channels, eps=eps))
        else:
            own = slice(group // 2 * channels, (group // 2 + 1) * channels)
            groups.append(batch_standardize(own_channels, mean[own], var[own], eps=eps))
    return [torch.cat(row) for row in zip(*groups, strict=True)]


# ---- interactions
def mean_read_at(x: Tensor, p: Position, causal: bool) -> Tensor:
    """Mean over all positions, or over those up to p."""
    return mean_over(x, positions((p[0] + 1,))) if causal else spatial_mean(x)


def hyper_channel_interaction(
    x: Tensor, hyper_kernel: Tensor, values: Tensor | None = None, causal: bool = False
) -> Tensor:
    """X, or the given values, scaled by sigmoid(y k y), y the mean of X over its positions, or over 0..t."""

    def output(p: Position) -> Tensor:
        y = mean_read_at(x, p, causal)
        return at(x if values is None else values, p) * torch.sigmoid(y * hyper_kernel * y)

    return tabulate(output, x.shape[1:])


def hyper_interaction(
    x: Tensor, high_level: Tensor, channel_kernel: Tensor, spatial_kernel: Tensor, causal: bool = False
) -> Tensor:
    """X sigmoid(ss sc): sc from the means over positions, ss from the means over channels of the high level."""

    def output(p: Position) -> Tensor:
        yc = mean_read_at(high_level, p, causal)
        channel_score = yc * channel_kernel * yc
        ys = sum(at(high_level, p)) / high_level.shape[0]
        spatial_score = ys * at(spatial_kernel, p)[0] * ys
        return at(x, p) * torch.sigmoid(spatial_score * channel_score)

    return tabulate(output, x.shape[1:])


# ---- modules, computed from their parameters
def mixed(mixing: nn.Module, x: Tensor) -> Tensor:
    """What a ChannelMixing gives for a sample."""
    return mix_channels(x, mixing.weight, mixing.bias)


def slow_network(
    net: nn.Module,
    size: Sequence[int],
    *,
    extent: Sequence[int],
    rate: float = 1.0,
    start: Sequence[float] | float = 0.0,
    modulation: Tensor | None = None,
    summed: bool = True,
) -> Tensor:
    """h0 = g0(c); hl = gl(c) (Al h(l-1) + bl); K = Aout hM + bout, gl(c) = sin(Omega_l c + phi_l); ``(C, *size)``."""
    starts = [start] * len(extent) if isinstance(start, int | float) else start
    scale = rate ** len(extent) / math.sqrt(math.prod(extent)) if summed else 1.0

    def output(p: Position) -> Tensor:
        c = torch.tensor(
            [coordinate(i, n, rate, s) for i, n, s in zip(p, extent, starts, strict=True)],
            dtype=net.frequencies[0].dtype,
        )
        gates = [torch.sin(omega @ c + phi) for omega, phi in zip(net.frequencies, net.phases, strict=True)]
        hidden = gates[0]
        for gate, mixing in zip(gates[1:], net.mixings, strict=True):
            hidden = gate * (mixing.weight @ hidden + mixing.bias)
        if modulation is not None:
            hidden = hidden * at(modulation, p)
        return scale * (net.output.weight @ hidden + net.output.bias)

    return tabulate(output, size)


def recursive_gated_unit(unit: nn.Module, x: Tensor) -> Tensor:
    """P_y(GELU(IS(P_k X * P_q(P_v X))))."""
    gated = mixed(unit.key, x) * mixed(unit.query, mixed(unit.value, x))
    return mixed(unit.output, gelu(instance_standardize(gated, causal=unit.causal)))


def gelu(x: Tensor) -> Tensor:
    """The exact x Phi(x)."""
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def hyper_channel(interaction: nn.Module, x: Tensor, values: Tensor | None = None) -> Tensor:
    """What a HyperChannelInteraction gives for a sample: its kernel runs over the channel axis and is not summed."""
    channels = x.shape[0]
    kernel = slow_network(interaction.slow_network, (channels,), extent=(channels,), summed=False)
    return hyper_channel_interaction(x, kernel[0], values, interaction.causal)


def hyper(interaction: nn.Module, x: Tensor, high_level: Tensor, *, extent: Sequence[int], rate: float = 1.0) -> Tensor:
    """What a HyperInteraction gives for a sample."""
    channels, size = x.shape[0], x.shape[1:]
    channel_kernel = slow_network(interaction.channel_network, (channels,), extent=(channels,), summed=False)
    spatial_kernel = slow_network(interaction.spatial_network, size, extent=extent, rate=rate, summed=False)
    return hyper_interaction(x, high_level, channel_kernel[0], spatial_kernel, interaction.causal)


def local_kernels(
    operator: nn.Module,
    contexts: Sequence[Tensor],
    kernel_size: Sequence[int],
    *,
    kernel_per: str = "sample",
    rate: int = 1,
) -> list[Tensor]:
    """One kernel a sample: X pooled to k bins, mixed to the slow network's width, times its last hidden state.

    With ``kernel_per="batch"`` all samples get the kernel of the mean of the pooled contexts. At an integer rate r, the
    taps at multiples of r from the centre, times r to the power of d.
    """
    pooled = [adaptive_mean_pool(x, kernel_size) for x in contexts]
    if kernel_per == "batch":
        pooled = [sum(pooled) / len(pooled)] * len(pooled)
    kernels = [
        slow_network(
            operator.slow_network, kernel_size, extent=kernel_size, modulation=mixed(operator.context_mixing, x)
        )
        for x in pooled
    ]
    taps = (slice(None), *(slice(k // 2 % rate, None, rate) for k in kernel_size))
    return [rate ** len(kernel_size) * kernel[taps] for kernel in kernels]


def causal_local_kernel(operator: nn.Module, num_taps: int, rate: int = 1) -> Tensor:
    """The kernel of a causal LocalHyperZZW, ``(C, k)``: no context; at an integer rate r, every r-th tap times r."""
    kernel = slow_network(operator.slow_network, (num_taps,), extent=(num_taps,))
    return rate * kernel[:, ::rate]


def batch_standardization(module: nn.Module, samples: Sequence[Tensor], *, by_batch: bool) -> list[Tensor]:
    """What a BatchStandardization gives: by the batch, or by its running statistics; causal: by the past."""
    if getattr(module, "causal", False):
        return [instance_standardize(x, causal=True) for x in samples]
    if by_batch:
        return batch_standardize(samples)
    return batch_standardize(samples, module.running_mean, module.running_var)


LOCAL_PAIRS = ("XH", "HX", "MX", "XM")
"""Context and value of the local branches, in turn."""


def sfne_block(
    block: nn.Module,
    samples: Sequence[Tensor],
    *,
    size: Sequence[int],
    local_kernel_sizes: Sequence[int] = (3, 5, 7),
    mode: str = "circular",
    num_groups: int = 2,
    kernel_per: str = "sample",
    by_batch: bool = False,
    rate: int = 1,
    earlier: Sequence[Sequence[Tensor]] = (),
    causal: bool = False,
) -> list[Tensor]:
    """Compute the table of the SFNE block, row by row, from the block's parameters.

    ``size`` is the training size, ``by_batch`` whether statistics are those of the batch, ``earlier`` a list of
    batches.
    """
    mode = "causal" if causal else mode
    inputs = {"X": list(samples)}
    slow = block.global_operator.slow_network
    hyper_kernels = [slow_network(slow, x.shape[1:], extent=size, rate=rate) for x in samples]
    fast_weights = [kernel * x for kernel, x in zip(hyper_kernels, samples, strict=True)]
    prepared = [
        instance_standardize(
            recursive_gated_unit(block.slow_gate, w) + recursive_gated_unit(block.fast_gate, x), causal
        )
        for w, x in zip(fast_weights, samples, strict=True)
    ]
    inputs["M"] = [instance_standardize(mixed(block.mixing, x), causal) for x in samples]
    inputs["H"] = [hyper_channel(block.channel_interaction, x, instance_standardize(x, causal)) for x in samples]

    def over_the_whole(values: Sequence[Tensor]) -> list[Tensor]:
        triples = zip(samples, hyper_kernels, values, strict=True)
        return [global_hyperzzw(x, kernel, value, mode) for x, kernel, value in triples]

    middle_seen = over_the_whole(prepared)
    branches = [prepared, middle_seen, over_the_whole(inputs["M"]), over_the_whole(inputs["H"])]
    gated = [torch.sigmoid(y) * y for y in middle_seen]
    branches.append(gated)

    for index, k in enumerate(local_kernel_sizes):
        context_name, value_name = LOCAL_PAIRS[index % len(LOCAL_PAIRS)]
        operator, contexts, values = block.local_operators[index], inputs[context_name], inputs[value_name]
        if causal:
            kernel = causal_local_kernel(operator, k, rate)
            slid = [causal_local_hyperzzw(x, v, kernel) for x, v in zip(contexts, values, strict=True)]
        else:
            kernels = local_kernels(operator, contexts, (k,) * len(size), kernel_per=kernel_per, rate=rate)
            slid = [local_hyperzzw(v, kernel) for v, kernel in zip(values, kernels, strict=True)]
        mixed_again = [mixed(block.local_mixings[index], y) for y in slid]
        standard = batch_standardization(block.local_standardizations[index], mixed_again, by_batch=by_batch)
        branches.append([gelu(y) for y in standard])

    pairs = zip(samples, gated if mode == "circular" else middle_seen, strict=True)
    branches.append([hyper(block.hyper_interaction, x, y, extent=size, rate=rate) for x, y in pairs])
    branches.extend(earlier)

    narrowed = [mixed(block.bottleneck, torch.cat(row)) for row in zip(*branches, strict=True)]
    if causal:
        return [gelu(instance_standardize(y, causal=True)) for y in narrowed]
    given = (
        (None, None)
        if by_batch
        else (block.standardization.batch.running_mean, block.standardization.batch.running_var)
    )
    return [gelu(y) for y in group_standardize(narrowed, num_groups, *given)]


def terminator(
    model: nn.Module, samples: Sequence[Tensor], *, concatenate_earlier: bool = False, **options: object
) -> list[Tensor]:
    """Stem, then SFNE blocks; each sees the outputs of all blocks before it where these are concatenated."""
    features = list(samples) if isinstance(model.stem, nn.Identity) else [mixed(model.stem, x) for x in samples]
    outputs: list[list[Tensor]] = []
    for block in model.blocks:
        features = sfne_block(block, features, earlier=outputs if concatenate_earlier else (), **options)
        outputs.append(features)
    return features
