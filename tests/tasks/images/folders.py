"""Small folders in the exact layout of the released ones."""

from pathlib import Path

import numpy as np
from PIL import Image

COUNT = 10


def pixels(number: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)


def write_pathfinder(
    root: Path,
    *,
    side: int = 32,
    parent: str = "lra_release/lra_release",
    drawn_side: int | None = None,
    empty: tuple[tuple[int, int], ...] = (),
) -> Path:
    """Write the images of two batches as released: the text files are called .npy, and 2 comes before 10."""
    hard = root / parent / f"pathfinder{side}" / "curv_contour_length_14"
    (hard / "metadata").mkdir(parents=True)
    for batch in (10, 2):
        lines = []
        for number in range(COUNT):
            path = hard / f"imgs/{batch}/sample_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if (batch, number) in empty:
                path.touch()
            else:
                Image.fromarray(pixels(100 * batch + number, drawn_side or side)).save(path)
            lines.append(f"imgs/{batch} sample_{number}.png {number} {number % 2} 1.0 14 4 2 0.5 1 1")
        (hard / f"metadata/{batch}.npy").write_text("\n".join(lines) + "\n")
    return hard
