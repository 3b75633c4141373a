"""Stands in for the command: leaves the run folder of a training, in no time.

The config tells what happens to a seed, such as `{"fails": [1]}`; every start adds a line to `starts` of the root.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from tasks.runs.run_folder import write_json


def main(words):
    given = dict(zip(words[1::2], words[2::2], strict=True))
    if "--ckpt_path" in given:
        run = Path(given["--config"]).parent
        root = run.parents[1]
    else:
        root = Path(given["--run.root"])
        named = root / given["--run.name"]
        run = named / str(1 + sum(path.name.isdecimal() for path in named.iterdir()))
        run.mkdir()
        content = json.loads(Path(given["--config"]).read_text())
        (run / "config.yaml").write_text(json.dumps({**content, "seed": int(given["--seed_everything"])}))
    config = json.loads((run / "config.yaml").read_text())
    seed = config["seed"]
    with (root / "starts").open("a") as starts:
        starts.write(f"{run.parent.name} {'resumed' if '--ckpt_path' in given else 'begun'}\n")
    time.sleep(config.get("seconds", 0))
    if seed in config.get("fails", []):
        (run / "error.txt").touch()
        sys.exit("ValueError: loss must be finite, got nan")
    if seed in config.get("killed", []) and "--ckpt_path" not in given:
        (run / "checkpoints").mkdir()
        (run / "checkpoints/last.ckpt").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    told = {"accuracy": 0.5 + seed / 100, "seed": seed, "seconds": 100.0, "parameters": 1234, "n": 10, "steps": 50}
    told |= {"epochs": 2, "split": {"train": 1000}, "input_shape": [1, 32, 32], "source": config.get("source")}
    told |= {"launched": sorted({"RANK", "WORLD_SIZE", "SLURM_NTASKS"} & set(os.environ))}
    data = {"class_path": config.get("data", "tasks.images.digits.Digits"), "init_args": {"batch_size": 32}}
    told |= {"config": {"data": data, "trainer": {"limit_train_batches": 0.5}}}
    # As the trainer does: other processes read it at any moment.
    write_json(run / "results.json", told)


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if not word.startswith("--trainer.")])
