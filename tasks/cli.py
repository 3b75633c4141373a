"""The command `hyperseq`."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.errors import UserError
from tasks.extras import install_command
from tasks.short_help import PURPOSES, VERBS, describe_options

TRAINING = ("pytorch_lightning", "jsonargparse", "sklearn", "matplotlib", "rich", "filelock", "yaml")
NEEDED = {
    **dict.fromkeys((*PURPOSES, "predict", "export", "bench"), TRAINING),
    "publish": ("filelock", "yaml"),
    "results": ("rich", "filelock", "yaml"),
    "data": ("rich", "filelock", "numpy"),
    "list": ("yaml", "numpy"),
}
"""The packages that each verb imports beside those of the library."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `hyperseq` with these words, by default those the process was started with.

    Return 0 when it worked, 1 when it failed, 2 when it was called wrongly, 130 when it was interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(VERBS, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"hyperseq {version()}")
        return 0
    verb = words[0]
    if verb not in NEEDED:
        _say_error(f"VERB must be one of {', '.join(NEEDED)}, got {verb!r}")
        return 2
    if verb in PURPOSES and {"-h", "--help"} & set(words):
        print(describe_options(verb), end="")
        return 0
    act = {
        "predict": _predict,
        "export": _export,
        "results": _results,
        "publish": _publish,
        "bench": _bench,
        "data": _data,
        "list": _list,
    }.get(verb)
    try:
        _check_installed(verb, NEEDED[verb])
        if act:
            act(words[1:])
        else:
            _train(words)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough. Python's own flush at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _check_installed(verb: str, packages: Sequence[str]) -> None:
    if missing := [name for name in packages if find_spec(name) is None]:
        print(f"hyperseq: {verb} needs {', '.join(missing)}: {install_command('train')}", file=sys.stderr)
        raise SystemExit(2)


def version() -> str:
    """Return the version of the library, and the commit of a clone."""
    import hyperseq
    from tasks.runs.provenance import describe_checkout

    commit = describe_checkout()["commit"]
    return hyperseq.__version__ + (f" (commit {commit[:7]})" if commit else "")


def _train(words: list[str]) -> None:
    # Imported here: the other verbs, help and the note on what is missing answer at once, and without Lightning.
    from hyperseq.allocator import keep_freed_memory
    from tasks.shipped import find_configs, resolve_config_names
    from tasks.training.cli_parser import RefusedOptions
    from tasks.training.trainer_cli import TrainingCLI, find_reason
    from tasks.training.warning_filters import quiet

    if len(words) > 1 and words[1][:1] != "-" and (words[1].endswith((".yaml", ".yml")) or words[1] in find_configs()):
        _say_error(f"--config must stand before a config, got {words[1]!r}: hyperseq {words[0]} --config {words[1]}")
        raise SystemExit(2)
    try:
        words = ["--help" if word == "--help-all" else word for word in resolve_config_names(words)]
    except UserError as error:
        _say_error(error)
        raise SystemExit(2) from error
    keep_freed_memory()
    with quiet():
        try:
            TrainingCLI(words)
        except RefusedOptions as refused:
            _say_error(refused.reason)
            raise
        except Exception as error:
            if reason := find_reason(error):
                _say_error(reason)
            else:
                traceback.print_exc()
            raise SystemExit(1) from error


def _predict(words: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "hyperseq predict",
        description="Predict new files, without labels, by the best weights of a run. The data set is not read.",
        allow_abbrev=False,
    )
    parser.add_argument("--run", required=True, type=Path, metavar="RUN", help="a run folder, such as runs/digits/1")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV file to write; by default it is printed")
    parser.add_argument("--topk", type=int, default=1, metavar="K", help="classes to name for each sample (1)")
    parser.add_argument(
        "--reject-below", metavar="P", help="name no class below this probability; auto for that of the run, see docs"
    )
    parser.add_argument("--window", type=float, metavar="SECONDS", help="audio: a row for each window of this length")
    parser.add_argument("--hop", type=float, metavar="SECONDS", help="audio: step between windows (half a window)")
    parser.add_argument(
        "--native-rate", action="store_true", help="audio: give the network the rate of a file, in place of resampling"
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a file that the data module can read; audio: also a folder, or - for a WAV file from standard input",
    )
    options = parser.parse_args(words)

    from tasks.estimators.predict_files import choose_rejection, find_files, predict_files
    from tasks.estimators.run import load_run
    from tasks.runs.run_folder import write_text
    from tasks.training.prediction_table import format_columns

    unread: list[Path] = []

    def report(file: Path, error: Exception) -> None:
        unread.append(file)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        told = str(reason)
        _say_error(told if told.startswith(f"{file}: ") else f"{file}: {told}")

    try:
        _check_out(options.out, keep=options.files)
        run = load_run(options.run)
        files = list(find_files(run, options.files, report=report))
        _check_out(options.out, keep=files)
        chosen: dict[str, Any] = {
            "report": report,
            "topk": options.topk,
            "reject_below": choose_rejection(run, options.reject_below),
            "native_rate": options.native_rate,
        }
        timelines = None
        if options.window is None and options.hop is None:
            columns = predict_files(run, files, **chosen)
        else:
            from tasks.estimators.timelines import predict_timelines

            timelines = predict_timelines(run, files, window=options.window, hop=options.hop, **chosen)
            columns = timelines.windows
        if columns and options.out:
            write_text(options.out, format_columns(columns))
            if timelines:
                timelines.write_beside(options.out)
        elif columns:
            print(format_columns(columns), end="")
    except (UserError, OSError) as error:
        _say_error(error)
        raise SystemExit(1) from error
    raise SystemExit(1 if unread else 0)


