"""A layer or network in a folder: what comes back is what was saved, or one error says why not."""

import json

import pytest
import torch
from torch import nn

from hyperseq import SequenceMixer, Terminator
from hyperseq.backbones import TerminatorCIFAR
from hyperseq.nn import SequenceBlock, SFNEBlock, TokenEmbedding
from hyperseq.pretrained import from_pretrained, save_pretrained
from tests import cases

BLOCK = {"slow_hidden_channels": 4, "slow_num_layers": 1}
MODULES = {
    "mixer": lambda: SequenceMixer(4, l_max=9, causal=True, context_in="kernel", omega_0=3.0, dtype=torch.float64),
    "block": lambda: SequenceBlock(4, l_max=(3, 5), num_spatial_dims=2, local_kernel_sizes=(3, 3), **BLOCK).double(),
    "terminator": lambda: Terminator(1, 4, size=9, channels=(4, 6), concatenate_earlier=True, **BLOCK).double(),
    "half": lambda: SequenceMixer(4, l_max=9).bfloat16(),
}
SHAPES = {"mixer": (2, 7, 4), "block": (2, 3, 4, 4), "terminator": (2, 4, 7), "half": (2, 7, 4)}


@pytest.fixture
def folder(tmp_path):
    """A folder that holds a mixer."""
    return save_pretrained(SequenceMixer(4, l_max=9), tmp_path / "mixer")


@pytest.mark.parametrize("name", MODULES)
def test_a_saved_module_comes_back(name, tmp_path):
    module = MODULES[name]()
    dtype = next(module.parameters()).dtype
    x = cases.normal(*SHAPES[name], dtype=dtype).detach()
    module(x)  # running statistics leave their first values
    folder = save_pretrained(module, tmp_path / "new" / "folder")
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert [file.name for file in folder.parent.iterdir()] == ["folder"]

    torch.manual_seed(5)
    twin = from_pretrained(folder)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5)))
    assert type(twin) is type(module) and repr(twin) == repr(module.eval())
    assert not any(part.training for part in twin.modules())
    assert {k: v.dtype for k, v in twin.state_dict().items()} == {k: v.dtype for k, v in module.state_dict().items()}
    assert torch.equal(twin(x), module(x))
    marked, marks = ([hasattr(p, "_no_reinit") for p in each.parameters()] for each in (module, twin))
    assert marks == marked


def test_options_hold_every_default_and_the_size(folder):
    assert json.loads((folder / "config.json").read_text()) == {
        "class": "SequenceMixer",
        "options": {
            "d_model": 4,
            "l_max": 9,
            "causal": False,
            "context_in": "values",
            "exact": False,
            "short_kernel_size": 3,
            "local_kernel_size": 7,
            "transposed": False,
            "hidden_channels": 32,
            "num_layers": 3,
            "omega_0": 30.0,
        },
    }


def test_numbers_of_numpy_and_tuples_are_plain_json(tmp_path):
    np = pytest.importorskip("numpy")
    mixer = SequenceMixer(np.int64(4), l_max=np.int64(9), omega_0=np.float64(3.0))
    assert from_pretrained(save_pretrained(mixer, tmp_path / "mixer")).l_max == 9


def test_a_preset_keeps_its_own_options(tmp_path):
    with torch.device("meta"):
        options = TerminatorCIFAR(size=16)._options
    assert options["size"] == 16 and "channels" not in options


def test_a_given_stem_is_given_again(tmp_path):
    network = Terminator(1, 1, size=9, channels=[4, 6], stem=TokenEmbedding(7, 4), **BLOCK).eval()
    folder = save_pretrained(network, tmp_path / "network")
    ids = torch.tensor([[1, 2, 6, 0]])
    assert torch.equal(from_pretrained(folder, stem=TokenEmbedding(7, 4))(ids), network(ids))
    with pytest.raises(ValueError, match="^stem must be the TokenEmbedding that .* was given, got None"):
        from_pretrained(folder)
    with pytest.raises(ValueError, match=r"must hold the tensors .*, got others or none for stem\.\S+ \(7, 4\)"):
        from_pretrained(folder, stem=TokenEmbedding(8, 4))


