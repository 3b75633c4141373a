"""How to install what an extra needs; a leaf that every module may import."""

import shlex
from importlib.metadata import PackageNotFoundError, requires


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra, into a clone as into an installed wheel.

    The packages are named one by one: the project itself is in no package index.
    """
    try:
        declared = requires("hyperseq") or []
    except PackageNotFoundError:
        return f'pip install -e ".[{extra}]" in the root of the clone'
    wanted = [each.split(";")[0].strip() for each in declared if f'extra == "{extra}"' in each.replace("'", '"')]
    return shlex.join(["pip", "install", *wanted])