def _list(words: list[str]) -> None:
    from tasks.shipped import list_shipped

    argparse.ArgumentParser("hyperseq list", description="Data sets, configs and networks.").parse_args(words)
    for heading, lines in list_shipped():
        width = max((len(name) for name, _ in lines), default=0)
        print(f"{heading}:")
        for name, purpose in lines:
            print(f"  {name:<{width}}  {purpose}")


def _export(words: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "hyperseq export",
        description="Write the best weights of a run as an ONNX file, and a card of its inputs and classes beside it.",
        allow_abbrev=False,
    )
    parser.add_argument("--run", required=True, type=Path, metavar="RUN", help="a run folder, such as runs/digits/1")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the file, such as model.onnx")
    parser.add_argument("--length", type=int, help="positions of every input sequence (those of the training)")
    options = parser.parse_args(words)

    from tasks.estimators.export import export_run
    from tasks.estimators.run import load_run

    try:
        _check_out(options.out)
        card = export_run(load_run(options.run), options.out, length=options.length)
    except (UserError, OSError, ModuleNotFoundError) as error:
        _say_error(error)
        raise SystemExit(1) from error
    compared = card["largest_difference"]
    told = "not compared: onnxruntime is not installed" if compared is None else f"differs by {compared:.1e} at most"
    print(f"{options.out}, {options.out}.json: {told}")


def _check_out(out: Path | None, *, keep: Sequence[Path] = ()) -> None:
    """Refuse a file to write that is a folder, or one of the files to keep."""
    if out is None:
        return
    if out.is_dir() or not out.name:
        raise UserError(f"--out must be a file to write, got the folder {out}")
    if blocked := [parent for parent in out.parents if parent.exists() and not parent.is_dir()]:
        raise UserError(f"--out must lie in a folder, got {out} below the file {blocked[0]}")
    if out.exists() and any(file.exists() and file.samefile(out) for file in keep):
        raise UserError(f"--out must not be one of the files to predict, which it would replace, got {out}")


def _say_error(reason: object) -> None:
    # One line, and where a list is indented below it, one for each item.
    lines = [" ".join(line.split()) for line in str(reason).split("\n  ")]
    print("hyperseq: error: " + "\n  ".join(line for line in lines if line), file=sys.stderr)


def _results(words: list[str]) -> None:
    from tasks.console import make_console
    from tasks.results.formats import FORMATS, format_results, print_results
    from tasks.results.runs_table import find_groups

    parser = argparse.ArgumentParser("hyperseq results", description="The table of what runs reached.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a run folder, or a folder of runs")
    parser.add_argument(
        "--all", action="store_true", help="every run and their mean, not only the newest finished run of each name"
    )
    parser.add_argument("--format", choices=FORMATS, help="text to paste, or to be read by a program")
    options = parser.parse_args(words)
    try:
        groups = find_groups(options.paths)
    except ValueError as error:
        _say_error(error)
        raise SystemExit(2) from error
    if options.format:
        print(format_results(groups, every_run=options.all, to=options.format), end="")
    else:
        print_results(make_console(), groups, every_run=options.all)


def _publish(words: list[str]) -> None:
    from tasks.results.publish import publish

    parser = argparse.ArgumentParser(
        "hyperseq publish",
        description="Keep the results of runs in results/, and their table in README.md; called in the root of a "
        "checkout. Without a run, write the table alone.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folder of a finished or failed run")
    runs = parser.parse_args(words).runs
    if runs:
        # The options of a run are compared with those that its config stands for, which the training reads.
        _check_installed("publish RUN", TRAINING)
    try:
        written = publish(runs, checkout=Path.cwd())
    except ValueError as error:
        _say_error(error)
        raise SystemExit(2) from error
    for path in written:
        print(path)


