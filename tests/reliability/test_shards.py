"""Shards that are killed anywhere and run again: once, and with the bytes of one process."""

import random
import signal

import pytest
from conftest import calls_in, is_published

SHARDS = ["1/3", "2/3", "3/3"]


def kill_and_repeat(lab, times):
    """Every shard is killed at a random call of its own and run again, in a random order."""
    numbers = random.Random(times)
    kills = 0
    for _ in range(times):
        output = lab.new_output()
        for shard in numbers.sample(SHARDS, len(SHARDS)):
            at, action = numbers.randint(1, 150), numbers.choice(["kill", "torn"])
            finished = lab.run(output, faults={"at": at, "action": action}, shard=shard)
            assert finished.returncode in (0, 1, -signal.SIGKILL), finished.stderr
            kills += finished.returncode == -signal.SIGKILL
            lab.check_intact(output)
            killed_late = finished.returncode != 0 and is_published(output)
            again = lab.run(output, shard=shard)
            assert again.returncode == 0, again.stderr
            lab.check_intact(output)
        assert is_published(output)
        # What a process leaves that is killed after it has published, the next run removes.
        assert killed_late or not (output / "_pomona").exists()
    return kills


def test_killed_shards(lab):
    kills = kill_and_repeat(lab, 10)
    print(f"{kills} kills")
    assert kills >= 10


@pytest.mark.long
def test_many_killed_shards(lab):
    kills = kill_and_repeat(lab, 400)
    print(f"{kills} kills")
    assert kills >= 400


def test_merge_publishes_what_shards_made(lab):
    def first_two():
        output = lab.new_output()
        for shard in SHARDS[:2]:
            assert lab.run(output, shard=shard).returncode == 0
        return output

    output = first_two()
    merged = lab.run(output, shard="merge")
    assert merged.returncode == 1
    assert "are not made yet; run the shards that failed again" in merged.stderr

    # The last one is killed while it publishes.
    log = lab.folder / "log"
    log.unlink(missing_ok=True)
    assert lab.run(output, faults={"log": log}, shard=SHARDS[2]).returncode == 0
    at = len(calls_in(log)) * 3 // 4
    output = first_two()
    killed = lab.run(output, faults={"at": at, "action": "kill"}, shard=SHARDS[2])
    assert killed.returncode == -signal.SIGKILL
    assert not is_published(output)
    merged = lab.run(output, shard="merge")
    assert merged.returncode == 0, merged.stderr
    lab.check_intact(output)
    assert is_published(output)
