"""The training loop of the README in two processes: DistributedDataParallel averages the gradient of every weight."""

import os

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from hyperseq import Terminator
from hyperseq.functional import spatial_mean
from hyperseq.losses import slow_neural_loss

NUM_PROCESSES, STEPS = 2, 3


def build():
    torch.manual_seed(0)
    # In evaluation: statistics of a batch would differ between one process and two.
    return Terminator(1, 1, size=13, channels=[2, 6]).double().eval()


def compute_loss(network, generator, rank, step):
    """Do as the README: the kernels are generated outside `forward`, once for features and loss."""
    x = torch.randn(3, 1, 13, generator=torch.Generator().manual_seed(10 * step + rank), dtype=torch.float64)
    hyper_kernels = generator.hyper_kernels()
    features = network(x, hyper_kernels=hyper_kernels)
    return spatial_mean(features).square().mean() + slow_neural_loss(hyper_kernels)


def train(rank, folder):
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", NUM_PROCESSES)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=NUM_PROCESSES)
    network = build()
    parallel = DistributedDataParallel(network)
    gradients = []
    for step in range(STEPS):
        network.zero_grad()
        compute_loss(parallel, network, rank, step).backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    torch.save(gradients, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="torch without distributed")
def test_kernels_generated_outside_forward_get_the_averaged_gradient(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    multiprocessing.spawn(train, (str(tmp_path),), nprocs=NUM_PROCESSES)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(NUM_PROCESSES)]
    network = build()
    for step in range(STEPS):
        network.zero_grad()
        (sum(compute_loss(network, network, rank, step) for rank in range(NUM_PROCESSES)) / NUM_PROCESSES).backward()
        for number, (name, parameter) in enumerate(network.named_parameters()):
            for rank in range(NUM_PROCESSES):
                torch.testing.assert_close(found[rank][step][number], parameter.grad, msg=f"{name}, process {rank}")
