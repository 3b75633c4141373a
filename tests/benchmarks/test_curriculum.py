import pytest

from benchmarks import curriculum
from benchmarks.curriculum import CONFIGS, STAGES, main, words_of


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The calls of `hyperseq`, in place of trainings: each leaves the folder of its run."""
    made = []

    def train(words):
        options = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
        made.append(options)
        folder = tmp_path / options["run.name"]
        (folder / str(len(list(folder.glob("*"))) + 1)).mkdir(parents=True)
        return 0

    monkeypatch.setattr(curriculum, "hyperseq", train)
    return made


@pytest.mark.parametrize("task", STAGES)
def test_the_stages_share_the_seconds_and_end_with_the_data_of_the_benchmark(calls, tmp_path, task):
    assert main([task, "--seconds=72", "--seed=3", f"--run.root={tmp_path}", "--run.num_threads=1"]) == 0
    assert len(calls) == len(STAGES[task])
    assert sum(float(options["trainer.callbacks.seconds"]) for options in calls) == pytest.approx(72)
    assert {name for name in calls[-1] if name.startswith("data.")} <= {"data.augment"}
    for options in calls:
        assert (options["seed_everything"], options["run.num_threads"]) == ("3", "1")


def test_each_stage_starts_from_the_newest_weights_of_the_one_before(calls, tmp_path):
    for number in (1, 2):
        main(["listops", "--seconds=36", f"--run.root={tmp_path}"])
        first, *later = calls[-4:]
        assert "run.start_from" not in first
        for before, options in zip(calls[-4:], later, strict=False):
            wanted = tmp_path / before["run.name"] / str(number) / "checkpoints/best.ckpt"
            assert options["run.start_from"] == str(wanted)


def test_a_stage_that_fails_is_the_last(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(curriculum, "hyperseq", lambda words: calls.append(words) or 2)
    assert main(["listops", "--seconds=36", f"--run.root={tmp_path}"]) == 2
    assert len(calls) == 1


@pytest.mark.parametrize(
    "words, told",
    [
        (["--seconds=-1"], "seconds must be above 0, got -1.0"),
        (["--seconds=9", "--config=lra/pathfinder"], "config must be one of lra/listops, lra/listops_attention, "),
        (["--seconds=9", "--run.name=mine"], "run.name must be left out: each stage has its own"),
    ],
)
def test_words_that_do_not_fit_are_refused(calls, capsys, words, told):
    with pytest.raises(SystemExit):
        main(["listops", *words])
    assert told in capsys.readouterr().err and not calls


def test_a_rate_stands_for_that_of_every_stage(calls, tmp_path):
    main(["listops", "--seconds=36", "--lr=0", f"--run.root={tmp_path}"])
    assert {options["model.lr"] for options in calls} == {"0.0"}


@pytest.mark.parametrize("task", STAGES)
def test_the_command_line_takes_the_words_of_every_stage(task, capsys):
    from tasks.cli import main as hyperseq

    for stage in STAGES[task]:
        words = words_of(CONFIGS[task], stage, "stage", seconds=10.0, seed=0, lr=None)
        assert hyperseq([*words, "--print_config"]) == 0
    assert capsys.readouterr().err == ""
