"""What a prediction of a recording takes: milliseconds for a clip of a second, seconds and memory for ten minutes.

``python -m benchmarks.recordings [RUN]`` prints both, for the shipped model of spoken digits or another run of audio.
The clips are noise, whose content changes no time; the long one is a file, which is decoded and resampled, too.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.memory import resident
from tasks.estimators import AudioClassifier

SHIPPED = Path(__file__).parents[1] / "results/models/fsdd"
NUM_CLIPS, MINUTES, RATE = 50, 10, 16_000


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.recordings", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--num-threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    classifier = AudioClassifier.load(arguments.run)
    noise = np.random.default_rng(0).normal(scale=0.1, size=MINUTES * 60 * RATE).astype(np.float32)
    milliseconds = []
    for _ in range(NUM_CLIPS + 5):
        start = time.perf_counter()
        classifier.predict_proba([(noise[:RATE], RATE)])
        milliseconds.append(1000 * (time.perf_counter() - start))
    milliseconds = sorted(milliseconds[5:])
    print(
        f"one second at {RATE:,} Hz: {statistics.median(milliseconds):.1f} ms, median of {NUM_CLIPS} "
        f"({milliseconds[0]:.1f} to {milliseconds[-1]:.1f})"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.wav")
        soundfile.write(path, noise, RATE)
        before, start = resident("VmRSS"), time.perf_counter()
        windows = classifier.predict_windows(path)
        seconds = time.perf_counter() - start
    print(
        f"{MINUTES} minutes, {len(windows):,} windows: {seconds:.1f} s, peak of the process "
        f"{resident('VmHWM') / 2**30:.2f} GiB ({before / 2**30:.2f} before)"
    )


if __name__ == "__main__":
    main()
