"""The command `hyperseq`."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("pytorch_lightning", "jsonargparse", "torchmetrics", "sklearn", "matplotlib", "rich", "yaml")

HELP = """usage: hyperseq VERB [options]

  fit        train, then test the best weights; leaves runs/<name>/<number>/
  validate   score the weights of a run on the validation part
  test       score the weights of a run on the test part
  predict    write the predictions of a run into a new file
  results    the table of what runs reached

  hyperseq fit --config configs/images/digits.yaml
  hyperseq test --config runs/digits/1/config.yaml
  hyperseq results runs

hyperseq VERB --help lists the options of a verb; any key of a config is one, such as --model.lr 1e-3.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `hyperseq`.

    Args:
        argv: Words of the command line, or `None` for those the process was started with.

    Returns:
        0 when it worked, 1 when it failed, 2 when it was called wrongly, 130 when it was interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(HELP, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        print(f'hyperseq: needs {", ".join(missing)}: pip install "hyperseq[train]"', file=sys.stderr)
        return 2
    try:
        if words[0] == "results":
            _results(words[1:])
        else:
            _train(words)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except KeyboardInterrupt:
        return 130
    return 0


def _train(words: list[str]) -> None:
    # Imported here: `results`, help and the note on what is missing answer at once, and without Lightning.
    from hyperseq.allocator import keep_freed_memory
    from tasks.common.quiet import quiet
    from tasks.common.training_cli import FAILURES, TrainingCLI

    keep_freed_memory()
    with quiet():
        try:
            TrainingCLI(words)
        except FAILURES as error:
            print(f"hyperseq: error: {' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(1) from error


def _results(words: list[str]) -> None:
    from tasks.common.console import make_console
    from tasks.common.results import find_groups, print_results

    parser = argparse.ArgumentParser("hyperseq results", description="The table of what runs reached.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a run folder, or a folder of runs")
    parser.add_argument("--all", action="store_true", help="every run and their mean, not only the newest of a group")
    options = parser.parse_args(words)
    try:
        groups = find_groups(options.paths)
    except ValueError as error:
        print(f"hyperseq: error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    print_results(make_console(), groups, every_run=options.all)


if __name__ == "__main__":
    sys.exit(main())
