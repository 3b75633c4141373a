"""ACSF1: 200 series of the power that 10 kinds of household appliances draw, 1,460 values each."""

from tasks.series.published.packaged_files import SKTIME, make_data_set

DATA_SET = make_data_set(
    "series.acsf1",
    folder="ACSF1",
    suffix=".ts",
    url=SKTIME,
    train="3e40c2609d59dc2f34ad069333beff5c",
    test="8f1b297ec9583daad694b5890fffb78f",
)
