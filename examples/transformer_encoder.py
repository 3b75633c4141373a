"""The mixer in place of self-attention: find out which of two tones a noisy sequence holds."""

import torch
from torch import nn

from hyperseq.adapters import SelfAttentionStyle

LENGTH, WIDTH = 64, 16
embedding, head = nn.Linear(1, WIDTH), nn.Linear(WIDTH, 2)
layer = nn.TransformerEncoderLayer(WIDTH, 4, 32, dropout=0.0, batch_first=True, norm_first=True)
layer.self_attn = SelfAttentionStyle(WIDTH, l_max=LENGTH)  # the one line that changes

parameters = [*embedding.parameters(), *layer.parameters(), *head.parameters()]
optimizer = torch.optim.AdamW(parameters, lr=5e-3)
for _ in range(60):
    labels, phase = torch.randint(2, (32,)), 6.28 * torch.rand(32, 1)
    tone = torch.sin((0.5 + 0.3 * labels[:, None]) * torch.arange(LENGTH) + phase)
    x = (tone + 0.5 * torch.randn(32, LENGTH))[..., None]
    loss = nn.functional.cross_entropy(head(layer(embedding(x)).mean(1)), labels)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
print(f"loss {loss.item():.3f}, constant predictor 0.693")
