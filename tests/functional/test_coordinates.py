"""Laws of the coordinates that slow networks are read at."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperseq.functional import coordinate_grid
from tests import cases, reference

extents = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)
rates = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(size=extents, more=st.integers(0, 3), rate=rates, start=st.sampled_from([-1.5, 0.0, 2.0]))
def test_grid_equals_loops(size, more, rate, start):
    extent = tuple(n + more for n in size)
    grid = coordinate_grid(size, extent=extent, rate=rate, start=start, dtype=torch.float64)
    cases.assert_close(grid, reference.coordinate_grid(size, extent, rate, start), tolerance=1e-12)


@pytest.mark.parametrize("size", [(5,), (4, 7), (2, 3, 5)], ids=cases.shape_id)
def test_grid_of_the_training_size_spans_minus_one_to_one(size):
    grid = coordinate_grid(size)
    first, last = (0,) * len(size), tuple(n - 1 for n in size)
    assert grid[(slice(None), *first)].tolist() == [-1.0] * len(size)
    assert grid[(slice(None), *last)].tolist() == [1.0] * len(size)


def test_an_integer_means_one_axis():
    assert torch.equal(coordinate_grid(6), coordinate_grid((6,)))


def test_integers_and_numbers_of_numpy_are_taken():
    grid = coordinate_grid(np.int64(3), extent=np.int32(5), rate=np.float64(2.0), start=np.float32(0.0))
    assert torch.equal(grid, coordinate_grid(3, extent=5, rate=2.0))
    assert torch.equal(coordinate_grid((np.int64(3), 4)), coordinate_grid((3, 4)))


@pytest.mark.parametrize("rate", [1.0, 2.0, 0.5])
def test_an_axis_of_extent_one_is_at_zero(rate):
    assert coordinate_grid((1, 4), rate=rate)[0].tolist() == [[0.0] * 4]
    assert coordinate_grid(3, extent=1, rate=rate).tolist() == [[0.0, 0.0, 0.0]]


def test_shorter_grid_is_the_prefix_of_a_longer_one():
    longer, shorter = coordinate_grid((7, 9), extent=(5, 5)), coordinate_grid((3, 4), extent=(5, 5))
    assert torch.equal(longer[:, :3, :4], shorter)


def test_grid_at_rate_r_is_every_rth_position():
    whole = coordinate_grid(13, dtype=torch.float64)
    cases.assert_close(coordinate_grid(5, extent=13, rate=3.0, dtype=torch.float64), whole[:, ::3], tolerance=1e-12)


def test_neighbours_of_a_long_axis_keep_their_distance_in_float64():
    grid = coordinate_grid(2**22 + 1, dtype=torch.float64)
    cases.assert_close(grid[0, -2], torch.tensor(1 - 2**-21, dtype=torch.float64), tolerance=1e-13)


def test_dtype_is_that_asked_for_or_the_default():
    assert coordinate_grid(3).dtype == torch.get_default_dtype()
    assert coordinate_grid(3, dtype=torch.float64).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must .*, got .*0"),
        ({"size": (3, -1)}, "size must .*, got .*-1"),
        ({"size": (3, 4), "extent": (3,)}, "extent must .*, got .*3"),
        ({"size": 3, "extent": 0}, "extent must .*, got .*0"),
        ({"size": 3, "rate": 0.0}, "rate must .*, got 0.0"),
        ({"size": 3, "rate": -1.0}, "rate must .*, got -1.0"),
        ({"size": 3, "rate": float("nan")}, "rate must .*, got nan"),
        ({"size": 3, "rate": float("inf")}, "rate must .*, got inf"),
        ({"size": 3.0}, "size must .*, got .*3.0"),
        ({"size": True}, "size must .*, got .*True"),
        ({"size": (3, True)}, "size must .*, got .*True"),
    ],
)
def test_error_names_argument_rule_and_value(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        coordinate_grid(**arguments)
