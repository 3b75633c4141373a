"""A causal model of bytes: trained on a page of Python's own reference, then it writes on, one byte a step."""

from pydoc_data.topics import topics

import torch
from torch import nn

from hyperseq import SequenceMixer

data = torch.tensor(list(topics["booleans"].encode()))
LENGTH, WIDTH = 64, 48
embedding, head = nn.Embedding(256, WIDTH), nn.Linear(WIDTH, 256)
mixer = SequenceMixer(WIDTH, l_max=LENGTH, causal=True)
network = nn.ModuleList([embedding, mixer, head])
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
for _ in range(80):
    starts = torch.randint(len(data) - LENGTH, (16, 1)) + torch.arange(LENGTH + 1)
    x, targets = data[starts[:, :-1]], data[starts[:, 1:]]
    hidden = embedding(x)
    loss = nn.functional.cross_entropy(head(hidden + mixer(hidden)).flatten(0, 1), targets.flatten())
    optimizer.zero_grad(), loss.backward(), optimizer.step()
text, state = list(b"The expression "), mixer.initial_state(1)
for index in range(60):
    hidden = embedding(torch.tensor([text[index]]))
    mixed, state = mixer.step(hidden, state)
    if index + 1 == len(text):
        text.append(int(head(hidden + mixed).argmax()))
entropy = torch.distributions.Categorical(torch.bincount(data).float()).entropy()
print(f"{bytes(text).decode(errors='replace')}\nloss {loss.item():.3f}, constant predictor {entropy.item():.3f}")
