"""An interruption ends the script wherever Python raises it."""

import importlib
import io
import signal

import pytest
from account import DEPLOY


class InterruptedWhileClosed(io.RawIOBase):
    def close(self):
        if not self.closed:
            super().close()
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def interruption(monkeypatch):
    monkeypatch.syspath_prepend(str(DEPLOY))
    handlers = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where whoever tests ignores it
    module = importlib.import_module("pomona_aws.interruption")
    module.watch()
    yield module
    module.forget()
    for which, handler in handlers.items():
        signal.signal(which, handler)


def test_one_that_python_drops(interruption):
    body = InterruptedWhileClosed()
    del body  # raises nothing
    with pytest.raises(KeyboardInterrupt):
        interruption.wait(0)


def test_one_that_was_caught_does_not_come_again(interruption):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    interruption.forget()
    interruption.wait(0)


def test_a_signal_that_is_ignored_stays_ignored(interruption):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `nohup` and shells without job control do
    interruption.watch()
    signal.raise_signal(signal.SIGINT)
    interruption.wait(0)
