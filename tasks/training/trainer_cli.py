"""`fit`, `validate`, `test` and `predict`: LightningCLI, with one folder a run and no surprises."""

import signal
import traceback
from os import environ
from pathlib import Path
from shutil import which
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.trainer.states import TrainerStatus
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from tasks.console import make_console
from tasks.learning.classifier import Classifier, NonFiniteLossError
from tasks.learning.predictions import PredictionCollector, write_predictions
from tasks.learning.score import Score
from tasks.runs.checkpoints import checkpoint_callbacks, find_checkpoint, load_weights
from tasks.runs.provenance import checkout
from tasks.runs.run_folder import RunFolder
from tasks.training.callbacks.epoch_log import EpochLog
from tasks.training.callbacks.epoch_seeding import EpochSeed
from tasks.training.callbacks.learning_rates import ConfiguredRates
from tasks.training.callbacks.plan import Plan
from tasks.training.callbacks.progress import TrainingProgress
from tasks.training.callbacks.training_clock import TrainingClock
from tasks.training.cli_parser import OneLineParser, typed_keys
from tasks.training.report import Conclusion, print_scores, selected_on

# The data decide these, and the seed of the run; a config that repeated them could contradict.
LINKS = {
    "seed_everything": "data.init_args.seed",
    "data.num_classes": "model.num_classes",
    "data.num_spatial_dims": "model.backbone.init_args.num_spatial_dims",
    "data.in_channels": "model.backbone.init_args.in_channels",
    "data.size": "model.backbone.init_args.size",
}

TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "devices": 1,
    "logger": False,
    "log_every_n_steps": 1,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
}

# What a user can cause and one line can tell; anything else is our mistake and keeps its traceback.
FAILURES = (ValueError, OSError, NonFiniteLossError, MisconfigurationException)


