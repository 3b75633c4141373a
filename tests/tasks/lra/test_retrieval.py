import csv

import pytest
import torch

from tasks.data.data_module import check_data_module
from tasks.learning.heads import TwoTowerHead
from tasks.lra.retrieval import Retrieval
from tests.tasks.command import ROOT, hyperseq
from tests.tasks.lra.archives import review, write_aan


def read(root, **options):
    data = Retrieval(root=root, batch_size=4, bucket_by_length=False, **options)
    data.setup()
    check_data_module(data)
    return data


def test_a_batch_holds_all_first_documents_and_then_all_second_ones(tmp_path):
    write_aan(tmp_path)
    data = read(tmp_path, tokens="bytes", max_length=64)
    batch = next(iter(data.test_dataloader()))
    assert batch["x"].shape == (8, int(batch["lengths"].max())) and batch["y"].tolist() == [0, 1, 0, 1]
    texts = [bytes(row[: int(n)].sub(1).tolist()) for row, n in zip(batch["x"], batch["lengths"], strict=True)]
    assert texts[1] == f'an "open quote {review(1)}'.encode()[:64] and texts[5] == review(2).encode()[:64]


def test_a_quote_swallows_neither_cells_nor_lines(tmp_path):
    write_aan(tmp_path)
    assert read(tmp_path).split_sizes == {"train": 12, "val": 12, "test": 12}


def test_characters_of_both_columns_have_ids_and_the_end_survives_the_cut(tmp_path):
    write_aan(tmp_path)
    data = read(tmp_path, max_length=16)
    assert data.num_tokens == 3 + len(data.learnt["characters"])
    assert '"' in data.learnt["characters"] and "\u00e9" not in data.learnt["characters"]
    assert data.splits["train"].x[0][:, 15].tolist() == [2, 2]


def test_crlf_leaves_no_trace(tmp_path):
    write_aan(tmp_path)
    path = tmp_path / "lra_release/lra_release/tsv_data/new_aan_pairs.train.tsv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert "\r" not in read(tmp_path).learnt["characters"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2.0\ta\tb\tc\td\n", "line 1 must begin with the label 0 or 1, got '2.0'"),
        ("1.0\ta\tb\tc\n", "line 1 must have 5 cells, got 4"),
        ("", "must hold samples, got none in 0 bytes; fetch it again"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    write_aan(tmp_path)
    (tmp_path / "lra_release/lra_release/tsv_data/new_aan_pairs.train.tsv").write_text(line)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_the_head_sees_both_means_their_difference_and_their_product():
    head = TwoTowerHead(3, 2).double()
    features = torch.randn(4, 3, 5, dtype=torch.float64)
    lengths = torch.tensor([5, 2, 3, 1])
    expected = []
    for first, second in ((0, 2), (1, 3)):
        u, v = (features[row, :, : lengths[row]].mean(dim=1) for row in (first, second))
        hidden = torch.nn.functional.gelu(head.hidden(torch.cat([u, v, u - v, u * v])))
        expected.append(head.linear(hidden))
    torch.testing.assert_close(head(features, lengths=lengths), torch.stack(expected))


def test_the_head_refuses_an_odd_number_of_sequences():
    with pytest.raises(ValueError, match="features must hold pairs with TwoTowerHead, got 3 sequences"):
        TwoTowerHead(3, 2)(torch.randn(3, 3, 5))


def test_new_pairs_from_a_file_get_the_predictions_of_the_run(tmp_path):
    write_aan(tmp_path)
    config, run = ROOT / "configs/lra/retrieval.yaml", tmp_path / "runs/retrieval/1"
    words = (f"--data.root={tmp_path}", "--data.batch_size=5", "--trainer.max_epochs=1")
    small = ("--model.backbone.channels=[4,4]", "--model.backbone.stem.channels=4", "--data.max_length=64")
    told = hyperseq("fit", "--config", config, "--run.root", tmp_path / "runs", *words, *small)
    assert (told.code, told.err) == (0, "")
    released = tmp_path / "lra_release/lra_release/tsv_data/new_aan_pairs.test.tsv"
    pairs = ["\t".join(line.split("\t")[3:]) for line in released.read_text().splitlines()]
    (tmp_path / "new.tsv").write_text("\n".join(pairs))
    found = hyperseq("predict", "--run", run, tmp_path / "new.tsv")
    assert (found.code, found.err) == (0, "")
    told = (run / "predictions.csv").read_text()
    rows, truth = (list(csv.DictReader(text.splitlines())) for text in (found.out, told))
    assert [row["name"] for row in rows] == [f"{tmp_path / 'new.tsv'}:{number}" for number in range(1, 13)]
    assert [row["predicted"] for row in rows] == [row["predicted"] for row in truth]
    for mine, its in zip(rows, truth, strict=True):
        assert float(mine["probability"]) == pytest.approx(float(its["probability"]), abs=1e-5)
    (tmp_path / "alone.tsv").write_text("one document\n")
    alone = hyperseq("predict", "--run", run, tmp_path / "alone.tsv")
    assert alone.code == 1 and "alone.tsv, line 1 must have 2 cells, got 1" in alone.err
