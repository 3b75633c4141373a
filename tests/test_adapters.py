"""The adapters give the mixer's own answers, and refuse what the mixer cannot do."""

import pytest
import torch

from hyperseq import SequenceMixer
from hyperseq.adapters import S4Style, SelfAttentionStyle, mixer_factory

LENGTHS = torch.tensor([9, 4])
PADDING = torch.arange(9) >= LENGTHS[:, None]


def test_s4_style_returns_the_mixer_s_answer_and_no_state():
    block, x = S4Style(4, l_max=9), torch.randn(2, 4, 9)
    y, state = block(x, lengths=LENGTHS, rate=2.0)
    assert state is None
    assert block.d_output == 4
    assert torch.equal(y, block.mixer(x, lengths=LENGTHS, rate=2.0))
    turned = S4Style(4, l_max=9, transposed=False)
    turned.load_state_dict(block.state_dict())
    assert torch.equal(turned(x.mT)[0], block(x)[0].mT)
    with pytest.raises(ValueError, match="^state must be None .*, got Tensor"):
        block(x, state=torch.zeros(1))


def test_a_factory_is_called_with_the_width():
    mixer = mixer_factory(l_max=9, causal=True, context_in="kernel")(6)
    assert isinstance(mixer, SequenceMixer)
    assert (mixer.d_model, mixer.l_max, mixer.causal, mixer.context_in) == (6, 9, True, "kernel")
    with pytest.raises(TypeError, match="dropout"):
        mixer_factory(l_max=9, dropout=0.1)(6)


@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_layer_takes_its_padding_mask(training):
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
    layer.self_attn = SelfAttentionStyle(8, l_max=9)
    layer.train(training)
    x = torch.randn(2, 9, 8)
    found = layer(x, src_key_padding_mask=PADDING)
    alone = layer(x[1:, :4])
    torch.testing.assert_close(found[1:, :4], alone, rtol=0, atol=1e-5)


def test_an_encoder_takes_the_causal_mixer():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    layer.self_attn = SelfAttentionStyle(8, l_max=9, causal=True)
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x = torch.randn(2, 9, 8, requires_grad=True)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(9)
    (gradient,) = torch.autograd.grad(encoder(x, mask=mask, is_causal=True)[:, :5].sum(), x)
    assert gradient[:, 5:].abs().max() < 1e-6 * gradient.abs().max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"is_causal": True}, "is_causal must be False, as the option causal is, got True"),
        ({"need_weights": True}, "need_weights must be False.*, got True"),
        ({"attn_mask": torch.zeros(9, 9)}, "attn_mask must be None .*, got a mask"),
        ({"key_padding_mask": PADDING.flip(1)}, "mask must be True first .*"),
    ],
)
def test_what_a_mixer_cannot_do_is_refused(options, message):
    x = torch.randn(2, 9, 8)
    with pytest.raises(ValueError, match=f"^{message}"):
        SelfAttentionStyle(8, l_max=9)(x, x, x, **options)


def test_other_keys_than_the_query_are_refused():
    x = torch.randn(2, 9, 8)
    with pytest.raises(ValueError, match="^key and value must be the query.*"):
        SelfAttentionStyle(8, l_max=9)(x, x.clone(), x)