class TrainingCLI(LightningCLI):
    """Train and evaluates what a config names.

    Args:
        args: Words of the command line, the verb first.
    """

    def __init__(self, args: list[str]) -> None:
        self.console = make_console()
        self.collector = PredictionCollector()
        self.run_folder: RunFolder | None = None
        self.checkpoint: Path | None = None
        self.epoch_log = EpochLog()
        self.clock = TrainingClock()
        self.checkout: dict[str, Any] = {}
        verbs = {verb: {"allow_abbrev": False} for verb in self.subcommands()}
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

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the seed."""
        parser.add_argument("--seed_everything", type=int, default=0, help="Seed of everything but the split.")

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the place of the run folder, and what the model learns from the data."""
        parser.add_argument("--run.root", type=Path, default=Path("runs"), help="Folder of all runs.")
        parser.add_argument("--run.name", type=str, default="run", help="Group of the run: <root>/<name>/<number>.")
        parser.add_argument(
            "--run.num_threads", type=int | None, default=None, help="CPU threads; null for torch's choice."
        )
        parser.add_argument(
            "--run.compile", type=bool, default=False, help="Train by torch.compile: faster after a minute or two."
        )
        for source, target in LINKS.items():
            when = "instantiate" if source.startswith("data.") else "parse"
            parser.link_arguments(source, target, apply_on=when)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the given words alone; Lightning's own warns when `sys.argv` holds words, too."""
        self.config = parser.parse_args(args)
        options = self.config[self.config.subcommand]
        files = [Path(file.relative) for file in options.config or []]
        self._refuse_what_would_be_ignored(options, typed_keys(args, files))
        if options.run.num_threads is not None:
            torch.set_num_threads(options.run.num_threads)
        # Taken out of the config: Lightning would let settings stored in the checkpoint replace those given here.
        wanted = options.pop("ckpt_path", None)
        if self.config.subcommand != "fit" or wanted:
            try:
                run = RunFolder(files[-1].parent if files else Path())
                self.checkpoint = find_checkpoint(wanted or "best", run)
            except ValueError as error:
                parser.error(str(error))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer; for `fit` also the run folder and what writes into it."""
        options, config = self.config[self.subcommand], self.config_init[self.subcommand]
        callbacks = [*(config.trainer.callbacks or []), self.collector]
        if self.subcommand != "fit":
            return super().instantiate_trainer(callbacks=callbacks, logger=False, enable_checkpointing=False,
                                               enable_progress_bar=False, **kwargs)  # fmt: skip
        run = self.run_folder = RunFolder.create(options.run.root, options.run.name)
        self.checkout = checkout()
        csv_logger = CSVLogger(options.run.root, name=options.run.name, version=run.path.name)
        # Opened while the folder is empty: it warns about files that it finds.
        _ = csv_logger.experiment
        config_text = yaml.safe_dump(self._plain_config(), sort_keys=False)
        run.config.write_text(f"# {run.command('test')}\n{config_text}", encoding="utf-8")
        if self.checkpoint:
            self.epoch_log = EpochLog(self.checkpoint.parent.with_name("metrics.csv"))
        files = [str(file.relative) for file in options.config or []]
        callbacks += [
            ConfiguredRates(),
            Plan(self.console, run, files),
            EpochSeed(options.seed_everything),
            self.epoch_log,
            self.clock,
        ]
        if options.trainer.enable_progress_bar is not False:
            callbacks.append(TrainingProgress(self.console))
        loggers = config.trainer.logger or []
        return super().instantiate_trainer(
            callbacks=[*callbacks, *checkpoint_callbacks(run, self.checkpoint)],
            logger=[csv_logger, *(loggers if isinstance(loggers, list) else [loggers])],
            default_root_dir=run.path,
            **kwargs,
        )

    def fit(self, model: Classifier, datamodule: LightningDataModule, **options: Any) -> None:
        """Trains, tests the best weights and writes the run folder."""
        interrupt = signal.getsignal(signal.SIGINT)
        if self.config[self.subcommand].run.compile:
            # one program per shape of batch: with sizes left open torch 2.13 fails on our autograd functions
            model.backbone.compile(dynamic=False)
        try:
            self.trainer.fit(model, datamodule=datamodule, ckpt_path=self.checkpoint, weights_only=True)
            # fmt: off
            Conclusion(
                trainer=self.trainer, model=model, data=datamodule, run=self.run_folder, collector=self.collector,
                rows=self.epoch_log.rows, config=self._plain_config(), seconds=self.clock.seconds,
                checkout=self.checkout, resumed_from=self.checkpoint,
            ).write(self.console)
            # fmt: on
        except SystemExit:
            # Lightning turns Ctrl-C into exit code 1, and ignores further ones; shells expect 130.
            signal.signal(signal.SIGINT, interrupt)
            if self.trainer.state.status != TrainerStatus.INTERRUPTED:
                raise
            self._say_how_to_resume()
            raise SystemExit(130) from None
        except Exception:
            self.run_folder.error.write_text(traceback.format_exc(), encoding="utf-8")
            raise

    def validate(self, model: Classifier, datamodule: LightningDataModule, **options: Any) -> None:
        """Print the score on the validation part."""
        self._evaluate("validation", model, datamodule)

    def test(self, model: Classifier, datamodule: LightningDataModule, **options: Any) -> None:
        """Print the score on the test part."""
        self._evaluate("test", model, datamodule)

    def predict(self, model: Classifier, datamodule: LightningDataModule, **options: Any) -> None:
        """Write predictions into a new file."""
        load_weights(model, self.checkpoint)
        self.trainer.predict(model, datamodule=datamodule, return_predictions=False)
        # The run that owns the weights; weights from elsewhere leave their predictions where the user stands.
        owned = self.checkpoint.parent.name == "checkpoints"
        path = RunFolder(self.checkpoint.parents[1] if owned else Path()).next_predictions()
        table = self.collector.collected()
        write_predictions(path, table)
        self.console.print(f"{len(table['index'])} predictions written to {path}")

    def _evaluate(self, part: str, model: Classifier, data: LightningDataModule) -> None:
        load_weights(model, self.checkpoint)
        evaluate = self.trainer.validate if part == "validation" else self.trainer.test
        evaluate(model, datamodule=data, verbose=False)
        print_scores(self.console, {part: Score.of(self.collector.collected())}, selected_on=selected_on(data))
        self.console.print(f"weights: {self.checkpoint}")

    def _refuse_what_would_be_ignored(self, options: Namespace, typed: set[str]) -> None:
        for source, target in LINKS.items():
            if target in typed:
                self.parser.error(f"{target} must come from {source}, got a value of its own")
        if options.trainer.devices not in (1, "1"):
            self.parser.error(f"trainer.devices must be 1: batches are not shared out, got {options.trainer.devices}")
        if options.run.compile and not any(map(which, [environ.get("CXX", "g++"), "clang++"])):
            self.parser.error("run.compile must be false without a C++ compiler (g++ or clang++ on the path), got true")
        if options.trainer.fast_dev_run:
            self.parser.error("trainer.fast_dev_run must be false: it keeps no run, got true; limit "
                              "trainer.max_epochs and trainer.limit_train_batches instead")  # fmt: skip

    def _say_how_to_resume(self) -> None:
        if self.run_folder.checkpoint("last").is_file():
            self.console.print("\nInterrupted; the last finished epoch is kept. To continue:")
            self.console.print(f"  {self.run_folder.command('fit', checkpoint='last')}")
        else:
            self.console.print("\nInterrupted before the first epoch was finished: nothing to resume from.")

    def _plain_config(self) -> dict[str, Any]:
        config = yaml.safe_load(self.parser.dump(self.config, skip_unset=False))[self.subcommand]
        # Every verb reads this file; a run that was resumed must not be resumed again by its own config.
        return {name: value for name, value in config.items() if name not in ("ckpt_path", "weights_only")}
