"""The signatures of all public names, compared with the file that was committed: no option changes unseen.

A change that is meant goes into the file by ``.venv/bin/python -m tests.test_public_api``, and so into the review.
"""

import importlib
import inspect
import textwrap
from pathlib import Path

from tests.test_layering import PUBLIC_NAMES

FILE = Path(__file__).with_name("public_api.txt")


def signature(name, function):
    """Names, order and defaults of the parameters; types are left to the type checker."""
    found = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name != "self"]
    line = name + str(found.replace(parameters=parameters, return_annotation=found.empty))
    return textwrap.fill(line, 120, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def signatures_of(name, value):
    """A function, or a class and the methods that the library gives it."""
    lines = [signature(name, value)]
    if inspect.isclass(value):
        methods = inspect.getmembers(value, inspect.isfunction)
        lines += [
            signature(f"{name}.{method}", function)
            for method, function in methods
            if method[0] != "_" and function.__module__.startswith("hyperseq.") and method != "extra_repr"
        ]
    return lines


def public_api():
    lines = []
    # hyperseq itself only repeats names of the others
    for module in sorted(set(PUBLIC_NAMES) - {"hyperseq"}):
        for name in PUBLIC_NAMES[module]:
            lines += signatures_of(f"{module}.{name}", getattr(importlib.import_module(module), name))
    return "\n".join(lines) + "\n"


def test_the_public_signatures_are_those_that_were_committed():
    assert public_api().splitlines() == FILE.read_text(encoding="utf-8").splitlines(), (
        "If the change is meant, say so in CHANGELOG.md and renew the file: python -m tests.test_public_api"
    )


def test_a_signature_shows_every_name_default_and_kind():
    class Layer:
        def __init__(self, width: int, *, rate: float = 1.0, mode: str = "a") -> None: ...

    def function(x, /, y=None, *rest, z): ...

    assert signatures_of("Layer", Layer) == ["Layer(width, *, rate=1.0, mode='a')"]
    assert signatures_of("f", function) == ["f(x, /, y=None, *rest, z)"]


if __name__ == "__main__":
    FILE.write_text(public_api(), encoding="utf-8")
