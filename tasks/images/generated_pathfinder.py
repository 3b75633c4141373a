"""Pathfinder images of our own, drawn with the published parameters, many images in step.

Two target paths and some shorter distractors are made of dashes. Two discs mark either both ends of one target (label
1) or an end of each (label 0). The rules are those of Linsley et al. 2018 (arXiv 1805.08315) with the parameters of the
hard setting of the Long Range Arena. These details are ours:

- The drawn orientation of a dash is rounded to a whole degree.
- Where a dash of a target finds no room, both targets take back their last two dashes and go on from there; the
  published tool begins the image anew. An image that is not complete after 224 dashes is given up.
- A free place for the tip of a distractor is searched by 200 draws. If none is free, which is likely where less than 1%
  of the canvas is, the image gets no further distractor.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from math import ceil, pi
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tasks.errors import UserError

ANTIALIAS = 2
MOST_SHARED_PIXELS = 1
SHORTEST_TARGET = 3
"""Dashes of the shortest target: an end, another end, and a dash between them."""
DISTRACTOR_TRIES, TIP_DRAWS = 4, 200
DASHES_TAKEN_BACK, MOST_STEPS = 2, 8
PIXELS_AT_ONCE = 2**21

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """What decides the images of one size.

    Attributes:
        side: Height and width in pixels.
        tip_distance: Pixels between the first tips of the two targets, and half of those to the border.
        mark_radius: Radius of the discs.
        dash_length: Length of a dash.
        dash_thickness: Thickness of a dash.
        margins: Half gaps between dashes; each image draws one.
        num_distractors: Distractors of an image, if there is room.
        continuity: Larger values make straighter paths.
        target_contrast: Brightness of the targets; a mark has 1.
        distractor_contrast: Brightness of the distractors.
        border: Pixels at the border where no dash begins.
        target_length: Dashes of a target.
        distractor_length: Dashes of a distractor.
    """

    side: int
    tip_distance: int
    mark_radius: float
    dash_length: int
    dash_thickness: float
    margins: tuple[int, ...]
    num_distractors: int
    continuity: float
    target_contrast: float
    distractor_contrast: float
    border: int = 1
    target_length: int = 14
    distractor_length: int = 4

    @property
    def num_target_dashes(self) -> int:
        """Dashes of both targets."""
        return 2 * self.target_length

    @property
    def num_dashes(self) -> int:
        """Dashes of an image."""
        return self.num_target_dashes + self.num_distractors * self.distractor_length


RULES = {
    rules.side: rules
    for rules in (
        Rules(32, 7, 1.5, 2, 0.5, (1,), 5, 1.0, 1.5, 2.0),
        Rules(64, 12, 2.5, 5, 1.0, (1,), 5, 1.8, 0.8, 0.8),
        Rules(128, 20, 3.0, 5, 1.5, (2, 3), 8, 1.8, 0.9, 0.9),
    )
}
"""The published parameters of each size."""


def choose_rules(side: int, *, target_length: int | None = None, num_distractors: int | None = None) -> Rules:
    """Return the published parameters of one size, or easier ones, which make another task; `None` for the published.

    Raises:
        UserError: If the side is not 32, 64 or 128, or a number is out of range.
    """
    if side not in RULES:
        raise UserError(f"side must be one of {', '.join(map(str, RULES))}, got {side}")
    rules = RULES[side]
    length = rules.target_length if target_length is None else target_length
    number = rules.num_distractors if num_distractors is None else num_distractors
    if not SHORTEST_TARGET <= length <= rules.target_length:
        raise UserError(f"target_length must lie in [{SHORTEST_TARGET}, {rules.target_length}], got {length}")
    if not 0 <= number <= rules.num_distractors:
        raise UserError(f"num_distractors must lie in [0, {rules.num_distractors}] for side {side}, got {number}")
    return replace(rules, target_length=length, num_distractors=number)


class PathfinderImages(NamedTuple):
    """Some images."""

    pixels: NDArray[np.uint8]
    """`(N, side, side)`; in each image the darkest pixel is 0 and the brightest 255."""
    labels: Numbers
    """1 where the marks lie on one path, otherwise 0, `(N,)`."""
    marks: Numbers
    """Row and column of the centers of both discs, `(N, 2, 2)`."""
    directions: Floats
    """Angle in radians in which the dash of each mark leads away from it, `(N, 2)`: 0 along a row, pi / 2 down."""


def generate_pathfinder(rules: Rules, *, seed: int) -> Iterator[PathfinderImages]:
    """Yield images without end, some at once; rules and seed alone decide them.

    Targets of other lengths, and other numbers of distractors, are drawn from other random numbers: an image of easier
    rules is never the beginning of one of the benchmark.
    """
    key = () if rules == RULES[rules.side] else (rules.target_length, rules.num_distractors)
    number = 0
    while True:
        yield _draw(rules, np.random.default_rng((seed, number, *key)))
        number += 1


def _draw(rules: Rules, random: np.random.Generator) -> PathfinderImages:
    """Draw the targets of many images; those where both are complete get distractors and marks."""
    canvas = _Canvas(rules, PIXELS_AT_ONCE // rules.side**2, random)
    canvas = canvas.select(_draw_targets(canvas))
    for number in range(rules.num_distractors):
        _draw_distractors(canvas, rules.num_target_dashes + number * rules.distractor_length)
    count = len(canvas.rows)
    labels = random.integers(0, 2, count)
    last = rules.num_target_dashes - 1 - labels
    # Dashes of the two targets alternate: 0 is a tip of the first, the last but one its other end.
    marks = np.stack([canvas.end[:, 0], canvas.end[canvas.rows, last]], axis=1)
    # A first dash leads away from its mark, a last one to it.
    directions = np.stack([canvas.angle[:, 0], canvas.angle[canvas.rows, last] + pi], axis=1)
    return PathfinderImages(canvas.render(marks), labels, marks, directions)


class _Canvas:
    """Which pixels of each image are taken, and its dashes; a frame is as wide as a stamp reaches.

    Dash d of an image leads from beside `pivot[:, d]` to `end[:, d]` in the direction `angle[:, d]`; the first dash of
    a path leads away from `end`. `drawn[:, d]` tells whether it is there.
    """

    def __init__(self, rules: Rules, count: int, random: np.random.Generator) -> None:
        self.rules, self.random = rules, random
        self.stamp_ink, self.stamp_mask = _make_stamps(rules)
        self.frame = self.stamp_ink.shape[-1] // 2
        side, dashes = rules.side + 2 * self.frame, rules.num_dashes
        # Counts, so that a dash can be taken back.
        self.taken = np.zeros((count, side, side), dtype=np.uint8)
        self.margin_index = random.integers(0, len(rules.margins), count)
        self.room = np.ones(count, dtype=np.bool_)
        self.pivot, self.angle = np.zeros((count, dashes, 2)), np.zeros((count, dashes))
        self.end = np.zeros((count, dashes, 2), dtype=np.int64)
        self.stamp = np.zeros((count, dashes), dtype=np.int64)
        self.drawn = np.zeros((count, dashes), dtype=np.bool_)

    @property
    def rows(self) -> Numbers:
        """The row of each image."""
        return np.arange(len(self.room))

    def select(self, rows: Numbers) -> "_Canvas":
        """Return a canvas of some of the images."""
        chosen = copy(self)
        for name in ("taken", "margin_index", "room", "pivot", "angle", "end", "stamp", "drawn"):
            setattr(chosen, name, getattr(self, name)[rows])
        return chosen

    def begin(self, rows: Numbers, dash: Numbers, tips: Numbers) -> Flags:
        """Draw the first dash of a path, from the tip of each row in any direction; return where there was room."""
        degrees = self.random.integers(0, 360, len(rows))
        fits = self._has_room(rows, tips, degrees)
        rows, dash, tips, degrees = rows[fits], dash[fits], tips[fits], degrees[fits]
        angles = np.radians(degrees)
        pivots = tips - self._margins(rows)[:, None] * _direction(angles)
        self._add(rows, dash, pivots, angles, tips, degrees)
        return fits

    def extend(self, rows: Numbers, dash: Numbers, previous: Numbers) -> Flags:
        """Draw a dash that goes on from the dash `previous` of each row; return where there was room."""
        rules, margins = self.rules, self._margins(rows)
        heading = self.angle[rows, previous]
        pivots = self.pivot[rows, previous] + (rules.dash_length + 2 * margins)[:, None] * _direction(heading)
        # About one candidate a pixel of the arc.
        angles = np.linspace(0, 2 * pi, ceil(2 * pi * (rules.dash_length + max(rules.margins))), endpoint=False)
        circle = (rules.dash_length + margins)[:, None, None] * _direction(angles)
        candidates = np.rint(pivots[:, None] + circle).astype(np.int64)
        offsets = candidates - pivots[:, None]
        turned_to = np.arctan2(offsets[..., 0], offsets[..., 1])
        turn = np.abs((turned_to - heading[:, None] + pi) % (2 * pi) - pi)
        weights = np.cos(np.minimum(rules.continuity * turn, pi / 2)) ** 2
        # A candidate without room for its dash has no weight. A dash is drawn back from its end.
        image, candidate = np.nonzero(weights > 1e-12)
        degrees = np.rint(np.degrees(turned_to + pi)).astype(np.int64) % 360
        fits = np.zeros(weights.shape, dtype=np.bool_)
        fits[image, candidate] = self._has_room(rows[image], candidates[image, candidate], degrees[image, candidate])
        total = (weights * fits).cumsum(axis=1)
        done = total[:, -1] > 0
        drawn = self.random.random(len(rows))[:, None] * total[:, -1:]
        chosen = (total <= drawn).sum(axis=1)[done]
        choice = np.flatnonzero(done), chosen
        self._add(rows[done], dash[done], pivots[done], turned_to[choice], candidates[choice], degrees[choice])
        return done

    def take_back(self, rows: Numbers, dash: Numbers) -> None:
        """Remove a dash of each row, where it is drawn."""
        there = self.drawn[rows, dash]
        rows, dash = rows[there], dash[there]
        self.taken[self._window(rows, self.end[rows, dash])] -= self.stamp_mask[self._stamps(rows, dash)]
        self.drawn[rows, dash] = False

    def render(self, marks: Numbers) -> NDArray[np.uint8]:
        """Draw ink: all dashes, and a disc around each of the pixels `marks`, `(N, 2, 2)`; stretch to 0 to 255.

        Where ink meets ink, the brighter one stays.
        """
        rules = self.rules
        ink = np.zeros(self.taken.shape, dtype=np.float32)
        for dash in range(rules.num_dashes):
            rows = np.flatnonzero(self.drawn[:, dash])
            dashes = np.full(len(rows), dash)
            contrast = rules.target_contrast if dash < rules.num_target_dashes else rules.distractor_contrast
            window = self._window(rows, self.end[rows, dash])
            ink[window] = np.maximum(ink[window], contrast * self.stamp_ink[self._stamps(rows, dashes)])
        radius = ceil(rules.mark_radius)
        disc, reach = _draw_disc(rules.mark_radius, radius), np.arange(-radius, radius + 1)
        for y, x in (marks + self.frame).transpose(1, 2, 0):
            window = self.rows[:, None, None], y[:, None, None] + reach[:, None], x[:, None, None] + reach
            ink[window] = np.maximum(ink[window], disc)
        ink = ink[:, self.frame : -self.frame, self.frame : -self.frame]
        low, high = (bound(axis=(1, 2), keepdims=True) for bound in (ink.min, ink.max))
        return np.rint(255 * (ink - low) / (high - low)).astype(np.uint8)

    def _add(
        self, rows: Numbers, dash: Numbers, pivots: Floats, angles: Floats, ends: Numbers, degrees: Numbers
    ) -> None:
        self.pivot[rows, dash], self.angle[rows, dash], self.end[rows, dash] = pivots, angles, ends
        self.stamp[rows, dash], self.drawn[rows, dash] = degrees, True
        self.taken[self._window(rows, ends)] += self.stamp_mask[self._stamps(rows, dash)]

    def _has_room(self, rows: Numbers, points: Numbers, degrees: Numbers) -> Flags:
        """Return whether a dash from each point meets no other; a few pixels in common are no meeting."""
        border = self.rules.border
        inside = ((points >= border) & (points < self.rules.side - border)).all(axis=1)
        fits = np.zeros(len(rows), dtype=np.bool_)
        rows, points, degrees = rows[inside], points[inside], degrees[inside]
        mask = self.stamp_mask[self.margin_index[rows], degrees]
        met = ((self.taken[self._window(rows, points)] > 0) & mask).sum(axis=(1, 2))
        fits[inside] = met <= MOST_SHARED_PIXELS
        return fits

    def _margins(self, rows: Numbers) -> Numbers:
        return np.array(self.rules.margins)[self.margin_index[rows]]

    def _stamps(self, rows: Numbers, dash: Numbers) -> tuple[Numbers, Numbers]:
        return self.margin_index[rows], self.stamp[rows, dash]

    def _window(self, rows: Numbers, points: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return the index of the pixels under a stamp around the point of each row."""
        reach = np.arange(2 * self.frame + 1)
        y, x = points[:, 0, None] + reach, points[:, 1, None] + reach
        return rows[:, None, None], y[:, :, None], x[:, None, :]


