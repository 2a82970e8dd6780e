"""`pomona delete`, killed anywhere: the run is there whole or not at all, the same command finishes
what is left, and so does the next run."""

import itertools
import os
import signal
import subprocess

import pytest
from conftest import BEFORE, calls_in, paths_of


def delete(lab, pomona, output, **faults):
    return subprocess.run(
        [pomona, "delete", output, "--run-id", BEFORE, "--yes"],
        env=lab.environment(output, **faults),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def left(output):
    """The files of the run."""
    return paths_of(output, BEFORE)


def test_calls(lab, pomona):
    """run_info goes first, and nothing of it is lost before it has left its place."""
    log = lab.folder / "log"
    log.unlink(missing_ok=True)
    output = lab.new_output()
    assert delete(lab, pomona, output, log=log).returncode == 0
    calls = calls_in(log)
    moved = [call[1] for call in calls if call[0] == "rename" and f"_{BEFORE}" in call[1]]
    assert moved[0].endswith(f"run_info/run_info_{BEFORE}")
    assert len(moved) == len(list(lab.template.rglob(f"*_{BEFORE}")))
    assert left(output) == []
    assert not (output / "_pomona").exists()


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("by", ["delete", "run"])
def test_killed_anywhere(lab, pomona, by, step):
    kills = 0
    for at in itertools.count(1, step):
        output = lab.new_output()
        killed = delete(lab, pomona, output, at=at, action="kill").returncode == -signal.SIGKILL
        kills += killed
        published = (output / f"run_info/run_info_{BEFORE}").exists()
        if published:
            lab.check_intact(output)
        if not killed:
            break
        if by == "run":
            assert lab.run(output).returncode == 0
            assert published or left(output) == []
        else:
            # Where all is gone but the lock's file, there is no run any more.
            all_gone = not left(output) and not (output / "_pomona/publishing").exists()
            done = delete(lab, pomona, output)
            assert done.returncode == (1 if all_gone else 0), done.stderr
            assert left(output) == []
            if all_gone:
                continue
        assert not (output / "_pomona").exists()
    assert kills > 60 // step


def test_an_error_of_the_disk(lab, pomona):
    """One line with the path and the cause, and the same command finishes."""
    output = lab.new_output()
    for at in range(1, 30, 3):
        failed = delete(lab, pomona, output, at=at, action=5)
        if failed.returncode:
            assert failed.returncode == 1
            assert f": {os.strerror(5)}" in failed.stderr and failed.stderr.count("\n") == 1
            assert str(output) in failed.stderr
        if not left(output):
            output = lab.new_output()
    assert delete(lab, pomona, output).returncode == 0
    assert left(output) == []
