"""A 2D block: mark the pixels of a bright square in a noisy image."""

import torch
from torch import nn

from hyperseq.nn import SFNEBlock

SIZE = 12
block, head = SFNEBlock(2, 4, 8, size=SIZE, local_kernel_sizes=(3, 5)), nn.Conv2d(8, 1, 1)
stem = nn.Conv2d(1, 4, 1)
network = nn.ModuleList([stem, block, head])
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
for _ in range(40):
    corner, pixel = torch.randint(SIZE - 4, (2, 16, 1)), torch.arange(SIZE)
    rows, columns = ((pixel >= corner) & (pixel < corner + 5)).float()
    target = rows[:, None, :, None] * columns[:, None, None, :]
    image = target + 0.7 * torch.randn(16, 1, SIZE, SIZE)
    loss = nn.functional.binary_cross_entropy_with_logits(head(block(stem(image))), target)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
print(f"loss {loss.item():.3f}, constant predictor 0.462")
