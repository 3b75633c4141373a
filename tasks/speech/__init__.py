"""Speech and other audio: files in, classes out. torchaudio and soundfile are imported here alone, inside functions."""

from tasks.speech.published import DATA_SETS as DATA_SETS
