"""Japanese Vowels: 640 recordings of two vowels by 9 speakers, 12 cepstrum coefficients, 7 to 29 frames."""

from tasks.series.published.packaged_files import SKTIME, make_data_set

DATA_SET = make_data_set(
    "series.japanese_vowels",
    folder="JapaneseVowels",
    suffix=".ts",
    url=SKTIME,
    train="9165e3eec783ac6342d658685c864d19",
    test="14d15214e3ab6ac39ab2d48901d3e2a3",
)
