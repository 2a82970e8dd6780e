"""Memory is bounded at a million items, whether a run is new, resumed or takes features over."""

import os
import shutil
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.long

ITEMS = 1_000_000
MIB = 1 << 20
BOUND = 170 * MIB


@pytest.fixture
def large_tree(lab, memory_folder):
    """Links to a few images, a hundred folders of them."""
    tree = memory_folder / "million"
    sources = sorted((lab.tree / "Apple").glob("*.png"))
    for label in range(100):
        folder = tree / f"label_{label:03d}"
        folder.mkdir(parents=True)
        for i in range(label, ITEMS, 100):
            os.link(sources[i % len(sources)], folder / f"r_{i:07d}_100_of_a_million.png")
    yield tree
    shutil.rmtree(tree)


def test_a_million_items(lab, large_tree, tmp_path):
    if shutil.disk_usage(tmp_path).free < 12 * (1 << 30):
        pytest.skip(f"{tmp_path} has less than 12 GiB free")
    output = tmp_path / "output"

    def job(run_id):
        sizes = ["features=1280", "fragment=4096", "part=20480", "threads=2", "formats=parquet"]
        return [lab.driver, large_tree, output, run_id, *sizes]

    def finish(run_id):
        finished = subprocess.run(job(run_id), capture_output=True, text=True, check=True)
        words = finished.stdout.split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))

    with subprocess.Popen(job("first")) as process:
        while len(list((output / "_pomona/fragments").glob("*.safetensors"))) < 50:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    resumed = finish("first")
    assert resumed["rows"] == ITEMS and resumed["resumed"] >= 49 * 4096
    grown = finish("second")
    assert grown["rows"] == grown["reused"] == ITEMS
    print(f"peak MiB: resumed {resumed['peak'] // MIB}, grown {grown['peak'] // MIB}")
    assert resumed["peak"] < BOUND and grown["peak"] < BOUND


def test_ten_million_items(lab, tmp_path):
    """Most are skipped at once; rows and rejects are ten thousand each."""
    sizes = ["features=1280", "fragment=4096", "part=20480", "threads=2", "formats=parquet"]
    job = [lab.driver, "unread", tmp_path / "output", "run", "made_up=10000000", *sizes]
    finished = subprocess.run(job, capture_output=True, text=True, check=True)
    words = finished.stdout.split()
    counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    print(f"peak MiB: {counts['peak'] // MIB}")
    assert counts["rows"] == 10_000
    assert counts["peak"] < 200 * MIB
