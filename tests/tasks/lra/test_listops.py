import pytest
import torch

from hyperseq import Terminator
from hyperseq.nn import TokenEmbedding
from tasks.data.batches import BatchOrder, batch_loader, padding_share
from tasks.data.data_module import check_data_module
from tasks.lra.generated_listops import SYMBOLS, take_expressions
from tasks.lra.listops import ListOps, find_broken
from tests.tasks.command import hyperseq
from tests.tasks.lra.archives import LISTOPS_ROWS, write_listops


def released(root):
    data = ListOps(source="released", root=root, batch_size=2)
    data.setup()
    return data


@pytest.fixture(scope="module")
def generated():
    data = ListOps(num_train=3000)
    data.setup()
    return data


def test_generated_data_fit_the_command(generated):
    check_data_module(generated)
    assert generated.split_sizes == {"train": 3000, "val": 2000, "test": 2000}
    assert (generated.source, generated.num_tokens, generated.size) == ("generated", 18, (2048,))


def test_another_number_of_training_samples_leaves_the_test_split_as_it_is(generated):
    fewer = ListOps(num_train=5)
    fewer.load_state_dict(generated.state_dict())
    fewer.setup()
    for split in ("val", "test"):
        assert all(a.equal(b) for a, b in zip(fewer.splits[split].x, generated.splits[split].x, strict=True))


def test_batches_of_1_7_and_64_give_the_same_predictions(generated):
    torch.manual_seed(0)
    model = Terminator(
        1, 1, size=2048, channels=[4, 6, 8], stem=TokenEmbedding(18, 4), local_kernel_sizes=[3], slow_hidden_channels=4
    )
    data = generated.splits["val"]
    sample = type(data)(x=data.x[:64], y=data.y[:64], index=data.index[:64], transform=data.transform)

    def evaluate(batch_size):
        found = torch.zeros(64, 8)
        for batch in batch_loader(sample, batch_size=batch_size, bucket_by_length=True):
            features = model(batch["x"], lengths=batch["lengths"])
            found[batch["index"] - data.index[0]] = features.sum(2) / batch["lengths"][:, None]
        return found

    with torch.no_grad():
        evaluate(64)  # running statistics of something
        model.eval()
        alone = evaluate(1)
        for batch_size in (7, 64):
            torch.testing.assert_close(evaluate(batch_size), alone, rtol=0, atol=1e-4)
            assert evaluate(batch_size).argmax(1).equal(alone.argmax(1))


def test_padding_of_bucketed_batches_is_below_a_tenth(generated):
    lengths = generated.splits["train"].lengths
    order = BatchOrder(len(lengths), batch_size=32, seed=0, lengths=lengths)
    assert padding_share(order, lengths) < 0.1


@pytest.mark.parametrize(
    "folder", ["lra_release/lra_release/listops-1000", "lra_release/listops-1000", "listops-1000", "listops"]
)
def test_every_layout_on_disk_is_found(tmp_path, folder):
    write_listops(tmp_path, folder=folder)
    assert released(tmp_path).split_sizes == {"train": 24, "val": 24, "test": 24}


def test_the_inner_folder_of_the_release_wins(tmp_path):
    write_listops(tmp_path)
    write_listops(tmp_path, folder="lra_release/listops-1000")
    (tmp_path / "lra_release/listops-1000/basic_train.tsv").write_text("broken")
    assert released(tmp_path).split_sizes["train"] == 24


def test_ids_of_released_rows_are_those_of_s4(tmp_path):
    write_listops(tmp_path)
    data = released(tmp_path)
    # Of every three rows, ] stands there four times, 2 and 8 twice; equal ones are ordered by code point.
    assert data.learnt["symbols"][:3] == ["]", "2", "8"]
    assert sorted(data.learnt["symbols"]) == sorted(SYMBOLS)
    symbols = ["<pad>", "<unk>", "<eos>", *data.learnt["symbols"]]
    first = [symbols[number] for number in data.splits["train"].x[0].tolist()]
    assert first == ["[MAX", "2", "[MIN", "4", "7", "]", "]", "<eos>"]
    assert data.splits["train"].y[:3].tolist() == [4, 2, 7]


def test_a_batch_is_padded_at_the_end_and_knows_its_lengths(tmp_path):
    write_listops(tmp_path)
    data = ListOps(source="released", root=tmp_path, batch_size=3, bucket_by_length=False)
    data.setup()
    batch = next(iter(data.test_dataloader()))
    assert batch["lengths"].tolist() == [8, 6, 5] and batch["x"].shape == (3, 8)
    assert batch["x"][1, 6:].tolist() == [0, 0] and batch["x"][2, 4].item() == 2


