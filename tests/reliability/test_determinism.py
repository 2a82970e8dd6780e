"""The same bytes whatever the number of threads, the order of the folders and the interruptions."""

import collections
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from conftest import RUN, files_of


def shuffle(tree):
    """Enters the files anew in another order, in which file systems tend to list them."""
    files = [path for path in tree.rglob("*") if path.is_file()]
    kept = [(path, path.read_bytes(), path.stat()) for path in files]
    shutil.rmtree(tree)
    random.Random(5).shuffle(kept)
    for path, data, info in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_and_order_do_not_show(changing, threads):
    lab = changing

    def listing():
        labels = ("Apple", "Pear")
        return [[entry.name for entry in os.scandir(lab.tree / label)] for label in labels]

    before = listing()
    shuffle(lab.tree)
    assert listing() != before
    output = lab.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    assert lab.run(output, threads=threads).returncode == 0
    assert files_of(output, RUN) == lab.expected


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_interruptions_do_not_show(lab, threads):
    output = lab.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    job = lab.command(output, threads=threads, delay_us=20_000)
    for _ in range(3):
        with subprocess.Popen(job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(0.08)
            process.send_signal(signal.SIGKILL)
    finished = lab.run(output, threads=threads)
    assert finished.returncode == 0 or "already published" in finished.stderr
    assert files_of(output, RUN) == lab.expected


def test_a_fragment_is_opened_once_for_each_use(lab):
    """For the moments, the features in all formats, the projections and the errors."""
    calls = lab.calls(lab.new_output(), opens=1)
    opened = collections.Counter(
        words[1] for words in calls if words[0] == "look" and "/_pomona/fragments/" in words[1]
    )
    fragments = {path: count for path, count in opened.items() if path.endswith(".safetensors")}
    assert len(fragments) == 4, opened
    assert set(fragments.values()) == {4}, fragments
