"""What a trained model must know of its data, so that it can be used without them."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.errors import UserError


@dataclass(frozen=True)
class DataDescription:
    """The attributes of a data module that a network is built from; checkpoints carry them.

    Attributes:
        num_classes: Classes, or real targets.
        class_names: One name a class, or a real target.
        num_spatial_dims: Axes that follow the channels.
        in_channels: Channels of the inputs.
        size: Extent of each axis in training.
        num_tokens: Number of ids where inputs are ids, otherwise `None`.
        sample_rate: Samples a second where inputs are waveforms, otherwise `None`.
    """

    num_classes: int
    class_names: tuple[str, ...]
    num_spatial_dims: int
    in_channels: int
    size: tuple[int, ...]
    num_tokens: int | None
    sample_rate: int | None = None

    @classmethod
    def of(cls, data: Any) -> "DataDescription":
        """Describe a data module that `check_data_module` has passed."""
        return cls(
            num_classes=data.num_classes,
            class_names=tuple(data.class_names),
            num_spatial_dims=data.num_spatial_dims,
            in_channels=data.in_channels,
            size=tuple(data.size),
            num_tokens=data.num_tokens,
            sample_rate=data.sample_rate,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return plain values, as a checkpoint holds them."""
        return asdict(self)

    def check_input(self, x: Tensor, *, batched: bool) -> None:
        """Check inputs, `(B, C, *S)` or ids `(B, L)`; without `batched` those of one sample.

        Raises:
            UserError: If type or shape are others, or a number is NaN or infinite.
        """
        if not isinstance(x, Tensor):
            raise UserError(f"x must be a torch.Tensor, got {type(x).__name__}")
        ids = self.num_tokens is not None
        if x.dtype != (wanted := torch.int64 if ids else torch.float32):
            raise UserError(f"x must be of {wanted}, got {x.dtype}")
        extents = ["L"] if ids else [str(self.in_channels), *(f"S{axis + 1}" for axis in range(self.num_spatial_dims))]
        axes = ["B", *extents] if batched else extents
        if x.ndim != len(axes) or not (ids or x.shape[-self.num_spatial_dims - 1] == self.in_channels):
            shape = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
            raise UserError(f"x must have the shape {'ids ' if ids else ''}{shape}, got {tuple(x.shape)}")
        if not x.numel():
            raise UserError(f"x must have at least one position, got the shape {tuple(x.shape)}")
        if ids and not (x.min() >= 0 and x.max() < (self.num_tokens or 0)):
            raise UserError(
                f"x must hold ids from 0 to {(self.num_tokens or 0) - 1}, got from {int(x.min())} to {int(x.max())}"
            )
        if not ids and not x.isfinite().all():
            raise UserError("x must be finite, got NaN or infinity")
