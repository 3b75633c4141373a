"""torchaudio, imported when it is needed, and a repair for machines whose torch has no CUDA.

The torchaudio wheels for Linux are built for CUDA. Beside a torch without CUDA their compiled libraries do not
load, and the whole import fails. What the speech tasks use (`MFCC`, `MelSpectrogram`, `Resample`) is plain torch,
and torchaudio goes without libraries that are absent; so the repair sets them aside. ``make setup`` runs it:

    python -m tasks.speech.torchaudio_import --repair
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

REPAIR_COMMAND = "python -m tasks.speech.torchaudio_import --repair"
INSTALL_COMMAND = 'pip install "hyperseq[audio]"'

_ABSENT = f"torchaudio is not installed: {INSTALL_COMMAND}"
_PROBE = """
import torch, torchaudio
options = {"n_fft": 64, "hop_length": 32, "n_mels": 8, "center": False}
torchaudio.transforms.MFCC(sample_rate=8000, n_mfcc=4, melkwargs=options)(torch.zeros(1, 256))
"""


def import_torchaudio() -> ModuleType:
    """Import torchaudio and return it.

    Raises:
        ImportError: torchaudio is not installed or does not load; the message says what to do.
    """
    try:
        import torchaudio
    except (ImportError, OSError) as error:
        raise ImportError(_remedy(error)) from error
    return torchaudio


def repair() -> str:
    """Set the compiled libraries of torchaudio aside if they are what keeps it from being imported.

    A torch with CUDA is left alone, and so is a torchaudio that works.

    Returns:
        One line that says what was found or done.

    Raises:
        ImportError: torchaudio is not installed, or fails for another reason; then nothing is changed.
    """
    # The package is found without being imported: a failed import could not be tried again in this process.
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or spec.origin is None:
        raise ImportError(_ABSENT)
    import torch

    if torch.version.cuda is not None:
        return f"torchaudio: left as it is, torch is built for CUDA {torch.version.cuda}"
    if not _failure():
        return "torchaudio: works, nothing to repair"
    folder = Path(spec.origin).parent / "lib"
    libraries = sorted(folder.glob("*.so"))
    for library in libraries:
        library.rename(_disabled(library))
    if failure := _failure():
        for library in libraries:
            _disabled(library).rename(library)
        raise ImportError(f"torchaudio fails even without its compiled libraries:\n{failure}")
    return f"torchaudio: works now, disabled {len(libraries)} libraries that need a torch with CUDA in {folder}"


def _disabled(library: Path) -> Path:
    # Ends in neither .so nor .abi3.so: torchaudio and Python look for names that end so.
    return library.with_name(library.name + ".disabled")


def _failure() -> str:
    """Return what a fresh interpreter says when it uses torchaudio, or nothing if that works."""
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    return (probe.stderr or f"exit status {probe.returncode}") if probe.returncode else ""


def _remedy(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "torchaudio":
        return _ABSENT
    import torch

    problem = f"torchaudio does not load beside torch {torch.__version__}"
    if torch.version.cuda is None:
        return f"{problem}, which has no CUDA: {REPAIR_COMMAND}"
    return f"{problem}: install the torchaudio that was built for it ({error})"


def main(arguments: list[str] | None = None) -> None:
    """Run the repair from the command line."""
    parser = argparse.ArgumentParser(
        prog=REPAIR_COMMAND.removesuffix(" --repair"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repair", action="store_true", required=True, help="make torchaudio importable")
    parser.parse_args(arguments)
    try:
        print(repair())
    except ImportError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
