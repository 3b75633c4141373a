"""Laws that every layer holds, the whole Terminator included."""

import copy
import io
import pickle

import pytest
import torch

from tests import cases
from tests.nn.layers import CAUSAL, LAYERS, PADDED, WITH_INPUTS, WITH_PARAMETERS, names

LENGTHS = (5, 1, 8, 3)

over_all = pytest.mark.parametrize("name", LAYERS)
over_layers_with_inputs = pytest.mark.parametrize("name", WITH_INPUTS)
over_padded_layers = pytest.mark.parametrize("name", PADDED)


def gradients_of(output, leaves):
    """What one fixed cotangent, padding included, sends to all leaves."""
    cotangent = cases.normal(*output.shape, seed=99, dtype=output.dtype).detach()
    return torch.autograd.grad(output, leaves, cotangent)


def padded_runs():
    """Layers and modes in which a sample's answer is its own."""
    own = [(name, training) for name in PADDED for training in (False, True)]
    forbidden = {"never": (), "training": (True,), "always": (False, True)}
    return [(name, training) for name, training in own if training not in forbidden[LAYERS[name].uses_batch]]


over_padded_runs = pytest.mark.parametrize(
    ("name", "training"),
    padded_runs(),
    ids=[f"{n}-{'training' if t else 'evaluation'}" for n, t in padded_runs()],
)


@over_padded_runs
@cases.over_junk
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)], ids=["64", "32"])
def test_padded_equals_unpadded_with_gradients(name, training, junk, dtype, tolerance):
    layer = LAYERS[name]
    module = layer.make(dtype=dtype, training=training)
    parameters = list(module.parameters())
    clean = layer.inputs(len(LENGTHS), dtype=dtype)
    dirty = [cases.spoiled(x, LENGTHS, junk) for x in clean]
    pads = cases.padding(clean[0].shape, LENGTHS)

    output = module(*dirty, lengths=torch.tensor(LENGTHS))
    alone = [module(*[x[i : i + 1, :, :length] for x in clean]) for i, length in enumerate(LENGTHS)]
    truth = torch.cat([torch.nn.functional.pad(y, (0, 8 - y.shape[-1])) for y in alone])
    cases.assert_close(output, truth, tolerance=tolerance)
    assert (output.masked_select(pads) == 0).all()

    found, expected = gradients_of(output, dirty + parameters), gradients_of(truth, clean + parameters)
    # a gradient is a sum over paths: what it loses to rounding goes with the largest of them, not with the sum
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        cases.assert_close(one, other, tolerance=tolerance, scale=largest)
    for gradient in found[: len(dirty)]:
        assert (gradient.masked_select(pads) == 0).all()


@over_padded_layers
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@cases.over_junk
def test_what_stands_in_the_padding_changes_nothing(name, training, junk):
    layer, results = LAYERS[name], []
    for filling in (0.0, junk):
        module = layer.make(training=training)
        inputs = [cases.spoiled(x, LENGTHS, filling) for x in layer.inputs(len(LENGTHS))]
        output = module(*inputs, lengths=torch.tensor(LENGTHS))
        gradients = gradients_of(output, inputs + list(module.parameters()))
        results.append([output, *gradients, *module.buffers()])
    for clean, dirty in zip(*results, strict=True):
        assert clean.isfinite().all()
        assert torch.equal(clean, dirty)


@over_padded_layers
def test_full_lengths_change_nothing(name):
    layer = LAYERS[name]
    module, inputs = layer.make(), layer.inputs()
    assert torch.equal(module(*inputs, lengths=torch.tensor([8, 8, 8])), module(*inputs))


@over_padded_layers
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([8, 0, 3]), "lengths must .*1.*8.*, got .*0.*"),
        (torch.tensor([8, 9, 3]), "lengths must .*1.*8.*, got .*9.*"),
        (torch.tensor([8, 3]), r"lengths must .*\(3,\).*, got .*\(2,\)"),
        (torch.tensor([8.0, 3.0, 1.0]), "lengths must .*integers.*, got .*float32"),
    ],
    ids=["zero", "beyond", "too-few", "float"],
)
def test_lengths_error_names_argument_rule_and_value(name, lengths, message):
    layer = LAYERS[name]
    with pytest.raises(ValueError, match=f"^{message}"):
        layer.make()(*layer.inputs(), lengths=lengths)


@pytest.mark.parametrize("name", [n for n in names(takes_lengths=True, num_inputs=(1, 2)) if "-2d" in n])
def test_lengths_need_one_spatial_axis(name):
    layer = LAYERS[name]
    with pytest.raises(ValueError, match="^lengths must .*one spatial axis.*, got .*"):
        layer.make()(*layer.inputs(), lengths=torch.tensor([2, 2, 2]))


@pytest.mark.parametrize("name", [n for n in WITH_INPUTS if LAYERS[n].uses_batch != "always"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)], ids=["64", "32"])
def test_batch_equals_loop_over_samples_in_evaluation(name, dtype, tolerance):
    layer = LAYERS[name]
    module, inputs = layer.make(dtype=dtype), layer.inputs(dtype=dtype)
    alone = torch.cat([module(*[x[i : i + 1] for x in inputs]) for i in range(3)])
    cases.assert_close(module(*inputs), alone, tolerance=tolerance)


