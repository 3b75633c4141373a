"""`fit`, `validate` and `test`: LightningCLI, with one folder a run and no surprises."""

import signal
import sys
import traceback
from contextlib import suppress
from os import environ
from pathlib import Path
from shutil import which
from typing import Any

import torch
import yaml
from filelock import FileLock
from jsonargparse import ArgumentParser, Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_fabric.utilities.rank_zero import _get_rank
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.trainer.states import TrainerStatus
from pytorch_lightning.utilities.seed import isolate_rng

from tasks.console import make_console
from tasks.data.batches import BatchOrder
from tasks.data.data_module import SPLITS, check_data_module
from tasks.errors import UserError
from tasks.learning.classifier import Classifier, NonFiniteLossError
from tasks.learning.score import Score
from tasks.runs.checkpoints import (
    WholeCheckpoints,
    check_goes_on,
    checkpoint_callbacks,
    find_checkpoint,
    load_weights,
    read_checkpoint,
)
from tasks.runs.options import START_FROM, flatten
from tasks.runs.provenance import describe_checkout
from tasks.runs.run_folder import RunFolder, write_text
from tasks.training.callbacks.data_description import DescribeData
from tasks.training.callbacks.epoch_log import EpochLog
from tasks.training.callbacks.epoch_seeding import EpochSeeding
from tasks.training.callbacks.learning_rates import LearningRates
from tasks.training.callbacks.memory import CheckMemory
from tasks.training.callbacks.plan import Plan
from tasks.training.callbacks.progress import TrainingProgress
from tasks.training.callbacks.split_list import SplitList
from tasks.training.callbacks.training_clock import TrainingClock
from tasks.training.cli_parser import OneLineParser, collect_typed_keys, prefer_integers
from tasks.training.option_checks import build_bare_trainer, check_config_file, check_parsed_options, check_words
from tasks.training.own_modules import add_import_folders, choose_import_folders, find_config_files, import_own_modules
from tasks.training.report import Report, print_scores

# These values come from the data or from seed_everything. A config must not set them.
LINKS = {
    "seed_everything": "data.init_args.seed",
    "data.num_classes": "model.num_classes",
    "data.num_spatial_dims": "model.backbone.init_args.num_spatial_dims",
    "data.in_channels": "model.backbone.init_args.in_channels",
    "data.size": "model.backbone.init_args.size",
}
# A network of ids takes their number itself or in its stem; a front end of audio takes the rate.
OPTIONAL_LINKS = {
    "model.backbone.init_args.num_tokens": "data.num_tokens",
    "model.backbone.init_args.stem.init_args.num_tokens": "data.num_tokens",
    "model.backbone.init_args.stem.init_args.sample_rate": "data.sample_rate",
}

TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "devices": 1,
    "logger": False,
    "log_every_n_steps": 1,
    "num_sanity_val_steps": 1,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
}

FAILURES = (UserError, NonFiniteLossError, MisconfigurationException)
"""What a user can cause and one line can tell; anything else keeps its traceback."""

OURS, PASSED_THROUGH = {"hyperseq", "tasks"}, {"jsonargparse", "pytorch_lightning", "lightning_fabric", "torch"}
CHECKING = OURS | {"pytorch_lightning", "lightning_fabric"}
BY_VERB = {"fit": SPLITS, "validate": ("val",), "test": ("test",)}