def broken(tmp_path, text, name="basic_val.tsv"):
    write_listops(tmp_path)
    path = tmp_path / "lra_release/lra_release/listops-1000" / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE html><html>", " is an HTML page, not the table; fetch it again"),
        ("Source\tTarget\n( [MAX 1\n", ", line 2 must have 2 cells, got 1; a file that was cut short must be fetched"),
        ("", " must hold samples, got none in 0 bytes; fetch it again"),
        ("Source\tTarget\n", " must hold samples, got none in 14 bytes; fetch it again"),
        ("Source\tTarget\n( )\t3\n", ", line 2 must begin with an expression, got '( )'"),
        ("a\tb\n", " must begin with the line Source, Target, got 'a', 'b'"),
        ("Source\tTarget\n[MAX 1 ]\t12\n", ", line 2 must end in a digit, got '12'"),
        (
            "Source\tTarget\n[AVG 1 ]\t1\n",
            f", line 2 must hold the symbols {' '.join(SYMBOLS)}, got '[AVG'",
        ),
        (
            "Source\tTarget\n[MAX 1 ]\t1\n[MAX 1 [MIN 2 ]\t1\n",
            ", line 3 must begin with one expression: an operator, its arguments and its closing bracket, got "
            "'[MAX 1 [MIN 2 ]'",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, message):
    path = broken(tmp_path, text)
    with pytest.raises(ValueError) as error:
        released(tmp_path)
    assert f"{path}{message}" in str(error.value)


def test_a_missing_split_is_named(tmp_path):
    write_listops(tmp_path)
    path = tmp_path / "lra_release/lra_release/listops-1000/basic_val.tsv"
    path.unlink()
    with pytest.raises(ValueError) as error:
        released(tmp_path)
    told = "the released folder holds basic_train.tsv, basic_val.tsv, basic_test.tsv"
    remedy = f"prepare it with: hyperseq data prepare lra.listops --root {tmp_path} --replace"
    assert str(error.value) == f"{path} is missing; {told}; {remedy}"


def test_a_folder_without_the_test_split_is_named_by_fit_and_by_check(tmp_path):
    write_listops(tmp_path)
    folder = (tmp_path / "lra_release/lra_release/listops-1000").rename(tmp_path / "listops")
    (folder / "basic_test.tsv").unlink()
    with pytest.raises(ValueError, match=f"basic_test.tsv must be in one of .*, got {folder} without it; prepare it"):
        released(tmp_path)
    answer = hyperseq("data", "check", "lra.listops", "--root", tmp_path)
    assert f"{folder} is not read: it has no basic_test.tsv" in answer.out.replace("\n", "")


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="source must be one of generated, released, got 'public'"):
        ListOps(source="public")
    with pytest.raises(ValueError, match="num_train must be at least 1, got 0"):
        ListOps(num_train=0)
    with pytest.raises(ValueError, match=r"^longest must lie in \[100, 1999\], got 99$"):
        ListOps(shortest=10, longest=99)
    with pytest.raises(ValueError, match=r"^shortest must lie in \[1, longest / 2\], got 101 for 200$"):
        ListOps(shortest=101, longest=200)
    told = "^shortest and longest must be 501 and 1999 for released expressions, got 100 and 400$"
    with pytest.raises(ValueError, match=told):
        ListOps(source="released", shortest=100, longest=400)


def test_shorter_expressions_can_be_generated_for_trials():
    data = ListOps(num_train=40, shortest=100, longest=200)
    data.setup()
    check_data_module(data)
    # One symbol is the end.
    lengths = torch.cat([data.splits[split].lengths for split in ("train", "val", "test")]) - 1
    assert 100 <= lengths.min() < 105 and 195 < lengths.max() <= 200 and data.size == (201,)


def test_new_expressions_have_the_ids_of_the_released_ones(tmp_path):
    write_listops(tmp_path)
    data, path = released(tmp_path), tmp_path / "new.txt"
    path.write_text("".join(f"{expression}\n" for expression, _ in LISTOPS_ROWS))
    found = data.read_samples(path)
    assert list(found) == [f"{path}:{number}" for number in (1, 2, 3)]
    for x, its in zip(found.values(), data.splits["test"].x, strict=False):
        assert x.tolist() == its.tolist()
    path.write_text("[MAX 1 2 ]\n[MAX 1 2]")
    with pytest.raises(ValueError, match=r"line 2 must hold the symbols .*, got '2\]'"):
        data.read_samples(path)


@pytest.mark.parametrize(
    "line", ["", " ", "[MAX 1 2", "[MAX 1 ] 2", "1 2", "]", "[MAX [MIN ] 2 ]", "[MAX 1 ] ]", "[MAX 1 ] [MIN 2 ]"]
)
def test_new_expressions_are_whole(tmp_path, line):
    write_listops(tmp_path)
    data, path = released(tmp_path), tmp_path / "new.txt"
    path.write_text(f"\ufeff3\n[MAX 1 2 ]\n{line}\n3\n", encoding="utf-8")
    with pytest.raises(ValueError) as error:
        data.read_samples(path)
    assert str(error.value).startswith("line 3 must be one expression: an operator, its arguments and its closing")
    assert str(error.value).endswith(f", got '{line}'")


def test_generated_expressions_are_whole():
    symbols, lengths, _ = take_expressions(300, seed=0)
    assert len(find_broken(symbols, lengths)) == 0
    symbols[lengths[:7].sum() - 1] = 5
    assert find_broken(symbols, lengths).tolist() == [6]