@pytest.mark.parametrize("name", names(uses_batch="always"))
def test_published_options_let_a_sample_see_its_batch(name):
    layer = LAYERS[name]
    module, inputs = layer.make(), layer.inputs()
    alone = torch.cat([module(*[x[i : i + 1] for x in inputs]) for i in range(3)])
    assert not torch.allclose(module(*inputs), alone, atol=1e-3)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_every_parameter_receives_a_gradient(name):
    layer = LAYERS[name]
    module = layer.make(training=True)
    output = module(*layer.inputs())
    for (path, _), gradient in zip(
        module.named_parameters(), gradients_of(output, list(module.parameters())), strict=True
    ):
        assert gradient.isfinite().all(), path
        assert gradient.abs().max() > 1e-8, path


@over_layers_with_inputs
def test_every_input_position_receives_a_gradient(name):
    layer = LAYERS[name]
    inputs = layer.inputs()
    for gradient in gradients_of(layer.make(training=True)(*inputs), inputs):
        assert (gradient.abs() > 1e-12).all()


@over_all
def test_same_seed_gives_the_same_result_and_another_seed_another(name):
    layer = LAYERS[name]
    inputs = layer.inputs()
    first, same = layer.make(seed=1)(*inputs), layer.make(seed=1)(*inputs)
    assert torch.equal(first, same)
    if name in WITH_PARAMETERS:
        assert not torch.allclose(first, layer.make(seed=2)(*inputs))


@over_all
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_forward_changes_no_weight(name, training):
    layer = LAYERS[name]
    module = layer.make(training=training)
    before = copy.deepcopy(module.state_dict())
    module(*layer.inputs())
    parameters = dict(module.named_parameters())
    for key, value in module.state_dict().items():
        if key in parameters or not training:
            assert torch.equal(value, before[key]), key


@over_all
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "state_dict", "file"])
def test_copies_give_the_same_result(name, way):
    layer = LAYERS[name]
    module = layer.make(training=True)
    output = module(*layer.inputs())
    if output.requires_grad:
        output.sum().backward()  # a copy is possible after a step, too
    if way == "deepcopy":
        twin = copy.deepcopy(module)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(module))
    else:
        state = module.state_dict()
        if way == "file":
            file = io.BytesIO()
            torch.save(state, file)
            file.seek(0)
            state = torch.load(file, weights_only=True)
        twin = layer.make(seed=5)
        twin.load_state_dict(state)
    inputs = layer.inputs()
    assert torch.equal(twin.eval()(*inputs), module.eval()(*inputs))


def reads_future(layer, module, dtype, *, length=16):
    """Largest gradient of outputs 0..t by later inputs, and the largest of all, over three positions t."""
    leaks, largest = [], 0.0
    for t in (0, 6, 14):
        inputs = layer.inputs(2, dtype=dtype, size=(length,))
        gradients = torch.autograd.grad(module(*inputs)[..., : t + 1].square().sum(), inputs)
        leaks += [float(gradient[..., t + 1 :].abs().max()) for gradient in gradients]
        largest = max(largest, *(float(gradient.abs().max()) for gradient in gradients))
    return max(leaks), largest


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["64", "32"])
def test_causal_layers_do_not_read_their_future(name, training, dtype):
    """Exactly without a transform; through the FFT, within its rounding."""
    layer = LAYERS[name]
    leak, largest = reads_future(layer, layer.make(dtype=dtype, training=training), dtype)
    through_fft = name.startswith(("Global", "SFNE", "Terminator", "Sequence")) and "exact" not in name
    assert leak <= (1e-6 * largest if through_fft else 0.0)


@pytest.mark.parametrize("name", CAUSAL)
def test_another_future_changes_nothing(name):
    layer = LAYERS[name]
    module = layer.make(training=True)
    inputs = layer.inputs()
    others = [torch.cat([x[..., :5], x[..., 5:] + 1], dim=-1) for x in inputs]
    found, truth = module(*others), module(*inputs)
    cases.assert_close(found[..., :5], truth[..., :5], tolerance=1e-12)
    assert not torch.allclose(found[..., 5:], truth[..., 5:])


@pytest.mark.parametrize(
    "name", [n for n in WITH_INPUTS if n not in CAUSAL and n.startswith(("Local", "Recursive", "Instance", "SFNE"))]
)
def test_the_law_of_causality_finds_layers_that_are_not(name):
    layer = LAYERS[name]
    if len(layer.size) == 1:
        leak, largest = reads_future(layer, layer.make(training=True), torch.float64)
        assert leak > 1e-4 * largest


@over_all
def test_nothing_is_complex(name):
    module = LAYERS[name].make()
    for key, value in [*module.named_parameters(), *module.named_buffers()]:
        assert not value.is_complex(), key


