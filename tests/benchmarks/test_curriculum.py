import pytest

from benchmarks import curriculum
from benchmarks.curriculum import CONFIGS, STAGES, main, words_of


@pytest.fixture
def calls(monkeypatch, tmp_path, request):
    """The calls of `hyperseq`, in place of trainings: each leaves the folder of its run; one may be interrupted."""
    made = []

    def train(words):
        options = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
        made.append(options)
        folder = tmp_path / options["run.name"]
        run = folder / str(len(list(folder.glob("*"))) + 1)
        run.mkdir(parents=True)
        if stops_at in options["run.name"]:
            return 130
        (run / "results.json").write_text("{}")
        return 0

    stops_at = getattr(request, "param", "nowhere")

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
        assert options["run.root"] == str(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_each_stage_starts_from_the_newest_weights_of_the_one_before(calls, tmp_path):
    for number in (1, 2):
        main(["listops", "--seconds=36", f"--run.root={tmp_path}"])
        first, *later = calls[-4:]
        assert "run.start_from" not in first
        for before, options in zip(calls[-4:], later, strict=False):
            wanted = tmp_path / before["run.name"] / str(number) / "checkpoints/best.ckpt"
            assert options["run.start_from"] == str(wanted)


def test_the_stages_of_pathfinder_never_become_easier():
    lengths, distractors, turned = (
        [stage.data.get(name, value) for stage in STAGES["pathfinder"]]
        for name, value in (("target_length", 14), ("num_distractors", 5), ("augment", False))
    )
    assert lengths == sorted(set(lengths)) and distractors == sorted(distractors) and turned == sorted(turned)


def test_the_expressions_of_listops_grow_up_to_those_of_the_benchmark():
    longest = [stage.data.get("longest", 2000) for stage in STAGES["listops"]]
    assert longest == sorted(set(longest))


@pytest.mark.parametrize("calls", ["stage2"], indirect=True)
def test_a_stage_that_is_interrupted_is_the_last_and_is_begun_anew_on_demand(calls, tmp_path, monkeypatch, capsys):
    words = ["listops", "--seconds=36", f"--run.root={tmp_path}"]
    assert main(words) == 130
    assert len(calls) == 2
    assert capsys.readouterr().out.endswith("To go on: the same command with --first-stage 2\n")
    assert main([*words, "--first-stage=2"]) == 130
    assert calls[2] == calls[1]
    with pytest.raises(SystemExit):
        main([*words, "--first-stage=3"])
    told = "first-stage must be 1 or follow a finished stage, got 3 and no newest run in "
    assert told in capsys.readouterr().err and len(calls) == 3
    # An older run that has finished is of another curriculum.
    (tmp_path / calls[1]["run.name"] / "1/results.json").write_text("{}")
    with pytest.raises(SystemExit):
        main([*words, "--first-stage=3"])
    assert told in capsys.readouterr().err and len(calls) == 3


def test_a_stage_that_fails_is_the_last_and_promises_nothing(calls, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(curriculum, "hyperseq", lambda words: calls.append(words) or 2)
    assert main(["listops", "--seconds=36", f"--run.root={tmp_path}"]) == 2
    assert len(calls) == 1 and "To go on" not in capsys.readouterr().out


def test_two_at_once_are_refused_where_they_would_share_weights(calls, tmp_path, monkeypatch, capsys):
    words = ["listops", "--seconds=36", f"--run.root={tmp_path}"]

    def another(options):
        with pytest.raises(SystemExit):
            main(words)
        assert main([*words, "--seed=1"]) == 0
        return 2

    train = curriculum.hyperseq
    monkeypatch.setattr(curriculum, "hyperseq", lambda options: train(options) if calls else another(calls.append({})))
    assert main(words) == 2
    told = "run.root must be without another curriculum listops_mixer-curriculum-s0, got one that trains in "
    assert told in capsys.readouterr().err


def test_an_error_of_a_training_is_not_one_of_the_root(tmp_path, monkeypatch):
    def fail(words):
        raise OSError("a fault of a library")

    monkeypatch.setattr(curriculum, "hyperseq", fail)
    with pytest.raises(OSError, match="a fault of a library"):
        main(["listops", "--seconds=36", f"--run.root={tmp_path}"])
    assert not list(tmp_path.iterdir())


def test_a_root_that_cannot_be_written_is_refused(calls, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        main(["listops", "--seconds=36", f"--run.root={tmp_path}/file/below"])
    assert "run.root must be a folder that can be written, got " in capsys.readouterr().err and not calls


@pytest.mark.parametrize(
    "words, told",
    [
        (["--seconds=-1"], "seconds must be above 0, got -1.0"),
        (["--seconds=9", "--config=lra/pathfinder"], "config must be one of lra/listops, lra/listops_attention, "),
        (["--seconds=9", "--first-stage=5"], "first-stage must lie in [1, 4], got 5"),
        (["--seconds=9", "--first-stage=2"], "first-stage must be 1 or follow a finished stage, got 2 and no newest"),
        (["--seconds=9", "--run.name=mine"], "run.name must be left out: the stages, or --seed, --lr and --seconds, "),
        (["--seconds=9", "--run.start_from", "x"], "run.start_from must be left out: "),
        (["--seconds=9", "--print_config"], "print_config must be left out: "),
        (["--seconds=9", "--seed_everything=1"], "seed_everything must be left out: "),
        (["--seconds=9", "--model.lr", "1"], "model.lr must be left out: "),
        (["--seconds=9", "--trainer.max_epochs=1"], "trainer.max_epochs must be left out: "),
        (["--seconds=9", "--trainer.callbacks.seconds=1"], "trainer.callbacks.seconds must be left out: "),
        (["--seconds=9", "--data.batch_size=1"], "data.batch_size must be left out: "),
        (["--seconds=9", "--data.init_args.shortest", "3"], "data.init_args.shortest must be left out: "),
        (["--seconds=9", "--data.init_args", "{shortest: 3}"], "data.init_args must be left out: "),
        (["--seconds=9", "--data.dict_kwargs.shortest=3"], "data.dict_kwargs.shortest must be left out: "),
        (
            ["--seconds=9", "--trainer.callbacks.init_args.seconds=1"],
            "trainer.callbacks.init_args.seconds must be left",
        ),
        (["--seconds=9", "-c", "other.yaml"], "-c must be left out: "),
        (["--seconds=9", "--ckpt_path=x"], "ckpt_path must be left out: "),
        (["--seconds=9", "--data=data.yaml"], "data must be left out: "),
    ],
)
def test_words_that_do_not_fit_are_refused(calls, tmp_path, capsys, words, told):
    with pytest.raises(SystemExit):
        main(["listops", f"--run.root={tmp_path}", *words])
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
