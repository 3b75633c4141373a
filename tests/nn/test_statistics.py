"""Running statistics of a whole model: estimated anew, and shared by processes."""

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from hyperseq import Terminator
from hyperseq.nn import (
    BatchStandardization,
    SequenceBlock,
    SequenceMixer,
    synchronize_statistics,
    update_statistics,
)
from tests import cases, reference

BATCHES = [(seed + 1) * cases.normal(4, 2, 5, seed=seed).detach() + seed for seed in range(3)]


# ---- estimated anew
def test_updated_statistics_are_the_mean_over_the_batches_whatever_was_there():
    layer = BatchStandardization(2).double()
    layer(100 + BATCHES[0])
    update_statistics(layer, BATCHES)
    moments = [reference.batch_moments(reference.samples_of(batch)) for batch in BATCHES]
    cases.assert_close(layer.running_mean, sum(mean for mean, _ in moments) / 3)
    cases.assert_close(layer.running_var, sum(var for _, var in moments) / 3)
    assert layer.training and layer.momentum == 0.1


def test_torch_layers_of_the_model_are_updated_too_and_dropout_is_off():
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(2, momentum=0.3), BatchStandardization(2)).double()
    model[0].eval()
    update_statistics(model, BATCHES)
    twin = nn.BatchNorm1d(2).double()
    torch.optim.swa_utils.update_bn(BATCHES, twin)
    cases.assert_close(model[1].running_mean, twin.running_mean)
    cases.assert_close(model[1].running_var, twin.running_var)
    assert (model[1].momentum, model.training, model[0].training) == (0.3, True, False)


@pytest.mark.parametrize("form", ["arguments", "keywords"])
def test_batches_may_be_arguments_or_keywords(form):
    lengths, x = torch.tensor([3, 5, 1, 2]), BATCHES[0]
    layer = BatchStandardization(2).double()
    # arguments by position go to a module that takes them
    model = layer if form == "keywords" else ByPosition(layer)
    update_statistics(model, [{"x": x, "lengths": lengths}] if form == "keywords" else [(x, lengths)])
    mean, var = reference.batch_moments(reference.samples_of(x, lengths))
    cases.assert_close(layer.running_mean, mean)
    cases.assert_close(layer.running_var, var)


class ByPosition(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, lengths):
        return self.layer(x, lengths=lengths)


def test_no_batch_is_refused_and_changes_nothing():
    layer = BatchStandardization(2).double()
    layer(BATCHES[0])
    before = layer.running_mean.clone()
    with pytest.raises(ValueError, match="^batches must hold at least one batch, got none"):
        update_statistics(layer, [])
    assert torch.equal(layer.running_mean, before) and layer.training


# ---- shared by processes
SLOW = {"hidden_channels": 4, "num_layers": 1}
BLOCK = {"slow_hidden_channels": 4, "slow_num_layers": 1, "local_kernel_sizes": (3,)}
SHARED = {
    "Terminator": lambda: Terminator(1, 4, size=6, channels=[2, 4, 4], **BLOCK),
    "SequenceBlock": lambda: SequenceBlock(4, l_max=6, transposed=True, **BLOCK),
    "SequenceMixer": lambda: SequenceMixer(4, l_max=6, transposed=True, **SLOW),
    "SequenceMixer-causal": lambda: SequenceMixer(4, l_max=6, causal=True, transposed=True, **SLOW),
    "SequenceMixer-kernel": lambda: SequenceMixer(4, l_max=6, context_in="kernel", transposed=True, **SLOW),
}
over_shared = pytest.mark.parametrize("name", SHARED)
STEPS = 2
"""DistributedDataParallel finds a parameter without gradient in the second step."""


def shared_model(name):
    torch.manual_seed(0)
    return SHARED[name]().double()


def batch_of_all():
    return cases.normal(4, 4, 6, seed=5).detach(), torch.tensor([6, 2, 5, 3])


def gradients_of(model):
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def train_steps(model, x, lengths, *, processes):
    """Sum the gradients of some steps; DistributedDataParallel takes the mean over processes."""
    for _ in range(STEPS):
        output = model(x, lengths=lengths)
        (output.square().sum() / processes).backward()
    return output.detach()


def run_process(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x, lengths = (tensor[2 * rank : 2 * rank + 2] for tensor in batch_of_all())
    for name in SHARED:
        model = synchronize_statistics(shared_model(name))
        output = train_steps(DistributedDataParallel(model), x, lengths, processes=1)
        found = {"output": output, "buffers": dict(model.named_buffers()), "gradients": gradients_of(model)}

        sharded = shared_model(name).eval()
        for block in getattr(sharded, "blocks", []):
            fully_shard(block)
            register_fsdp_forward_method(block, "hyper_kernel")
        fully_shard(sharded)
        output = sharded(x, lengths=lengths)
        output.square().sum().backward()
        found["sharded"] = output.detach()
        found["sharded gradients"] = {key: value.full_tensor() for key, value in gradients_of(sharded).items()}
        if name == "Terminator":
            found["kernels"] = sharded(x, lengths=lengths, hyper_kernels=sharded.hyper_kernels()).detach()
        torch.save(found, f"{folder}/{name}-{rank}")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(run_process, (str(folder),), nprocs=2)
    return {name: [torch.load(folder / f"{name}-{rank}") for rank in range(2)] for name in SHARED}


@over_shared
def test_two_processes_equal_one_with_the_whole_batch(of_two_processes, name):
    x, lengths = batch_of_all()
    model, of_both = shared_model(name), of_two_processes[name]
    output = train_steps(model, x, lengths, processes=2)
    cases.assert_close(torch.cat([found["output"] for found in of_both]), output, tolerance=1e-5)
    for found in of_both:
        for key, buffer in model.named_buffers():
            torch.testing.assert_close(found["buffers"][key], buffer, rtol=1e-5, atol=1e-5)
        for key, gradient in gradients_of(model).items():
            cases.assert_close(found["gradients"][key], gradient, tolerance=1e-5)


@over_shared
def test_layers_that_are_sharded_give_the_same_with_gradients(of_two_processes, name):
    x, lengths = batch_of_all()
    model, of_both = shared_model(name).eval(), of_two_processes[name]
    truth = model(x, lengths=lengths)
    (truth.square().sum() / 2).backward()
    for way in ("sharded", "kernels") if name == "Terminator" else ("sharded",):
        cases.assert_close(torch.cat([found[way] for found in of_both]), truth.detach())
    for found in of_both:
        for key, gradient in gradients_of(model).items():
            cases.assert_close(found["sharded gradients"][key], gradient)


def test_a_process_alone_needs_no_others():
    layer, twin = synchronize_statistics(BatchStandardization(2).double()), BatchStandardization(2).double()
    assert torch.equal(layer(BATCHES[0]), twin(BATCHES[0]))
