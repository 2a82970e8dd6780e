"""Runs of a size that takes minutes."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.long

MIB = 1 << 20


@pytest.fixture(scope="module")
def large_tree(pomona, tmp_path_factory):
    """25,000 images: seven fragments, two parts."""
    tree = tmp_path_factory.mktemp("large")
    subprocess.run([pomona, "sample", tree, "--images", "25000"], check=True, capture_output=True)
    return tree


def run_info(output):
    return json.loads((output / "run_info/run_info_test/part-00000.json").read_text())


def files(output):
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("part-*")
        if not path.relative_to(output).parts[0].startswith("run_info")
    }


@pytest.fixture(scope="module")
def large(run, large_tree):
    return run(large_tree)


def test_memory_does_not_grow_and_threads_do_not_show(run, large_tree, large):
    small = run(large_tree, "--limit", "2000")
    assert run_info(large)["counts"]["rows"] == 25000
    peaks = [run_info(output)["peak_memory_bytes"] for output in (small, large)]
    assert peaks[1] < min(400 * MIB, peaks[0] + 60 * MIB)  # the features of all: 122 MiB

    parts = sorted((large / "features/parquet/features_test").glob("part-*"))
    rows = [pq.ParquetFile(part).metadata.row_group(0).num_rows for part in parts]
    assert rows == [20480, 4520]

    three_threads = run(large_tree, "--threads", "3")
    assert files(three_threads) == files(large)


def test_a_grown_tree_gives_the_same_bytes(pomona, large_tree, large, tmp_path):
    job = [pomona, "run", large_tree, tmp_path / "output", "--quiet", "--run-id"]
    # One in a hundred is left out at first: 21 of each of the twelve labels.
    subprocess.run([*job, "before", "--exclude", "*37_100.jpg"], check=True)
    subprocess.run([*job, "test"], check=True)
    info = run_info(tmp_path / "output")
    assert info["reused"] == {"rows": 25000 - 12 * 21, "run_id": "before"}
    assert {
        name: data for name, data in files(tmp_path / "output").items() if "_before/" not in name
    } == files(large)
