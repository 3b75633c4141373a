"""torchaudio, imported when it is needed, also beside a torch without CUDA."""

import sys
from threading import Lock
from types import ModuleType

from tasks.errors import UserError
from tasks.extras import install_command

_LOCK = Lock()
"""Clips are decoded in several threads; while one repeats the import, another would see half of the module."""


def import_torchaudio() -> ModuleType:
    """Import torchaudio; several threads may call this at once.

    The Linux wheels of torchaudio are built for CUDA: beside a CPU torch their compiled libraries do not load, and
    the whole import fails. MFCC, MelSpectrogram, resample and SpeedPerturbation need no compiled library. A stand-in
    for the module that loads the libraries makes the second import succeed, in this process alone.

    Raises:
        UserError: If torchaudio is not installed.
        OSError: If its libraries do not load beside a torch with CUDA.
    """
    with _LOCK:
        return _import()


def _import() -> ModuleType:
    try:
        import torchaudio
    except ModuleNotFoundError as error:
        if error.name != "torchaudio":
            raise
        raise UserError(f"torchaudio is not installed: {install_command('audio')}") from error
    except OSError:
        import torch

        if torch.version.cuda is not None:
            raise
        extension = ModuleType("torchaudio._extension")
        # All names that torchaudio 2.11 reads from this module.
        vars(extension).update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False, _load_lib=lambda name: False, fail_if_no_align=lambda function: function
        )
        sys.modules[extension.__name__] = extension
        import torchaudio
    return torchaudio