def test_no_stem_is_taken_where_none_was_given(folder):
    with pytest.raises(ValueError, match="^stem must be None, got Identity"):
        from_pretrained(folder, stem=nn.Identity())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (SFNEBlock(1, 2, 2, size=4), "module must be of the class SequenceBlock, SequenceMixer, .*, got SFNEBlock"),
        (type("Terminator", (nn.Module,), {})(), "module must be of the class .*, got Terminator"),
        (
            SequenceMixer(2, l_max=4, device="meta"),
            "module must hold a tensor input_weight, got one on the meta device",
        ),
    ],
)
def test_what_cannot_be_saved_leaves_no_folder(module, message, tmp_path):
    with pytest.raises(ValueError, match=f"^{message}"):
        save_pretrained(module, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_not_overwritten(folder):
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="^folder must be new or empty, got .*mixer"):
        save_pretrained(SequenceMixer(4, l_max=9), folder)
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="^disk full"):
        save_pretrained(SequenceMixer(4, l_max=9), tmp_path / "empty")
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


SPOIL = {
    "no-config": (
        lambda f: (f / "config.json").unlink(),
        r"folder must hold config\.json and model\.safetensors, got \S+ without config\.json",
    ),
    "no-weights": (lambda f: (f / "model.safetensors").unlink(), r"folder must hold .* without model\.safetensors"),
    "no-json": (
        lambda f: (f / "config.json").write_text("{"),
        r"\S+config\.json must hold a class and its options, got JSONDecodeError: .*",
    ),
    "no-class": (
        lambda f: (f / "config.json").write_text("{}"),
        r"\S+ must hold a class and its options, got KeyError: 'class'",
    ),
    "other-class": (lambda f: edit(f, **{"class": "Gru"}), r"\S+ must name the class SequenceBlock, .*, got 'Gru'"),
    "other-options": (
        lambda f: edit(f, options=3),
        r"\S+ must hold a class and its options, got TypeError: .*",
    ),
    "other-stem": (
        lambda f: edit(f, **{"class": "Terminator", "options": {"stem": "conv"}}),
        r"\S+ must hold a class and its options, got TypeError: .*",
    ),
    "unknown-option": (
        lambda f: edit(f, options={"d_model": 4, "l_max": 9, "depth": 3}),
        r"\S+ must hold options of SequenceMixer, got an error: .*'depth'",
    ),
    "wrong-option": (
        lambda f: edit(f, options={"d_model": 4, "l_max": 0}),
        r"\S+ must hold options of SequenceMixer, got an error: l_max must .*, got 0",
    ),
    "other-width": (
        lambda f: edit(f, options={"d_model": 3, "l_max": 9}),
        r"\S+model\.safetensors must hold the tensors of config\.json, got others or none for input_weight \(9, 3\)",
    ),
    "other-size": (
        lambda f: edit(f, options={"d_model": 4, "l_max": 8}),
        r"size of slow_network must be \(9,\), with which the weights were trained, got \(8,\)",
    ),
    "cut-weights": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-8]),
        r"\S+model\.safetensors must be a file of safetensors, got an error: .*",
    ),
}


@pytest.mark.parametrize("case", SPOIL)
def test_a_folder_that_is_not_whole_is_refused_in_one_line(case, folder):
    spoil, message = SPOIL[case]
    spoil(folder)
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(folder, monkeypatch):
    monkeypatch.setattr("hyperseq.pretrained.find_spec", lambda _: None)
    for call in (lambda: from_pretrained(folder), lambda: save_pretrained(SequenceMixer(4, l_max=9), folder / "new")):
        with pytest.raises(ModuleNotFoundError, match=r'safetensors: pip install "hyperseq\[pretrained\]"$'):
            call()
