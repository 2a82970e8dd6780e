"""SIGKILL anywhere. After it, what was published is intact, and the same command finishes the run
with the bytes of an undisturbed one."""

import random
import shutil
import signal
import subprocess
import time

import pytest
from conftest import RUN, files_of


def kill(lab, output, at, action="kill", **options):
    """True if the run was killed, False if it ended before its call number `at`."""
    finished = lab.run(output, faults={"at": at, "action": action}, **options)
    assert finished.returncode in (0, 1, -signal.SIGKILL), finished.stderr
    return finished.returncode == -signal.SIGKILL


def kill_at_every_call(lab, action, step):
    calls = lab.calls(lab.new_output())
    kills = 0
    for at in range(1, len(calls) + 1, step):
        output = lab.new_output()
        kills += kill(lab, output, at, action)
        lab.check_resumes(output)
    return kills, len(calls)


def kill_twice(lab, times):
    """The run and the one that resumes it."""
    calls = len(lab.calls(lab.new_output()))
    numbers = random.Random(times)
    kills = 0
    for _ in range(times):
        output = lab.new_output()
        kills += kill(lab, output, numbers.randint(1, calls), numbers.choice(["kill", "torn"]))
        lab.check_intact(output)
        kills += kill(lab, output, numbers.randint(1, calls), numbers.choice(["kill", "torn"]))
        lab.check_resumes(output)
    return kills


def kill_at_random_times(lab, times):
    """With threads, and long enough that a kill hits every stage."""
    numbers = random.Random(times)
    kills = 0
    for _ in range(times):
        output = lab.new_output()
        for fresh in (1, 0):
            job = lab.command(output, threads=3, delay_us=20_000, fresh=fresh, save=0)
            with subprocess.Popen(
                job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                time.sleep(numbers.uniform(0.005, 0.12))
                process.kill()
            kills += process.returncode == -signal.SIGKILL
            lab.check_intact(output)
        lab.check_resumes(output)
    return kills


def test_a_kill_costs_what_was_done_since_the_last_save(lab):
    """An unfinished fragment is stored every so often, and its rows are taken over."""
    sizes = {"threads": 1, "fragment": 4096, "part": 4096}
    undisturbed, output = lab.folder / "undisturbed", lab.new_output()
    shutil.rmtree(undisturbed)
    assert lab.run(undisturbed, **sizes).returncode == 0
    shutil.rmtree(output)
    job = lab.command(output, delay_us=150_000, save=0, **sizes)
    with subprocess.Popen(job, stdout=subprocess.DEVNULL) as process:
        while not list(output.glob("_pomona/fragments/*.partial.safetensors")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    finished = lab.run(output, **sizes)
    words = finished.stdout.split()
    assert int(words[words.index("resumed") + 1]) >= 1, finished
    assert files_of(output, RUN) == files_of(undisturbed, RUN)


def test_a_sample_of_all_calls(lab):
    assert kill_at_every_call(lab, "kill", step=7)[0] >= 30
    assert kill_twice(lab, 30) >= 40
    assert kill_at_random_times(lab, 10) >= 5


@pytest.mark.long
@pytest.mark.parametrize("action", ["kill", "torn"])
def test_every_call(lab, action):
    kills, calls = kill_at_every_call(lab, action, step=1)
    print(f"{kills} kills at {calls} calls")
    assert kills == calls


@pytest.mark.long
def test_two_thousand_kills(lab):
    kills = kill_twice(lab, 1000) + kill_at_random_times(lab, 150)
    print(f"{kills} kills")
    assert kills >= 2000
