"""PLAID: 1,074 series of the current of 11 kinds of appliances, 100 to 1,344 values."""

from tasks.series.published.packaged_files import SKTIME, make_data_set

DATA_SET = make_data_set(
    "series.plaid",
    folder="PLAID",
    suffix=".ts",
    url=SKTIME,
    train="11e7387316ce1a9d31b2c71da3171738",
    test="7fb46cfaf2869ac3059a44d258075af8",
)
