"""Regress a number from a window of a multichannel CSV file: the mean product of two of its columns."""

import csv
import io

import torch
from torch import nn

from hyperseq import SequenceMixer

text = "\n".join(",".join(f"{v:.4f}" for v in row) for row in torch.randn(4000, 3).cumsum(0).sin().tolist())
table = torch.tensor([[float(cell) for cell in row] for row in csv.reader(io.StringIO(text))])  # open("my.csv")
LENGTH, WIDTH = 48, 16
embedding, mixer, head = nn.Linear(3, WIDTH), SequenceMixer(WIDTH, l_max=LENGTH), nn.Linear(WIDTH, 1)
network = nn.ModuleList([embedding, mixer, head])
optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
for _ in range(40):
    starts = torch.randint(len(table) - LENGTH, (32, 1)) + torch.arange(LENGTH)
    x = table[starts]
    targets = 3 * (x[..., 0] * x[..., 1]).mean(1)
    hidden = embedding(x)
    loss = nn.functional.mse_loss(head((hidden + mixer(hidden)).mean(1))[:, 0], targets)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
print(f"loss {loss.item():.3f}, constant predictor {targets.var().item():.3f}")