class TrainingCLI(LightningCLI):
    """Train and evaluate what a config names; `args` are the words of the command line, the verb first."""

    def __init__(self, args: list[str]) -> None:
        self.console = make_console()
        # Of processes that train together, the first one has the run folder, writes and prints.
        self.is_first = (_get_rank() or 0) == 0
        self.console.quiet = not self.is_first
        self.run_folder: RunFolder | None = None
        self.lock: FileLock | None = None
        self.begun = False
        self.checkpoint: Path | None = None
        self.start_from: Path | None = None
        self.start = ""
        self.clock = TrainingClock()
        self.import_folders = add_import_folders(args)
        verbs = {verb: {"allow_abbrev": False} for verb in self.subcommands()}
        try:
            super().__init__(
                Classifier,
                LightningDataModule,
                subclass_mode_data=True,
                trainer_defaults=TRAINER_DEFAULTS,
                parser_class=OneLineParser,
                parser_kwargs={"prog": "hyperseq", "allow_abbrev": False, **verbs},
                save_config_callback=None,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                args=args,
            )
        finally:
            if self.run_folder and self.lock:
                self.run_folder.release(self.lock)
            # A run that did not come to its first step leaves no folder; one with files in it stays.
            if self.run_folder and self.lock and self.checkpoint is None and not self.begun:
                self.run_folder.discard(self.config[self.subcommand].run.root)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Name the verbs; `hyperseq predict` has a parser of its own."""
        return {verb: LightningCLI.subcommands()[verb] for verb in BY_VERB}

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the seed."""
        parser.add_argument("--seed_everything", type=int, default=0, help="Seed of everything but the split.")

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the place of the run folder, and what the model learns from the data."""
        prefer_integers(parser)
        parser.add_argument("--run.root", type=Path, default=Path("runs"), help="Folder of all runs.")
        parser.add_argument("--run.name", type=str, default="run", help="Name of the run: <root>/<name>/<number>.")
        parser.add_argument(
            "--run.num_threads", type=int | None, default=None, help="CPU threads; null for torch's choice."
        )
        parser.add_argument(
            "--run.compile", type=bool, default=False, help="Train by torch.compile: faster after a minute or two."
        )
        parser.add_argument(
            f"--{START_FROM}", type=Path | None, default=None, help="Start from the weights of this checkpoint."
        )
        parser.add_argument(
            "--run.import_from", type=list[str], default=[], help="Written by fit: folders of the user's own modules."
        )
        for source, target in LINKS.items():
            when = "instantiate" if source.startswith("data.") else "parse"
            parser.link_arguments(source, target, apply_on=when)
        for target, source in OPTIONAL_LINKS.items():
            parser.link_arguments(source, target, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the given words alone; Lightning's own warns when `sys.argv` holds words, too."""
        try:
            check_words(args)
            for path in find_config_files(args):
                check_config_file(path)
        except UserError as error:
            parser.error(str(error))
        import_own_modules(args, self.import_folders)
        self.config = parser.parse_args(args)
        options = self.config[self.config.subcommand]
        files = [Path(file.relative) for file in options.config or []]
        self._refuse_what_would_be_ignored(options, collect_typed_keys(args, files))
        try:
            check_parsed_options(options, training=self.config.subcommand == "fit")
            bare_trainer = build_bare_trainer(options.trainer)
        except UserError as error:
            parser.error(str(error))
        if options.run.num_threads is not None:
            torch.set_num_threads(options.run.num_threads)
        # Taken out of the config: Lightning would let settings stored in the checkpoint replace those given here.
        wanted = options.pop("ckpt_path", None)
        if self.config.subcommand != "fit" or wanted:
            try:
                self.checkpoint = find_checkpoint(wanted or "best", RunFolder(files[-1].parent if files else Path()))
                content = read_checkpoint(self.checkpoint)
                if self.config.subcommand == "fit":
                    run = self._resume_in_place(args, start_from=options.run.start_from)
                    epochs, steps = bare_trainer.max_epochs, bare_trainer.max_steps
                    check_goes_on(content, max_epochs=epochs, max_steps=steps, concluded=run.results.is_file())
            except UserError as error:
                parser.error(str(error))
        elif (start := options.run.start_from) is not None:
            if not start.is_file():
                parser.error(f"{START_FROM} must be the file of a checkpoint, got {start}")
            self.start_from = start

    def instantiate_classes(self) -> None:
        """Build the data and check them; then build the model, which learns from the data, and the trainer."""
        config = self.config.clone()
        options = config[self.subcommand]
        with isolate_rng():
            data = self.build_data(options.data)
            data.prepare_data()
            for stage in ("fit", "test") if self.subcommand == "fit" else (self.subcommand,):
                data.setup(stage)
        check_data_module(data, splits=BY_VERB[str(self.subcommand)])
        if self.subcommand == "validate" and data.selected_on == "last":
            raise UserError("validate must have a validation split, got data without one")
        options.data = data
        self.config_init = self.parser.instantiate_classes(config)
        self.datamodule = data
        self.model = self._get(self.config_init, "model")
        if self.subcommand == "fit":
            self._check_training(self.model)
        self._add_configure_optimizers_method_to_model(self.subcommand)
        self.trainer = self.instantiate_trainer()
        if self.trainer.world_size > 1:
            self._check_shares_batches()

    def _check_shares_batches(self) -> None:
        """Refuse what several processes would not do as one does."""
        loaders = {"train": self.datamodule.train_dataloader, "test": self.datamodule.test_dataloader}
        for split, loader in loaders.items():
            order = getattr(loader(), "sampler", None)
            if not isinstance(order, BatchOrder):
                name = type(self.datamodule).__name__
                raise UserError(
                    f"trainer.devices must be 1 with {name}: its {split} loader does not share out batches, as that of "
                    f"InMemoryDataModule does by BatchOrder; got {self.trainer.world_size} processes"
                )
            order.check_shares(self.trainer.world_size)
        if self.model.class_weights:
            raise UserError(
                f"model.class_weights must be null for {self.trainer.world_size} processes: their share of a batch has "
                f"another sum of weights; got {self.model.class_weights}"
            )

    def _check_training(self, model: Classifier) -> None:
        """Find out before the run folder is touched whether optimizer and checkpoint fit the model."""
        if self.start_from is not None:
            load_weights(model, self.start_from, option=START_FROM)
        if self.checkpoint is None:
            model.build_optimizer()
        else:
            load_weights(model, self.checkpoint)
            model.on_load_checkpoint(read_checkpoint(self.checkpoint))

    def build_data(self, options: Namespace) -> Any:
        """Build the data module, with what the checkpoint learnt from its training split; nothing is read yet.

        Weights to start from need the ids and the scale of the data that they have learnt with, too.
        """
        parser = ArgumentParser()
        parser.add_argument("--data", type=LightningDataModule)
        data = parser.instantiate(Namespace(data=options)).data
        known: dict[str, Any] = {}
        if self.checkpoint is not None:
            known = read_checkpoint(self.checkpoint)
        elif self.start_from is not None:
            known = read_checkpoint(self.start_from, option=START_FROM)
        if (learnt := known.get(type(data).__qualname__)) is not None:
            data.load_state_dict(learnt)
        if self.start_from is not None:
            also = "what its data learnt" if learnt is not None else "nothing that data learnt"
            self.start = f"the weights of {self.start_from}, and {also}"
        return data

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer; for `fit` also the run folder and what writes into it."""
        options, config = self.config[self.subcommand], self.config_init[self.subcommand]
        callbacks = list(config.trainer.callbacks or [])
        if self.subcommand != "fit":
            return super().instantiate_trainer(callbacks=callbacks, logger=False, enable_checkpointing=False,
                                               enable_progress_bar=False, **kwargs)  # fmt: skip
        if self.run_folder is None:
            # Where the run lies is told to the others by the first, once they have met; Lightning does so for
            # checkpoints.
            self.run_folder = RunFolder(options.run.root / options.run.name)
            if self.is_first:
                self.run_folder = RunFolder.create(options.run.root, options.run.name)
                self.lock = self.run_folder.lock()
        run = self.run_folder
        self.checkout = describe_checkout()
        callbacks += [CheckMemory(), DescribeData(), LearningRates(), EpochSeeding(options.seed_everything), self.clock]
        if self.is_first:
            files = [str(file.relative) for file in options.config or []]
            plan = Plan(self.console, run, files, start=self.start)
            callbacks += [_BeginRun(self), plan, EpochLog(run.metrics), SplitList(run.splits)]
            if options.trainer.enable_progress_bar is not False:
                callbacks.append(TrainingProgress(self.console))
        plugins = config.trainer.plugins or []
        if self.datamodule.selected_on == "last":
            kwargs["limit_val_batches"] = 0
        return super().instantiate_trainer(
            callbacks=[*callbacks, *checkpoint_callbacks(run)],
            plugins=[WholeCheckpoints(), *(plugins if isinstance(plugins, list) else [plugins])],
            default_root_dir=run.path,
            **kwargs,
        )

    def fit(self, model: Classifier, datamodule: Any, **options: Any) -> None:
        """Train, test the best weights and write the run folder."""
        interrupt, run, trained = signal.getsignal(signal.SIGINT), self.run_folder, False
        assert run is not None
        if self.config[self.subcommand].run.compile:
            # From the second length on, one program serves all lengths.
            model.backbone.compile()
        try:
            self.trainer.fit(model, datamodule=datamodule, ckpt_path=self.checkpoint, weights_only=True)
            run = RunFolder(Path(self.trainer.strategy.broadcast(str(run.path))))
            if not self.begun and self.is_first:
                # There was no step to take: Lightning calls no hook of a training then.
                self.begin()
            trained = True
            # fmt: off
            Report(
                trainer=self.trainer, model=model, data=datamodule, run=run, config=self.plain_config(),
                seconds=self.clock.seconds, checkout=self.checkout, resumed=self.checkpoint is not None,
            ).write(self.console)
            # fmt: on
        except SystemExit:
            # Lightning turns Ctrl-C into exit code 1, and ignores further ones; shells expect 130.
            signal.signal(signal.SIGINT, interrupt)
            if self.trainer.state.status != TrainerStatus.INTERRUPTED:
                raise
            self._say_how_to_resume(run)
            raise SystemExit(130) from None
        except Exception as error:
            if self.begun:
                with suppress(UserError):
                    write_text(run.error, traceback.format_exc())
            if trained and not run.results.is_file():
                self.console.print("\nThe training is finished and its weights are kept. To test them once more:")
                self.console.print(f"  {run.command('fit', checkpoint='last')}")
            if isinstance(error, FAILURES) or is_own_check(error) or not self.begun:
                raise
            print(f"{traceback.format_exc()}hyperseq: the traceback is kept in {run.error}", file=sys.stderr)
            raise SystemExit(1) from error

    def begin(self) -> None:
        """Rewrite the config of the run and remove the numbers and the error of an earlier end."""
        assert self.run_folder is not None
        self.begun = True
        self.write_config(self.run_folder)
        for path in (self.run_folder.results, self.run_folder.error):
            path.unlink(missing_ok=True)

    def validate(self, model: Classifier, datamodule: Any, **options: Any) -> None:
        """Print the score on the validation split."""
        self._evaluate("validation", model, datamodule)

    def test(self, model: Classifier, datamodule: Any, **options: Any) -> None:
        """Print the score on the test split."""
        self._evaluate("test", model, datamodule)

    def plain_config(self) -> dict[str, Any]:
        """Return all options as plain values, without those that resume: every verb reads the file of a run."""
        config = yaml.safe_load(self.parser.dump(self.config, skip_unset=False))[self.subcommand]
        if isinstance(config["model"]["optimizer"], dict):
            # The groups carry the decay, `model.weight_decay`.
            config["model"]["optimizer"].get("init_args", {}).pop("weight_decay", None)
        folders = [str(folder) for folder in choose_import_folders(config, self.import_folders)]
        config["run"]["import_from"] = folders
        return {name: value for name, value in config.items() if name not in ("ckpt_path", "weights_only")}

    def write_config(self, run: RunFolder) -> None:
        """Write the config of a run, with the command that tests it above."""
        text = yaml.safe_dump(self.plain_config(), sort_keys=False)
        write_text(run.config, f"# {run.command('test')}\n{text}")

    def _resume_in_place(self, words: list[str], *, start_from: Path | None) -> RunFolder:
        assert self.checkpoint is not None
        self.run_folder = RunFolder.owner(self.checkpoint)
        if self.run_folder is None:
            raise UserError(f"ckpt_path must lie in a run folder, <run>/checkpoints/last.ckpt, got {self.checkpoint}")
        for name in ("run.root", "run.name"):
            if any(word.split("=")[0] == f"--{name}" for word in words):
                raise UserError(f"{name} must be left out with ckpt_path: the run goes on in {self.run_folder.path}")
        began = dict(flatten(self.run_folder.read_config())).get(START_FROM)
        wanted = None if start_from is None else str(start_from)
        if wanted != began:
            raise UserError(
                f"{START_FROM} must be {began or 'null'}, as in the run that goes on, {self.run_folder.path}, "
                f"got {wanted or 'null'}"
            )
        if self.is_first:
            self.lock = self.run_folder.lock()
        return self.run_folder

    def _evaluate(self, split: str, model: Classifier, data: Any) -> None:
        assert self.checkpoint is not None
        load_weights(model, self.checkpoint)
        evaluate = self.trainer.validate if split == "validation" else self.trainer.test
        evaluate(model, datamodule=data, verbose=False)
        score = Score.of(model.join_predictions(), model.head)
        run = RunFolder.owner(self.checkpoint)
        selected_on = (run.read_results() if run else {}).get("selected_on", data.selected_on)
        print_scores(self.console, {split: score}, selected_on=selected_on)
        self.console.print(f"weights: {self.checkpoint}")

    def _refuse_what_would_be_ignored(self, options: Namespace, typed: set[str]) -> None:
        for source, target in [*LINKS.items(), *((source, target) for target, source in OPTIONAL_LINKS.items())]:
            if target in typed:
                self.parser.error(f"{target} must come from {source}, got a value of its own")
        if "model.optimizer.init_args.weight_decay" in typed:
            self.parser.error("model.optimizer.init_args.weight_decay must be given as model.weight_decay")
        if options.run.compile and not any(map(which, [environ.get("CXX", "g++"), "clang++"])):
            self.parser.error("run.compile must be false without a C++ compiler (g++ or clang++ on the path), got true")

    def _say_how_to_resume(self, run: RunFolder) -> None:
        if run.checkpoint("last").is_file():
            self.console.print("\nInterrupted; the last finished epoch is kept. To continue:")
            self.console.print(f"  {run.command('fit', checkpoint='last')}")
        else:
            self.console.print("\nInterrupted before the first epoch was finished: nothing to resume from.")


class _BeginRun(Callback):
    """Begin the run when everything is checked that can be, and the first step comes next."""

    def __init__(self, cli: TrainingCLI) -> None:
        self.cli = cli

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the run."""
        self.cli.begin()


def find_reason(error: BaseException) -> BaseException | None:
    """Return the error that one line can tell: this one, or the one for which jsonargparse could not build an option.

    `None` for what keeps its traceback.
    """
    if isinstance(error, FAILURES) or is_own_check(error):
        return error
    if error.__cause__ is None or not isinstance(error, ValueError) or _modules(error)[-1] != "jsonargparse":
        return None
    return find_reason(error.__cause__)


def is_own_check(error: BaseException) -> bool:
    """Return whether a check of this project or of Lightning failed, with no code of a user in between.

    One line then tells all.
    """
    modules = _modules(error)
    return isinstance(error, ValueError) and modules[-1] in CHECKING and set(modules) <= OURS | PASSED_THROUGH


def _modules(error: BaseException) -> list[str]:
    """Return the packages of the calls that led to an error, the first call first."""
    return [frame.f_globals.get("__name__", "").split(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)]