def _draw_targets(canvas: _Canvas) -> Numbers:
    """Draw both targets of each image, a dash of each in turn; return the rows of the images that are complete."""
    rules, random = canvas.rules, canvas.random
    count, num_dashes = len(canvas.room), rules.num_target_dashes
    next_dash = np.zeros(count, dtype=np.int64)
    for _ in range(MOST_STEPS * num_dashes):
        rows = np.flatnonzero(next_dash < num_dashes)
        dash = next_dash[rows]
        fits = np.zeros(len(rows), dtype=np.bool_)
        growing = dash >= 2
        fits[growing] = canvas.extend(rows[growing], dash[growing], dash[growing] - 2)
        starting = rows[~growing]
        if len(starting):
            distance = rules.tip_distance
            tips = random.integers(2 * distance, rules.side - 2 * distance, (len(starting), 2))
            away = distance * _direction(random.uniform(0, 2 * pi, len(starting)))
            beside = np.rint(canvas.end[starting, 0] + away).astype(np.int64)
            tips = np.where(dash[~growing, None] == 0, tips, beside)
            fits[~growing] = canvas.begin(starting, dash[~growing], tips)
        next_dash[rows[fits]] += 1
        failed = rows[~fits]
        for _ in range(2 * DASHES_TAKEN_BACK):
            failed = failed[next_dash[failed] > 0]
            next_dash[failed] -= 1
            canvas.take_back(failed, next_dash[failed])
    return np.flatnonzero(next_dash == num_dashes)


