"""The mixer in place of an S4 block, channels first: tell rising from falling chirps."""

import torch
from torch import nn

from hyperseq.adapters import S4Style

LENGTH, WIDTH = 64, 16
encoder, decoder = nn.Conv1d(1, WIDTH, 1), nn.Linear(WIDTH, 2)
blocks = nn.ModuleList(S4Style(WIDTH, l_max=LENGTH) for _ in range(2))  # S4Block(WIDTH) before
norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in blocks)

network = nn.ModuleList([encoder, blocks, norms, decoder])
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
for _ in range(120):
    labels, time = torch.randint(2, (32,)), torch.linspace(0, 1, LENGTH)
    time = torch.where(labels[:, None] == 1, time, 1 - time)
    x = encoder(torch.sin(40 * time**2 + 6.28 * torch.rand(32, 1))[:, None])
    for block, norm in zip(blocks, norms, strict=True):
        y, _ = block(norm(x.mT).mT)
        x = x + y
    loss = nn.functional.cross_entropy(decoder(x.mean(-1)), labels)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
print(f"loss {loss.item():.3f}, constant predictor 0.693")
