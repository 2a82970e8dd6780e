"""--cache: objects kept on a local disk."""

import json
import os
import subprocess

import pytest
from compare import assert_same
from proxy import Proxy

OPTIONS = ["--run-id", "test", "--quiet", "--pca-components", "10", "--vectors", "spark"]


@pytest.fixture
def proxy(bucket):
    """To the program one server, whose objects it knows again."""
    with Proxy(bucket.endpoint) as proxy:
        yield proxy


@pytest.fixture
def cached(bucket, proxy, sample_tree, tmp_path):
    """Runs over a tree of the test's own; the run and what it asked the server for."""
    bucket.upload(sample_tree, "in")
    numbers = iter(range(100))

    def cached(*arguments):
        output = tmp_path / f"out{next(numbers)}"
        options = [*OPTIONS, "--cache", tmp_path / "cache", "--s3-endpoint", proxy.endpoint]
        proxy.log.clear()
        finished = bucket.run("run", bucket.url("in"), output, *options, *arguments)
        assert finished.returncode == 0, finished.stderr
        fetched = [path for verb, path in proxy.log if verb == "GET" and "list-type" not in path]
        info = json.loads((output / "run_info/run_info_test/part-00000.json").read_text())
        assert info["s3"]["reads"]["requests"] == len(fetched)
        return output, fetched

    return cached


def entries(cache):
    return [path for path in cache.rglob("*") if path.is_file()]


def test_nothing_is_read_twice(cached, bucket, sample_tree, sample_run, tmp_path):
    same = (sample_run, bucket.url("in"), sample_tree)
    output, fetched = cached()
    assert_same(output, *same)
    assert len(fetched) == 120
    output, fetched = cached()
    assert_same(output, *same)
    assert fetched == []
    assert len(entries(tmp_path / "cache")) == 120
    # Another state of an object, and a new object, are fetched; nothing else is.
    lemon = next(sample_tree.glob("Training/Lemon/*")).read_bytes()
    bucket.put("in/Training/Lemon/new.jpg", lemon)
    bucket.put("in/Training/Lemon/" + next(sample_tree.glob("Training/Lemon/*")).name, lemon + b"0")
    _, fetched = cached()
    assert len(fetched) == 2


def test_a_damaged_entry_costs_a_fetch(cached, bucket, sample_tree, sample_run, tmp_path):
    cached()
    damaged = entries(tmp_path / "cache")[::10]
    for number, path in enumerate(damaged):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content if number % 2 else content[: len(content) // 2])
    output, fetched = cached()
    assert len(fetched) == len(damaged) == 12
    assert_same(output, sample_run, bucket.url("in"), sample_tree)
    assert cached()[1] == []


def test_processes_share_it_within_its_size(
    cached, proxy, bucket, sample_tree, sample_run, tmp_path
):
    cache = tmp_path / "cache"
    command = ["check", bucket.url("in"), "--cache", cache, "--cache-size", "200K"]
    command += ["--s3-endpoint", proxy.endpoint]
    checks = [bucket.start(*command) for _ in range(4)]
    for check in checks:
        check.communicate()
    assert [check.returncode for check in checks] == [0] * 4
    assert not list(cache.rglob("writing-*"))
    # Each counts what it writes itself until it counts all.
    kept = sum(path.stat().st_size for path in entries(cache))
    assert 50 << 10 < kept < (200 << 10) * (1 + 4 / 16)
    output, fetched = cached("--cache-size", "200K")
    assert 0 < len(fetched) < 120
    assert_same(output, sample_run, bucket.url("in"), sample_tree)


def test_a_full_disk_costs_fetches(cached, bucket, sample_tree, sample_run, tmp_path):
    (tmp_path / "cache").mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path / "cache"]
    mounted = os.geteuid() == 0 and subprocess.run(small, capture_output=True, check=False)
    if not mounted or mounted.returncode != 0:
        pytest.skip("a small disk needs privileges to mount it")
    try:
        output, fetched = cached()
    finally:
        subprocess.run(["umount", tmp_path / "cache"], check=True)
    assert len(fetched) == 120
    assert_same(output, sample_run, bucket.url("in"), sample_tree)


def test_a_folder_that_cannot_be_one_is_an_error(bucket, sample_tree, tmp_path):
    bucket.upload(sample_tree, "in")
    (tmp_path / "file").touch()
    for option, words in {
        ("--cache", tmp_path / "file"): f"{tmp_path / 'file'}",
        ("--cache-size", "much"): "cache-size 'much': expected a number of bytes, such as",
    }.items():
        finished = bucket.run("check", bucket.url("in"), *option)
        assert finished.returncode != 0
        assert words in finished.stderr
