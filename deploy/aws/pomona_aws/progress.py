"""What the user reads meanwhile, on standard error."""

import sys
import time


class Progress:
    """Lines with the time since the start; the same line again only once a minute."""

    def __init__(self):
        self._start = time.monotonic()
        self._last = None
        self._said = 0.0

    def say(self, line):
        now = time.monotonic()
        if line == self._last and now - self._said < 60:
            return
        self._last, self._said = line, now
        minutes, seconds = divmod(int(now - self._start), 60)
        print(f"[{minutes:3}:{seconds:02}] {line}", file=sys.stderr, flush=True)


def complain(error):
    text = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
    print(f"deploy/aws: {text}", file=sys.stderr, flush=True)
