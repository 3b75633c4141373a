import copy

import numpy as np
import pytest
import torch

from tasks.errors import UserError
from tasks.runs.checkpoints import WholeCheckpoints, check_goes_on, read_checkpoint


def checkpoint(*, epochs=2, steps=20, batches=10, whole=True):
    """Return what Lightning writes about the progress of a training."""
    progress = {"epoch_progress": {"current": {"processed": epochs}}}
    progress["epoch_loop.batch_progress"] = {"current": {"ready": batches}, "is_last_batch": whole}
    content = {"state_dict": {}, "optimizer_states": [], "epoch": epochs - 1, "global_step": steps}
    return content | {"loops": {"fit_loop": progress}}


def test_what_is_no_checkpoint_is_refused_whatever_its_bytes(tmp_path):
    path = tmp_path / "text.ckpt"
    for content in (b"", b"state_dict: weights\n", b"\x80\x02", b"PK\x03\x04" + bytes(50), bytes(range(256))):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"ckpt_path must be a whole checkpoint, got {path}"):
            read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match=f"ckpt_path must be a checkpoint of a training, got {path}"):
        read_checkpoint(path)


def test_a_checkpoint_that_could_not_be_read_again_replaces_none(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"state_dict": {"weight": torch.ones(3)}}, path)
    with pytest.raises(UserError, match="must hold plain values and tensors, .* got numpy"):
        WholeCheckpoints().save_checkpoint({"state_dict": {}, "data": {"mean": np.zeros(3)}}, path)
    assert torch.equal(read_checkpoint(path)["state_dict"]["weight"], torch.ones(3))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_training_goes_on_from_the_end_of_an_epoch_alone():
    limits = {"max_epochs": 3, "max_steps": -1}
    check_goes_on(checkpoint(), **limits, concluded=True)
    check_goes_on(checkpoint(epochs=0, steps=0, batches=0, whole=False), **limits, concluded=True)
    rule = r"of the end of an epoch, got one after 3 batches of epoch 2 \(step 13\)"
    with pytest.raises(UserError, match=rule):
        check_goes_on(checkpoint(steps=13, batches=3, whole=False), **limits, concluded=True)
    weights = copy.deepcopy(checkpoint())
    del weights["optimizer_states"]
    with pytest.raises(UserError, match="got one of weights alone"):
        check_goes_on(weights, **limits, concluded=True)


def test_a_finished_run_goes_on_if_there_is_more_to_train_or_its_results_are_missing():
    cut = checkpoint(steps=13, batches=3, whole=False)
    with pytest.raises(UserError, match="trainer.max_epochs must be above 2 to go on: the run has finished, got 2"):
        check_goes_on(checkpoint(), max_epochs=2, max_steps=-1, concluded=True)
    with pytest.raises(UserError, match="trainer.max_steps must be above 13 to go on: the run has finished, got 13"):
        check_goes_on(cut, max_epochs=3, max_steps=13, concluded=True)
    check_goes_on(checkpoint(), max_epochs=2, max_steps=-1, concluded=False)
    check_goes_on(cut, max_epochs=3, max_steps=13, concluded=False)
