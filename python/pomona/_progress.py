"""How far a run is, for people: a bar of tqdm's, or lines of text."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

# Called as hook(stage, done, total).
Hook = Callable[[str, int, int], object]

# What users may give: True and "auto" mean a bar.
Progress = Hook | bool | Literal["auto"] | None

_LOG_SECONDS = 5


@contextlib.contextmanager
def hook(progress: Progress) -> Iterator[Hook | None]:
    """The function that the core calls."""
    if progress is None or progress is False:
        yield None
    elif callable(progress):
        yield progress
    elif progress is True or progress == "auto":
        shown = _bar()
        try:
            yield shown
        finally:
            shown.finish()
    else:
        raise ValueError(
            f"progress {progress!r}: expected True, 'auto', False or a function of (stage, done, "
            "total)"
        )


def _bar() -> Bar | Lines:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Lines(lambda line: print(line, file=sys.stderr, flush=True))
    return Bar(tqdm)


class Bar:
    """One of tqdm's, which begins anew with each stage."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._bar is None:
            # We are called every so often anyhow.
            self._bar = self._tqdm(miniters=1, dynamic_ncols=True)
        if stage != self._stage:
            self._stage = stage
            self._bar.reset()
            self._bar.set_description(stage, refresh=False)
            in_bytes = stage == "upload"
            self._bar.unit, self._bar.unit_scale = ("B", True) if in_bytes else ("it", False)
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Lines:
    """Says every few seconds how far a run is, as `pomona run --progress log` does."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._stage = ""
        self._began = self._said = 0.0
        self._done_before = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self.finish()
            self._stage, self._began, self._said, self._done_before = stage, now, now, done
        elif now - self._said >= _LOG_SECONDS:
            self._said = now
            self._say(self._line(done, total, now - self._began))

    def finish(self) -> None:
        """Says how long the stage took that ends now."""
        if self._stage:
            self._say(f"{self._stage}: {time.monotonic() - self._began:.1f} s")

    def _line(self, done: int, total: int, seconds: float) -> str:
        rate = (done - self._done_before) / seconds
        line = f"{self._stage} {done}"
        if total > 0:
            line += f"/{total} {100 * done // total}%"
        line += f"  {rate:.0f}/s"
        if rate > 0 and total > done:
            line += f"  {_duration((total - done) / rate)} left"
        return line


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