def _bench(words: list[str]) -> None:
    from tasks.bench.bench import choose_configs, choose_jobs, describe_job, run_jobs
    from tasks.bench.budgets import BUDGETS, describe_budget
    from tasks.bench.speed import LENGTHS, write_speed_configs, write_speed_tables
    from tasks.bench.tables import write_tables

    parser = argparse.ArgumentParser(
        "hyperseq bench",
        description="Train every task with every seed, and write the table beside published results. What is finished "
        "is kept; call it again to continue, and from several processes or machines on one folder to share the runs.",
        epilog="Options of fit stand behind --: hyperseq bench lra --tasks listops -- --trainer.accelerator cpu",
        allow_abbrev=False,
    )
    parser.add_argument("group", metavar="GROUP", help="images, lra, series, speech, or a folder of own configs")
    parser.add_argument("--tasks", required=True, metavar="TASK,...", help="names of configs, such as listops,image")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED", help="(0)")
    parser.add_argument("--budget", choices=BUDGETS, default="full", help="small: cut short, not the setting (full)")
    parser.add_argument(
        "--over", nargs="+", metavar="OPTION VALUE", help="one run for each value, averaged: data.test_fold 1 2 3 4 5"
    )
    parser.add_argument("--root", type=Path, default=Path("runs"), help="folder of all runs (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the tables (ROOT/GROUP-BUDGET)")
    parser.add_argument(
        "--speed", action="store_true", help="steps a second and memory on random tokens, beside the last task's"
    )
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=LENGTHS, metavar="LENGTH", help="of --speed (1024 2048 3072 4096)"
    )
    parser.add_argument("--retry-failed", action="store_true", help="run once more what failed")
    parser.add_argument("--wait", action="store_true", help="stay while other processes hold runs")
    parser.add_argument("--show", action="store_true", help="tell the state of every run, and train nothing")
    cut = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:cut])
    group, tasks = Path(options.group).resolve().name, options.tasks.split(",")
    folder, budget = options.group, options.budget
    try:
        if options.speed:
            # The same networks on other data: configs of their own, and otherwise runs like any.
            folder, group, budget = str(options.root / f"{group}-speed"), f"{group}-speed", "full"
            configs = choose_configs(options.group, tasks=tasks)
            tasks = write_speed_configs(configs, lengths=options.lengths, folder=Path(folder))
        jobs = choose_jobs(
            folder,
            tasks=tasks,
            seeds=options.seeds[:1] if options.speed else options.seeds,
            budget=budget,
            root=options.root,
            options=words[cut + 1 :],
            over=(options.over[0].removeprefix("--"), options.over[1:]) if options.over else None,
        )
        if options.show:
            for job in jobs:
                print(describe_job(job, job.state()))
            return
    except UserError as error:
        _say_error(error)
        raise SystemExit(2) from error
    if budget == "small":
        print(describe_budget("small", group=group, tasks=tasks))
    out = options.out or (Path(folder) if options.speed else options.root / f"{group}-{budget}")
    try:
        # Before hours of training, not after them.
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _say_error(f"--out must be a folder that can be made, got {out}: {error.strerror}")
        raise SystemExit(2) from error

    def write() -> list[Path]:
        return (
            write_speed_tables(jobs, out=out)
            if options.speed
            else write_tables(jobs, group=group, budget=budget, out=out, options=words[cut + 1 :])
        )

    try:
        whole = run_jobs(
            jobs,
            write=write,
            say=lambda line: print(line, flush=True),
            retry_failed=options.retry_failed,
            wait=options.wait,
        )
    except (UserError, OSError) as error:
        _say_error(error)
        raise SystemExit(1) from error
    raise SystemExit(0 if whole else 1)


def _data(words: list[str]) -> None:
    from tasks.console import make_console
    from tasks.data.data_set import find_data_sets
    from tasks.data.prepare import check, prepare

    data_sets = find_data_sets()
    parser = argparse.ArgumentParser("hyperseq data", description="The public data sets on disk.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, purpose in (("prepare", "fetch what is missing and verify all"), ("check", "verify what is there")):
        verb_parser = verbs.add_parser(verb, help=purpose, description=f"{purpose.capitalize()}.", allow_abbrev=False)
        verb_parser.add_argument("name", choices=data_sets, help="module of the data set within tasks, or an alias")
        verb_parser.add_argument(
            "--root", type=Path, default=Path("data"), help="folder of all data sets (%(default)s)"
        )
    verbs.choices["prepare"].add_argument("--replace", action="store_true", help="fetch what has a wrong checksum, too")
    options = parser.parse_args(words)
    console, data_set = make_console(), data_sets[options.name]
    try:
        if options.verb == "prepare":
            right = prepare(data_set, root=options.root, replace=options.replace, console=console)
        else:
            right = check(data_set, root=options.root, console=console)
    except (UserError, OSError) as error:
        print(f"hyperseq: error: {error}", file=sys.stderr)  # what failed and what to do are lines of their own
        raise SystemExit(1) from error
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    sys.exit(main())