def _draw_distractors(canvas: _Canvas, first: int) -> None:
    """Draw a distractor, whose first dash has the number `first`, into each image that has room.

    After so many tries an incomplete one stays.
    """
    rules, random = canvas.rules, canvas.random
    pending = np.flatnonzero(canvas.room)
    for number in range(DISTRACTOR_TRIES):
        unplaced = pending
        for _ in range(TIP_DRAWS):
            tips = random.integers(rules.border, rules.side - rules.border, (len(unplaced), 2))
            unplaced = unplaced[~canvas.begin(unplaced, np.full(len(unplaced), first), tips)]
            if not len(unplaced):
                break
        canvas.room[unplaced] = False
        growing = pending = pending[canvas.room[pending]]
        for dash in range(first + 1, first + rules.distractor_length):
            dashes = np.full(len(growing), dash)
            growing = growing[canvas.extend(growing, dashes, dashes - 1)]
        pending = np.setdiff1d(pending, growing)
        if number < DISTRACTOR_TRIES - 1:
            for dash in range(first, first + rules.distractor_length):
                canvas.take_back(pending, np.full(len(pending), dash))


def _direction(angles: Floats) -> Floats:
    """Return the unit vectors `(..., 2)` of angles, as row and column."""
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1)


def _make_stamps(rules: Rules) -> tuple[NDArray[np.float32], Flags]:
    """Draw a dash from the center for each margin and whole degree, `(M, 360, s, s)`: its ink, and what it takes."""
    reach = rules.dash_length + ceil(rules.dash_thickness) + max(rules.margins)
    inks, masks = [], []
    for margin in rules.margins:
        ink = np.stack([_draw_dash(rules, reach, degrees) for degrees in range(360)])
        offsets = np.arange(-margin, margin + 1)
        disc = offsets[:, None] ** 2 + offsets**2 <= margin**2
        core = ink >= ink.max(axis=(1, 2), keepdims=True) / 2
        mask = np.zeros_like(core)
        for y, x in np.argwhere(disc) - margin:
            # The frame of a stamp is wider than the margin, so nothing comes around the edge.
            mask |= np.roll(core, (y, x), axis=(1, 2))
        inks.append(ink)
        masks.append(mask)
    return np.stack(inks), np.stack(masks)


def _draw_dash(rules: Rules, reach: int, degrees: int) -> NDArray[np.float32]:
    center = reach * ANTIALIAS
    blown = Image.new("F", (2 * center + 1, 2 * center + 1))
    y, x = center + ANTIALIAS * rules.dash_length * _direction(np.radians(degrees))
    line = [(center, center), (float(x), float(y))]
    ImageDraw.Draw(blown).line(line, fill=1.0, width=round(rules.dash_thickness * ANTIALIAS))
    return _reduce(blown, 2 * reach + 1)


def _draw_disc(radius: float, reach: int) -> NDArray[np.float32]:
    center = reach * ANTIALIAS
    offsets = np.arange(-center, center + 1)
    inside = offsets[:, None] ** 2 + offsets**2 <= (radius * ANTIALIAS) ** 2
    return _reduce(Image.fromarray(inside.astype(np.float32)), 2 * reach + 1)


def _reduce(blown: Image.Image, side: int) -> NDArray[np.float32]:
    return np.asarray(blown.resize((side, side), Image.Resampling.LANCZOS), dtype=np.float32)
