"""Small archives in the exact layout of the public ones, filled with tones."""

import zipfile
from pathlib import Path

from tasks.speech.published.speech_commands import WORDS_10
from tests.tasks.images.archives import write_tar
from tests.tasks.speech.recordings import tone, wav_bytes, write_folder

FSDD_SPEAKERS = ("george", "theo")
FSDD_NUMBERS = 12


def write_fsdd(root: Path) -> None:
    """Write 12 recordings of each digit by two speakers, and files of the repository that are no recordings."""
    path = root / "fsdd/free-spoken-digit-dataset-1.0.10.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    top = "free-spoken-digit-dataset-1.0.10"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{top}/README.md", "A simple audio dataset\n")
        archive.writestr(f"{top}/metadata.py", "metadata = {}\n")
        for digit in range(10):
            for place, speaker in enumerate(FSDD_SPEAKERS):
                for number in range(FSDD_NUMBERS):
                    samples = tone(200 + 100 * digit, seconds=0.05 + 0.005 * number, seed=1000 * place + number)
                    archive.writestr(f"{top}/recordings/{digit}_{speaker}_{number}.wav", wav_bytes(samples))


def write_recordings(root: Path) -> None:
    """Write a folder for each class, as a user has it."""
    write_folder(root / "recordings")


SC_SPEAKERS = {"train": "0a1b2c3d", "val": "1b2c3d4e", "test": "2c3d4e5f"}
SC_OTHERS = ("bed", "cat")
SC_EACH = 7
SC_SHORT = 3
"""The number of the recording of each speaker that is shorter than a second."""


def write_speech_commands(root: Path) -> None:
    """Write 7 recordings of twelve words by each of three speakers, noise, lists, and files that are no recordings."""
    members = {"./LICENSE": b"Creative Commons\n", "./._README.md": b"", "./README.md": b"# Speech Commands\n"}
    lists: dict[str, list[str]] = {split: [] for split in SC_SPEAKERS}
    # The archive is not sorted.
    for place, word in enumerate(("go", *SC_OTHERS, *sorted({*WORDS_10} - {"go"}))):
        for split, speaker in SC_SPEAKERS.items():
            for number in range(SC_EACH):
                name = f"{word}/{speaker}_nohash_{number}.wav"
                seconds = 0.8 if number == SC_SHORT else 1.0
                samples = tone(200 + 50 * place, seconds=seconds, rate=16000, seed=number)
                members[f"./{name}"] = wav_bytes(samples, rate=16000)
                lists[split].append(name)
    for seconds, name in ((12.5, "white_noise"), (10.0, "doing_the_dishes")):
        noise = tone(50, seconds=seconds, rate=16000)
        members[f"./_background_noise_/{name}.wav"] = wav_bytes(noise, rate=16000)
    members["./_background_noise_/README.md"] = b"noise"
    for split, name in (("val", "validation_list.txt"), ("test", "testing_list.txt")):
        members[f"./{name}"] = "\n".join([*lists[split], ""]).encode()
    write_tar(root / "speech_commands/speech_commands_v0.02.tar.gz", members)


def write_esc50(root: Path) -> None:
    """Write two sounds of three classes in each of five folds."""
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    path = root / "esc50/ESC-50-master.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ESC-50-master/README.md", "ESC-50")
        for fold in range(1, 6):
            for target, category in enumerate(("dog", "rain", "church_bells")):
                for take in "AB":
                    name = f"{fold}-{1000 + target}-{take}-{target}.wav"
                    samples = tone(300 * (target + 1), seconds=0.05, rate=44100, seed=fold)
                    archive.writestr(f"ESC-50-master/audio/{name}", wav_bytes(samples, rate=44100))
                    rows.append(f"{name},{fold},{target},{category},False,{1000 + target},{take}")
        archive.writestr("ESC-50-master/meta/esc50.csv", "\n".join([*rows, ""]))


def write_urbansound8k(root: Path) -> None:
    """Write a sound of two classes in each of ten folds, of several rates and channels."""
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    members = {"UrbanSound8K/._.DS_Store": b"", "UrbanSound8K/UrbanSound8K_README.txt": b"UrbanSound8K"}
    for fold in range(1, 11):
        for class_id, name in ((1, "car_horn"), (8, "siren")):
            file, rate = f"{100 + fold}-{class_id}-0-0.wav", (44100, 48000, 8000)[fold % 3]
            samples = tone(200 * class_id, seconds=0.04, rate=rate, channels=1 + fold % 2, seed=fold)
            members[f"UrbanSound8K/audio/fold{fold}/{file}"] = wav_bytes(samples, rate=rate)
            members[f"UrbanSound8K/audio/fold{fold}/._{file}"] = b"Mac OS"
            rows.append(f"{file},{100 + fold},0.0,0.04,1,{fold},{class_id},{name}")
    members["UrbanSound8K/metadata/UrbanSound8K.csv"] = "\n".join([*rows, ""]).encode()
    write_tar(root / "urbansound8k/UrbanSound8K.tar.gz", members)


WRITERS = (write_fsdd, write_recordings, write_speech_commands, write_esc50, write_urbansound8k)
