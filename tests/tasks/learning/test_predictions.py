import pytest
import torch

from tasks.learning.predictions import PredictionCollector, Predictions, predictions, write_predictions

BATCH = {"x": torch.zeros(3, 1, 2), "y": torch.tensor([1, 0, 2]), "index": torch.tensor([7, 3, 5])}
LOGITS = torch.tensor([[0.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 9.0]])


class Evaluating:
    class state:  # noqa: N801
        fn = "test"


def collected(*batches):
    collector = PredictionCollector()
    collector.on_test_start(Evaluating, None)
    for batch in batches:
        collector.on_test_batch_end(Evaluating, None, batch, None, 0)
    return collector.collected()


def test_predictions_are_read_off_the_scores():
    told = predictions(BATCH, LOGITS)
    assert told["predicted"].tolist() == [1, 1, 2] and told["true"].tolist() == [1, 0, 2]
    torch.testing.assert_close(told["probability"], LOGITS.softmax(dim=1).max(dim=1).values)
    torch.testing.assert_close(told["cross_entropy"], -LOGITS.log_softmax(dim=1)[range(3), BATCH["y"]])


def test_predictions_are_sorted_as_the_data_and_written_one_line_a_sample(tmp_path):
    table = collected(predictions(BATCH, LOGITS))
    write_predictions(tmp_path / "p.csv", table)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[:2] == ["index,true,predicted,probability", f"3,0,1,{table['probability'][0]:.6f}"]
    assert [line.split(",")[0] for line in lines[1:]] == ["3", "5", "7"]


def test_an_existing_file_is_never_overwritten(tmp_path):
    (tmp_path / "p.csv").write_text("mine")
    with pytest.raises(FileExistsError):
        write_predictions(tmp_path / "p.csv", collected(predictions(BATCH, LOGITS)))
    assert (tmp_path / "p.csv").read_text() == "mine"


def test_a_sample_that_is_counted_twice_is_an_error():
    batch: Predictions = predictions(BATCH, LOGITS)
    with pytest.raises(ValueError, match="index must name each sample once, got one twice"):
        collected(batch, batch)


def test_no_sample_is_an_error():
    with pytest.raises(ValueError, match="must hold at least one batch, got none"):
        collected()
