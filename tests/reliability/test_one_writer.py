"""One run at a time writes to an output."""

import errno
import os
import signal
import subprocess
import time

import pytest
from conftest import RUN, files_of, is_published, whole_output

PROCESSES = 8


def race(lab, faults):
    """Starts PROCESSES runs into one output at once; returns their exit codes and the output."""
    output = lab.new_output()
    gate = lab.folder / "gate"
    gate.unlink(missing_ok=True)
    runs = [
        subprocess.Popen(
            lab.command(output, gate=gate),
            env=lab.environment(output, **faults),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    while sum(run.poll() is None for run in runs) > 1:
        time.sleep(0.005)
    gate.touch()
    errors = [run.communicate(timeout=240)[1] for run in runs]
    codes = [run.returncode for run in runs]
    for code, error in zip(codes, errors, strict=True):
        assert code in (0, 4), error
        assert code == 0 or "another run is writing to " + str(output) in error
    return codes, output


def check_races(lab, times):
    for _ in range(times):
        codes, output = race(lab, {})
        assert sorted(codes) == [0] + [4] * (PROCESSES - 1)
        lab.check_intact(output)
        assert is_published(output) and not (output / "_pomona").exists()


def test_one_wins_and_seven_exit_4(lab):
    check_races(lab, 10)


@pytest.mark.long
def test_one_wins_a_hundred_times(lab):
    check_races(lab, 100)


def test_at_most_one_wins_without_flock(lab):
    for _ in range(10):
        codes, output = race(lab, {"flock": errno.ENOLCK})
        assert codes.count(0) <= 1
        assert is_published(output) == (0 in codes)
        lab.check_resumes(output)


def start_and_stop(lab, output, **faults):
    """A run that stands still amid its work, with a process that is stopped."""
    process = subprocess.Popen(
        lab.command(output, gate="never"),
        env=lab.environment(output, **faults),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (output / "_pomona/fragments").is_dir():
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)  # until it stands still
    return process


@pytest.mark.parametrize("faults", [{}, {"flock": errno.ENOSYS}])
def test_second_writer_changes_nothing_and_a_dead_one_holds_nothing(lab, faults):
    output = lab.new_output()
    first = start_and_stop(lab, output, **faults)
    try:
        everything = {path: path.stat().st_mtime_ns for path in output.rglob("*.*")}
        second = lab.run(output, faults=faults)
        assert second.returncode == 4, second.stderr
        assert {path: path.stat().st_mtime_ns for path in output.rglob("*.*")} == everything
    finally:
        first.kill()
        first.wait()
    assert lab.run(output, faults=faults).returncode == 0
    assert files_of(output, RUN) == lab.expected
    assert not (output / "_pomona").exists()


def test_an_owner_on_another_host_is_named(lab):
    output = lab.new_output()
    owner = output / "_pomona/owner@elsewhere@boot@17@42"
    owner.parent.mkdir()
    owner.touch()
    before = whole_output(output)
    finished = lab.run(output, faults={"flock": errno.ENOLCK})
    assert finished.returncode == 4
    assert f"process 17 on elsewhere holds it; if it is dead, remove {owner}" in finished.stderr
    assert set(os.listdir(output / "_pomona")) == {"lock", owner.name}
    assert whole_output(output) == before
