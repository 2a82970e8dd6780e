"""Deep features and principal components of labelled images, natively and fast.

`run` does the whole job on a tree of images; `Extractor`, `Moments` and `PCA` are its parts, over
Arrow; `pomona.spark` runs them on a cluster. See docs/python.md of the project.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable

import pyarrow  # noqa: F401  its shared libraries are what the module is linked to

from ._core import (
    PCA,
    Extractor,
    Moments,
    OutputBusy,
    RunSummary,
    TooManyRejects,
    __version__,
)
from ._core import run as _run

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import RunOptions

__all__ = [
    "PCA",
    "Extractor",
    "Moments",
    "OutputBusy",
    "RunSummary",
    "TooManyRejects",
    "__version__",
    "run",
]


def run(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: Callable[[str, int, int], object] | None = None,
    **options: Unpack[RunOptions],
) -> RunSummary:
    """Runs the job on the tree `input` and publishes it in the folder `output`.

    The options are those of `pomona run --help`, with `_` for `-`; a flag is True or False, globs
    are a string or a list. What is not given has the program's default.

    `progress(stage, done, total)` is called several times a second. What it raises, and Ctrl-C,
    stops the run, which the same call resumes.

    Raises ValueError for options or input that cannot work, OSError, OutputBusy where another run
    is writing to `output`, and TooManyRejects. Nothing is published then.
    """
    return _run(os.fspath(input), os.fspath(output), progress, options)
