"""Options that make no sense are one line when the config is read: no folder, no data, no traceback."""

import pytest

from tests.tasks.command import DIGITS, hyperseq


def refusal(tmp_path, *words, config=DIGITS):
    """Return the one line that refuses a training; nothing is written."""
    answer = hyperseq("fit", "--config", config, "--run.root", tmp_path / "runs", *words)
    assert answer.code == 2 and answer.out == "" and answer.err.count("\n") == 1, answer.err
    assert not (tmp_path / "runs").exists()
    return answer.err.removeprefix("hyperseq: error: ").strip()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--model.lr=-1", "lr must be positive, got -1.0"),
        ("--model.lr=0", "lr must be positive, got 0.0"),
        ("--model.lr=.nan", "lr must be positive, got nan"),
        ("--model.slow_lr=-1", "slow_lr must be at least 0, got -1.0"),
        ("--model.weight_decay=-0.1", "weight_decay must be at least 0, got -0.1"),
        ("--model.slow_neural_loss_weight=-1", "slow_neural_loss_weight must be at least 0, got -1.0"),
        ("--model.label_smoothing=2", "label_smoothing must lie in [0, 1), got 2.0"),
        ("--model.warmup=1.5", "warmup must lie in [0, 1], got 1.5"),
        ("--model.ema_decay=1", "ema_decay must lie in [0, 1), got 1.0"),
        ("--run.num_threads=0", "run.num_threads must be at least 1, got 0"),
        ("--seed_everything=-1", "seed_everything must lie in [0, 4294967295], got -1"),
        ("--seed_everything=4294967296", "seed_everything must lie in [0, 4294967295], got 4294967296"),
        ("--data.split_seed=-1", "data.split_seed must lie in [0, 4294967295], got -1"),
        ("--trainer.barebones=true", "trainer.barebones must be false: it keeps no run, got True"),
        ("--trainer.enable_checkpointing=false", "trainer.enable_checkpointing must be true: a run keeps its weights"),
        ("--trainer.overfit_batches=1", "trainer.overfit_batches must be 0: it replaces the loaders of the data"),
        ("--trainer.limit_train_batches=0", "trainer.limit_train_batches must be above 0"),
        ("--trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches must be at least 1, got 0"),
        ("--trainer.gradient_clip_val=-1", "trainer.gradient_clip_val must be at least 0, got -1"),
        ("--trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch must be at least 1, got 0"),
        ("--trainer.min_epochs=21", "trainer.min_epochs must be at most trainer.max_epochs, 20, got 21"),
        ("--trainer.max_epochs=-5", "trainer must have options that Lightning takes: `max_epochs` must be"),
        ("--trainer.accelerator=abacus", "trainer must have options that Lightning takes: You selected an invalid"),
        ("--trainer.precision=transformer-engine", "trainer must have options that Lightning takes: Requirement"),
        ("--trainer.precision=16-true", "trainer.precision must not be 16-true to train: gradients underflow"),
        ("--model.slow_lr=", "model.slow_lr must have a value, got '' (null stands for none)"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path, words, told):
    assert refusal(tmp_path, "--trainer.accelerator=cpu", words).startswith(told)


def test_half_precision_that_a_cpu_lacks_is_refused_and_not_replaced(tmp_path):
    told = refusal(tmp_path, "--trainer.accelerator=cpu", "--trainer.precision=16-mixed")
    assert told == "trainer.precision must be bf16-mixed for mixed precision on a CPU, got 16-mixed"


def test_an_empty_shell_variable_starts_no_training_anew(tmp_path):
    wanted = "ckpt_path must have a value, got '' (null stands for none)"
    assert refusal(tmp_path, "--ckpt_path", "") == refusal(tmp_path, "--ckpt_path=") == wanted


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    told = f"run.root must be a folder, got the file {tmp_path / 'file'}"
    assert refusal(tmp_path, "--run.root", tmp_path / "file") == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# für\n".encode("latin-1"), "config must be a text in UTF-8, got {path}: invalid"),
        (b"run: 3\n", "run must be a mapping of options, got '3' in {path}"),
        (b"- run\n", "config must be a mapping of options, got {path}"),
        (b"run: [\n", "config must be valid YAML, got {path}: "),
        (b"model:\n  lr: 1\n  warmup: 0\n  lr: 2\n", "config must name each key once, got model.lr in lines 2 and 4"),
        (b"run: {}\nrun: {}\n", "config must name each key once, got run in lines 1 and 2 of {path}"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, text, told):
    path = tmp_path / "own.yaml"
    path.write_bytes(text)
    assert refusal(tmp_path, config=path).startswith(told.format(path=path))
