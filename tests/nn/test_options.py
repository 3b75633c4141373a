"""Options that several classes take: typed once, flat for callers, complete in signatures and on the command line."""

import inspect

import pytest
import torch

from hyperseq import Terminator
from hyperseq.backbones import ResidualStack, TerminatorCIFAR
from hyperseq.nn import GlobalHyperZZW, HyperChannelInteraction, HyperInteraction, LocalHyperZZW, SFNEBlock, SlowNetwork
from hyperseq.nn._options import BlockOptions, SlowNetworkOptions

OWNERS = [
    *[(layer, SlowNetwork, SlowNetworkOptions) for layer in (GlobalHyperZZW, LocalHyperZZW)],
    *[(layer, SlowNetwork, SlowNetworkOptions) for layer in (HyperChannelInteraction, HyperInteraction)],
    (Terminator, SFNEBlock, BlockOptions),
]


@pytest.mark.parametrize(("layer", "source", "options"), OWNERS, ids=[layer.__name__ for layer, _, _ in OWNERS])
def test_a_signature_shows_the_options_with_the_defaults_of_their_source(layer, source, options):
    found, truth = inspect.signature(layer).parameters, inspect.signature(source).parameters
    for name in options.__annotations__:
        assert found[name] == truth[name]
        assert found[name].annotation == options.__annotations__[name]
    assert not any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in found.values())


@pytest.mark.parametrize(
    "build",
    [
        lambda **options: Terminator(1, 2, size=6, channels=[2, 4], **options),
        lambda **options: SFNEBlock(1, 2, 4, size=6, **options),
        lambda **options: GlobalHyperZZW(1, 2, size=6, **options),
        lambda **options: LocalHyperZZW(1, 2, kernel_size=3, **options),
        lambda **options: HyperChannelInteraction(2, **options),
        lambda **options: HyperInteraction(1, 2, size=6, **options),
    ],
)
@pytest.mark.parametrize("option", ["omega", "context", "summed"])
def test_an_unknown_option_is_a_type_error(build, option):
    with pytest.raises(TypeError, match=option):
        build(**{option: 1})


@pytest.mark.parametrize("option", ["paired_input", "earlier_channels"])
def test_what_a_terminator_decides_for_its_blocks_is_no_option(option):
    with pytest.raises(TypeError, match=option):
        Terminator(1, 2, size=6, channels=[2, 4], **{option: 1})


def test_options_reach_every_slow_network():
    model = Terminator(1, 2, size=6, channels=[2, 4], slow_hidden_channels=5, slow_num_layers=1, omega_0=7.0)
    networks = [module for module in model.modules() if isinstance(module, SlowNetwork)]
    assert len(networks) == 1 + 3 + 1 + 2
    assert {(n.hidden_channels, n.num_layers, n.omega_0) for n in networks} == {(5, 1, 7.0)}


# ---- the command line
@pytest.fixture
def parser():
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--net", type=torch.nn.Module)
    return parser


def arguments(class_path, **init_args):
    return [f"--net.class_path={class_path}", *[f"--net.init_args.{key}={value}" for key, value in init_args.items()]]


def terminator(**init_args):
    return arguments("hyperseq.Terminator", num_spatial_dims=1, in_channels=1, size=9, **init_args)


def test_a_config_with_flat_options_builds_the_network(parser):
    config = parser.parse_args(terminator(channels="[8,16]", omega_0=20.0, slow_hidden_channels=4))
    model = parser.instantiate(config).net
    assert model.channels == (8, 16)
    assert model.blocks[0].global_operator.slow_network.hidden_channels == 4
    assert model.blocks[0].global_operator.slow_network.omega_0 == 20.0


def test_a_config_holds_every_default(parser):
    found = parser.parse_args(terminator(channels="[8,16]")).net.init_args
    for name, parameter in inspect.signature(Terminator).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert tuple(found[name]) == (3, 5, 7) if name == "local_kernel_sizes" else found[name] == parameter.default


def test_help_lists_choices_and_defaults(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--net.help=hyperseq.Terminator"])
    text = " ".join(capsys.readouterr().out.split())
    for choices in ("Literal['circular', 'matmul', 'product']", "{running,batch,instance}", "{sample,batch}"):
        assert choices in text
    assert "default: 30.0" in text


@pytest.mark.parametrize(("option", "value"), [("mode", "causal"), ("kernel_per", "channel"), ("omega", 3.0)])
def test_a_config_with_another_choice_or_key_is_refused(parser, option, value):
    with pytest.raises(Exception, match=option):
        parser.parse_args(terminator(channels="[8,16]", **{option: value}))


def test_a_config_names_preset_stack_and_stem(parser):
    preset = parser.parse_args(
        arguments("hyperseq.backbones.TerminatorCIFAR", num_spatial_dims=2, in_channels=3, size="[4,4]")
    )
    assert isinstance(parser.instantiate(preset).net, TerminatorCIFAR)
    tokens = arguments(
        "hyperseq.backbones.ResidualStack",
        in_channels=1,
        depth=2,
        d_model=6,
        layer="tests.nn.layers.Attention",
        stem="hyperseq.nn.TokenEmbedding",
    )
    tokens += ["--net.init_args.stem.init_args.num_tokens=9", "--net.init_args.stem.init_args.channels=6"]
    model = parser.instantiate(parser.parse_args(tokens)).net
    assert isinstance(model, ResidualStack)
    assert model(torch.tensor([[1, 2, 0]])).shape == (1, 6, 3)
