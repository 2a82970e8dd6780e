"""Interruptions, none of which is lost.

Python drops what a handler raises while a file object, such as an answer's body, is finalised. So
the handler takes note, too, and whatever waits for AWS looks.
"""

import signal
import time

_noted: list[int] = []


def _interrupt(which, _):
    _noted.append(which)
    raise KeyboardInterrupt


def watch():
    """Makes both signals raise KeyboardInterrupt, but for one that whoever started us ignores."""
    for which in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(which) is not signal.SIG_IGN:
            signal.signal(which, _interrupt)


def forget():
    """For whoever has caught an interruption, and waits for what has to be done yet."""
    _noted.clear()


def check():
    """Raises KeyboardInterrupt for one that was lost."""
    if _noted:
        raise KeyboardInterrupt


def wait(seconds):
    check()
    time.sleep(seconds)
