import re

from benchmarks.long_sequence import main


def test_a_step_on_a_sequence_of_any_length_and_widths_is_told_with_its_memory(capsys):
    main(["--length", "300", "--in-channels", "1", "--channels", "4", "6", "8"])
    told = capsys.readouterr().out
    assert re.fullmatch(r"300 steps, \[4, 6, 8\] channels: \d+\.\d s, peak \d+\.\d GiB\n", told)
