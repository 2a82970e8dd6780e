"""The whole job."""

from __future__ import annotations

import html
import logging
import os
from typing import Any, Unpack

from . import _audit, _core, _html, _options, _progress, _tables


class RunSummary(_core.RunSummary):
    """A published run, or what a shard made of one; its tables are those of pomona.Run.

    `audit`: what its audit found, where one was asked for."""

    audit: _core.AuditSummary | None = None

    def __init__(self, made: _core.RunSummary, output: str, s3: dict[str, Any]) -> None:
        super().__init__(made)
        # Where it is, wherever this process goes.
        self.output = output if ":/" in output else os.path.abspath(output)
        self._s3 = s3

    features = _tables.features
    pca = _tables.pca
    metadata = _tables.metadata
    images = _tables.images
    errors = _tables.errors
    variance = _tables.variance

    def _repr_html_(self) -> str:
        try:
            return _html.run(_tables.contents(self), self.output)
        except (OSError, ValueError):  # not published yet, or not any more
            return f"<pre>{html.escape(repr(self))}</pre>"


def run(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: _progress.Progress = None,
    audit: bool = False,
    **options: Unpack[_options.RunOptions],
) -> RunSummary:
    """Runs the job on the tree `input` and publishes it in the folder `output`.

    Both may be `s3://bucket/prefix`. The options are those of `pomona run --help`, with `_` for
    `-`; a flag is True or False, globs are a string or a list. What is not given has the program's
    default.

    `progress`: True or "auto" for a bar (of tqdm where it is installed, in notebooks too; else
    lines on standard error), or a function that is called as progress(stage, done, total) several
    times a second. What it raises, and Ctrl-C, stops the run, which the same call resumes. What
    the user should know besides goes to the logger "pomona".

    `audit`: call pomona.audit() once the run is published, with default options, for the summary's
    `audit`. The run stays published where that raises, and a note of the exception says so. Not
    with `shard`, as any of the shards may publish the run.

    Raises ValueError for options or input that cannot work, OSError (FileNotFoundError for a folder
    that is not there), MemoryError, OutputBusy where another run is writing to `output`, and
    TooManyRejects. Nothing is published then.
    """
    _options.check(options, "progress", "audit")
    if audit and options.get("shard"):
        raise ValueError("audit: not with shard; call pomona.audit() after the last of them")
    log = logging.getLogger("pomona").warning
    output = os.fspath(output)
    with _progress.hook(progress) as hook:
        made = _core.run(os.fspath(input), output, hook, log, dict(options))
    s3: dict[str, Any] = {name: value for name, value in options.items() if name.startswith("s3_")}
    summary = RunSummary(made, output, s3)
    if audit:
        try:
            summary.audit = _audit.audit(
                output,
                made.run_id,
                threads=_core.RunOptions(threads=options.get("threads")).threads,
                progress=progress,
                **s3,
            )
        except BaseException as error:
            error.add_note(
                f"The run {made.run_id} is published, but was not audited; "
                f"pomona.audit({output!r}, {made.run_id!r}) does it."
            )
            raise
    return summary