@over_layers_with_inputs
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_non_contiguous_inputs_change_nothing(name, training):
    layer = LAYERS[name]
    inputs = layer.inputs()
    turned = [x.detach().movedim(1, -1).contiguous().movedim(-1, 1) for x in inputs]
    strided = [torch.stack([x.detach(), x.detach()], dim=-1)[..., 0] for x in inputs]
    truth = layer.make(training=training)(*inputs)
    for odd in (turned, strided):
        assert not odd[0].is_contiguous()
        cases.assert_close(layer.make(training=training)(*odd), truth, tolerance=1e-11)


@over_all
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_float64_stays_float64(name, training):
    layer = LAYERS[name]
    module = layer.make(training=training)
    assert module(*layer.inputs()).dtype == torch.float64
    assert all(value.dtype == torch.float64 for value in module.buffers() if value.is_floating_point())


@over_all
@cases.over_half_types
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_half_types_keep_their_type_and_their_error_is_bounded(name, dtype, training):
    """Compared with the module before it was cast: rounded weights count as error."""
    layer = LAYERS[name]
    module, inputs = layer.make(dtype=dtype, training=training), layer.inputs(dtype=dtype)
    twin = layer.make(training=training)
    output = module(*inputs)
    assert output.dtype == dtype
    truth = twin(*[x.double() for x in inputs])
    assert rounding_error(layer, output, truth) < half_error(name) * torch.finfo(dtype).eps
    if output.requires_grad:
        assert all(g.isfinite().all() for g in gradients_of(output, [*inputs, *module.parameters()]))


def rounding_error(layer, output, truth):
    """Return the error relative to the largest entry.

    The second position of a causal standardization is the sign of its distance from the first. Rounding can turn the
    sign, so no bound holds there.
    """
    bounded = [0, *range(2, output.shape[-1])] if layer.causal else slice(None)
    return cases.relative_error(output[..., bounded], truth[..., bounded])


def half_error(name):
    """Bound in units of the type's resolution: a block or a stack rounds ten times in a row, a Terminator twenty."""
    if name.startswith("Terminator"):
        return 24
    if name == "GlobalHyperZZW-1d-product":
        return 4  # nothing averages the rounded weights of the slow network
    return 12 if name.startswith(("SFNEBlock", "SequenceBlock", "ResidualStack")) else 3


@over_all
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_autocast_stays_near_float32_and_trains(name, training):
    layer = LAYERS[name]
    module, inputs = layer.make(dtype=torch.float32, training=training), layer.inputs(dtype=torch.float32)
    truth = copy.deepcopy(module)(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        output = module(*inputs)
    assert output.dtype in (torch.float32, torch.bfloat16)
    assert rounding_error(layer, output, truth) < half_error(name) * torch.finfo(torch.bfloat16).eps
    leaves = [*inputs, *module.parameters()]
    if output.requires_grad:
        for leaf, gradient in zip(leaves, gradients_of(output, leaves), strict=True):
            assert gradient.dtype == leaf.dtype == torch.float32
            assert gradient.isfinite().all()


@over_layers_with_inputs
def test_wrong_rank_is_refused(name):
    layer = LAYERS[name]
    inputs = [torch.zeros(3, 4) for _ in range(layer.num_inputs)]
    with pytest.raises(ValueError, match=r"^(x|context|values) must .*, got .*\(3, 4\)"):
        layer.make(dtype=torch.float32)(*inputs)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in WITH_INPUTS
        if n.startswith(("Global", "Local", "HyperInteraction", "SFNE", "Terminator", "ResidualStack"))
    ],
)
def test_one_axis_more_is_refused(name):
    layer = LAYERS[name]
    inputs = [x.unsqueeze(-1).float() for x in layer.inputs()]
    with pytest.raises(ValueError, match=r"^(x|context|values) must .*, got .*, 1\)"):
        layer.make(dtype=torch.float32)(*inputs)


@pytest.mark.parametrize("name", [n for n in WITH_INPUTS if not n.startswith("Instance")])
def test_wrong_channel_count_is_refused(name):
    layer = LAYERS[name]
    inputs = [torch.zeros(3, 5, *layer.size) for _ in range(layer.num_inputs)]
    with pytest.raises(ValueError, match=rf"^(x|context|values) must .*4 channels.*, got .*\(3, 5, {layer.size[0]}"):
        layer.make(dtype=torch.float32)(*inputs)


@over_layers_with_inputs
def test_an_empty_axis_is_refused(name):
    layer = LAYERS[name]
    inputs = [torch.zeros(3, 4, *layer.size)[..., :0] for _ in range(layer.num_inputs)]
    with pytest.raises(ValueError, match=r"^(x|context|values) must .*, got .*0\)"):
        layer.make(dtype=torch.float32)(*inputs)


@pytest.mark.parametrize("name", LAYERS)
def test_the_meta_device_knows_the_shape(name):
    layer = LAYERS[name]
    inputs = [x.detach() for x in layer.inputs(3)]
    found = layer.make().to("meta")(*[x.to("meta") for x in inputs])
    assert found.is_meta and found.shape == layer.make()(*inputs).shape
