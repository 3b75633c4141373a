"""A GRU as a backbone: nothing of hyper-kernels, nothing of hyperseq."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class GRUBackbone(nn.Module):
    def __init__(self, in_channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.gru = nn.GRU(in_channels, hidden, batch_first=True)
        self.out_channels = hidden

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        steps = x.transpose(1, 2)
        if lengths is None:
            return self.gru(steps)[0].transpose(1, 2)
        packed = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
        features, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[2])
        return features.transpose(1, 2)
