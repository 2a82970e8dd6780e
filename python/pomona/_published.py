"""Published runs: found, read, removed."""

from __future__ import annotations

import functools
import json
import os
from typing import Any, Unpack

from . import _core, _html, _options, _tables


class Run:
    """A published run of `output`, a folder or `s3://bucket/prefix`; the latest without `run_id`.

    Its tables are read when they are asked for, and whole: a part of 20,480 images has 105 MB of
    features. `print(run)` and a notebook show what `pomona show` does.

    Raises ValueError where there is no such run, OSError where it cannot be reached.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        run_id: str | None = None,
        **s3: Unpack[_options.S3Options],
    ) -> None:
        self._s3: dict[str, Any] = dict(s3)
        found = _core.PublishedOutput(os.fspath(output), self._s3)
        self.output: str = found.location
        self.run_id: str = found.run(run_id or "").run_id

    features = _tables.features
    pca = _tables.pca
    metadata = _tables.metadata
    images = _tables.images
    errors = _tables.errors
    variance = _tables.variance

    @functools.cached_property
    def info(self) -> dict[str, Any]:
        """Its run_info: counts, seconds, options, versions."""
        found = _core.PublishedOutput(self.output, self._s3).run(self.run_id)
        if found.problem:
            raise ValueError(found.problem)
        return json.loads(found.info)

    def __repr__(self) -> str:
        return f"<pomona.Run {self.run_id} of {self.output!r}>"

    def __str__(self) -> str:
        return str(_tables.contents(self)).rstrip()

    def _repr_html_(self) -> str:
        return _html.run(_tables.contents(self), self.output)


class Runs(list[Run]):
    """The runs of an output, the newest first; prints as `pomona show` does."""

    def __init__(self, output: str | os.PathLike[str], s3: _options.S3Options) -> None:
        opened = _core.PublishedOutput(os.fspath(output), dict(s3))
        self._output = opened.location
        self._found = opened.runs()
        for one in self._found:
            run = Run.__new__(Run)  # nothing is to be looked for any more
            run.output, run.run_id, run._s3 = self._output, one.run_id, dict(s3)
            self.append(run)

    def __repr__(self) -> str:
        return _core.describe_runs(self._found).rstrip()

    def _repr_html_(self) -> str:
        return _html.runs(self._found, self._output)


def runs(output: str | os.PathLike[str], **s3: Unpack[_options.S3Options]) -> Runs:
    """The published runs of a folder or of `s3://bucket/prefix`, the newest first.

    Raises ValueError where there is none, OSError where nobody can say.
    """
    return Runs(output, s3)


def show(
    output: str | os.PathLike[str], run_id: str | None = None, **s3: Unpack[_options.S3Options]
) -> None:
    """Prints what `pomona show` does: the runs of an output, or what is in one of them."""
    print(Run(output, run_id, **s3) if run_id else Runs(output, s3))


def delete(output: str | os.PathLike[str], run_id: str, **s3: Unpack[_options.S3Options]) -> None:
    """Removes a run, without asking. What an interrupted call leaves is removed by the next one.

    Raises ValueError where there is no such run, or where its folders hold what is none of its
    files; OutputBusy where a run is writing to `output`; OSError.
    """
    _core.delete_run(os.fspath(output), run_id, dict(s3))
