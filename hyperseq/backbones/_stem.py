"""The stem of a network: from the input to the channels of the first block or layer."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from torch import Tensor, nn

from hyperseq._axes import spatial_size
from hyperseq._checks import check_activations, check_count
from hyperseq.functional.padding import Padding, as_padding, mask_padding
from hyperseq.nn import ChannelMixing

Lengths = TypeVar("Lengths", int, Tensor)


class PaddedCall:
    """How to call a module on a padded batch, read from the signature of its forward.

    The signature is read once, at construction: torch.compile does not trace signatures.

    Attributes:
        takes_lengths: Whether forward has a parameter ``lengths``.
        takes_padding: Whether the annotation of ``lengths`` names `Padding`, as in this library. Otherwise forward gets
            a tensor.
    """

    def __init__(self, module: nn.Module) -> None:
        parameter = inspect.signature(module.forward).parameters.get("lengths")
        self.takes_lengths = parameter is not None
        self.takes_padding = parameter is not None and "Padding" in str(parameter.annotation)

    def __call__(self, module: Callable[..., Tensor], x: Tensor, padding: Padding) -> Tensor:
        """Call the module on ``x``, with the lengths if it takes them."""
        if not self.takes_lengths:
            return module(x)
        return module(x, lengths=padding if self.takes_padding else padding.lengths)


class StemmedBackbone(nn.Module):
    """A network that begins with a stem.

    The stem may shorten the input. It then has a method ``output_lengths``, and its forward may take ``lengths``.

    A stem whose forward takes ``rate`` gives features with the step of training at every rate, and its
    ``output_lengths`` takes ``rate``, too.
    """

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        stem_channels: int,
        stem: nn.Module | None,
        *,
        rule: str,
        given: object,
    ) -> None:
        super().__init__()
        self.num_spatial_dims = check_count(num_spatial_dims, name="num_spatial_dims")
        self.in_channels = check_count(in_channels, name="in_channels")
        self.stem_channels = stem_channels
        if stem is not None and not isinstance(stem, nn.Module):
            raise ValueError(f"stem must be None or a torch.nn.Module, got {stem!r}")
        if isinstance(stem, nn.Identity) and self.in_channels != stem_channels:
            raise ValueError(f"{rule} the {in_channels} of in_channels without a stem, got {given}")
        self.stem = ChannelMixing(self.in_channels, stem_channels) if stem is None else stem
        self._call_stem = PaddedCall(self.stem)
        self._stem_takes_rate = "rate" in inspect.signature(self.stem.forward).parameters

    def output_lengths(self, lengths: Lengths, rate: float = 1.0) -> Lengths:
        """Return the lengths of the features, one or one per sample, for inputs of these lengths and this rate."""
        of_stem = getattr(self.stem, "output_lengths", None)
        if of_stem is None:
            return lengths
        return of_stem(lengths, rate=rate) if self._stem_takes_rate else of_stem(lengths)

    def _embed(self, x: Tensor, lengths: Tensor | Padding | None, rate: float = 1.0) -> tuple[Tensor, Padding | None]:
        """Apply the stem; return its output, which may hold anything at padding, and the padding of the output."""
        if not isinstance(x, Tensor):
            raise ValueError(f"x must be a torch.Tensor, got {type(x).__name__}")
        if isinstance(self.stem, (ChannelMixing, nn.Identity)):
            if not (x.is_floating_point() or x.is_complex()):
                raise ValueError(
                    "x must be float16, bfloat16, float32 or float64 unless the stem takes ids, such as "
                    f"hyperseq.nn.TokenEmbedding, got {x.dtype}"
                )
            check_activations(x, name="x", num_spatial_dims=self.num_spatial_dims, channels=self.in_channels)
        # ids have no channel axis
        without_channels = x.dim() == 1 + self.num_spatial_dims
        x = x[:, None] if without_channels else x
        size = spatial_size(x)
        padding = as_padding(lengths, x)
        x = mask_padding(x, padding)
        x = x[:, 0] if without_channels else x
        stem = partial(self.stem, rate=rate) if self._stem_takes_rate else self.stem
        features = stem(x) if padding is None else self._call_stem(stem, x, padding)
        check_activations(
            features, name="stem output", num_spatial_dims=self.num_spatial_dims, channels=self.stem_channels
        )
        if padding is None:
            return features, None
        if hasattr(self.stem, "output_lengths"):
            return features, as_padding(self.output_lengths(padding.lengths, rate), features)
        if spatial_size(features) != size:
            raise ValueError(
                f"stem must have a method output_lengths to take lengths, because it changes the size {size} to "
                f"{spatial_size(features)}, got {type(self.stem).__name__}"
            )
        return features, padding
