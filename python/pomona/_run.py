"""The whole job."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Unpack

from . import _core, _options


def run(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: Callable[[str, int, int], object] | None = None,
    **options: Unpack[_options.RunOptions],
) -> _core.RunSummary:
    """Runs the job on the tree `input` and publishes it in the folder `output`.

    Both may be `s3://bucket/prefix`. The options are those of `pomona run --help`, with `_` for
    `-`; a flag is True or False, globs are a string or a list. What is not given has the program's
    default.

    `progress(stage, done, total)` is called several times a second. What it raises, and Ctrl-C,
    stops the run, which the same call resumes. What the user should know besides goes to the
    logger "pomona".

    Raises ValueError for options or input that cannot work, OSError (FileNotFoundError for a folder
    that is not there), MemoryError, OutputBusy where another run is writing to `output`, and
    TooManyRejects. Nothing is published then.
    """
    _options.check(options)
    log = logging.getLogger("pomona").warning
    return _core.run(os.fspath(input), os.fspath(output), progress, log, dict(options))
