"""The mixer in place of an LSTM: classify series of unequal length from three sensors."""

import torch
from torch import nn

from hyperseq import SequenceMixer

LONGEST, WIDTH = 64, 16
embedding, head = nn.Linear(3, WIDTH), nn.Linear(WIDTH, 3)
mixer = SequenceMixer(WIDTH, l_max=LONGEST)  # nn.LSTM(WIDTH, WIDTH, batch_first=True) before

network = nn.ModuleList([embedding, mixer, head])
optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
for _ in range(60):
    labels, lengths = torch.randint(3, (32,)), torch.randint(20, LONGEST + 1, (32,))
    x = torch.randn(32, LONGEST, 3)
    x[torch.arange(32), :, labels] = x[torch.arange(32), :, labels].cumsum(1) / 4  # one sensor drifts
    hidden = embedding(x)
    hidden = hidden + mixer(hidden, lengths=lengths)  # what stands behind the lengths has no effect
    real = torch.arange(LONGEST) < lengths[:, None]
    pooled = (hidden.abs() * real[..., None]).sum(1) / lengths[:, None]
    loss = nn.functional.cross_entropy(head(pooled), labels)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
print(f"loss {loss.item():.3f}, constant predictor 1.099")
