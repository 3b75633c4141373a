"""How options are read."""

from typing import Literal, Union

import pytest
from pytorch_lightning.cli import LightningArgumentParser

from tasks.training.cli_parser import OneLineParser, RefusedOptions, prefer_integers


# `float | int` stands for a union whose order another module has decided.
@pytest.mark.parametrize("hint", [float | int, float | int | None, Union[int, float, None], int | float], ids=str)  # noqa: UP007
def test_one_is_an_integer_and_one_point_nought_is_none_in_any_order_of_a_union(tmp_path, hint):
    parser = LightningArgumentParser()
    parser.add_argument("--limit", type=hint)
    parser.add_argument("--config", action="config")
    prefer_integers(parser)
    (tmp_path / "int.yaml").write_text("limit: 1")
    (tmp_path / "float.yaml").write_text("limit: 1.0")
    for words, kind in (("--limit=1", int), ("--limit=1.0", float), ("int.yaml", int), ("float.yaml", float)):
        words = words if words.startswith("--") else f"--config={tmp_path / words}"
        assert type(parser.parse_args([words]).limit) is kind


def test_a_share_is_a_number_where_a_text_is_taken_too():
    parser = LightningArgumentParser()
    parser.add_argument("--interval", type=int | str | float)
    prefer_integers(parser)
    read = [parser.parse_args([f"--interval={word}"]).interval for word in ("0.5", "3", "00:01:00:00")]
    assert read == [0.5, 3, "00:01:00:00"] and type(read[1]) is int


def test_a_word_that_is_no_choice_is_told_with_the_choices():
    parser = OneLineParser()
    parser.add_argument("--source", type=Literal["generated", "released"])
    with pytest.raises(RefusedOptions) as refused:
        parser.parse_args(["--source=foo"])
    assert refused.value.reason == "source must be one of generated, released, got foo"
    assert refused.value.code == 2


def test_a_word_of_no_type_of_a_union_is_told_with_the_types():
    parser = OneLineParser()
    parser.add_argument("--length", type=int | None)
    with pytest.raises(RefusedOptions) as refused:
        parser.parse_args(["--length=4.5"])
    assert refused.value.reason == "length must be an integer or null, got 4.5"
