"""Signals, and what they leave behind."""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest
from runs import files

# Seconds after which a process hangs: none of the tests is about the speed of the machine.
HANGS = 120

OPTIONS = ["--run-id", "r", "--pca-components", "5"]


@pytest.fixture(scope="module")
def long_tree(sample_tree, tmp_path_factory):
    """600 images: some seconds of work for one thread."""
    tree = tmp_path_factory.mktemp("long")
    for copy in range(5):
        shutil.copytree(sample_tree, tree / str(copy))
    return tree


@pytest.fixture(scope="module")
def undisturbed(pomona, long_tree, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "output"
    subprocess.run([pomona, "run", long_tree, output, *OPTIONS], check=True, capture_output=True)
    return output


def cpu_seconds(process):
    """What a running process has used so far."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_fragments(process, output):
    while not (output / "_pomona" / "fragments").is_dir():
        assert process.poll() is None
        time.sleep(0.01)


def last(text):
    return text.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_ends_soon_and_resumes(pomona, long_tree, undisturbed, tmp_path, number):
    """With two seconds of work at most, however long the machine takes for them."""
    output = tmp_path / "output"
    job = [pomona, "run", long_tree, output, *OPTIONS]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen([*job, "--threads", "1"], stderr=subprocess.PIPE, text=True) as process:
        wait_for_fragments(process, output)
        process.send_signal(number)
        at_signal = cpu_seconds(process)
        _, errors = process.communicate(timeout=HANGS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used - at_signal < 2
    assert process.returncode == 128 + number, errors
    told = re.fullmatch(r"pomona: interrupted; (\d+) of 600 images are kept.*", last(errors))
    nothing = "pomona: interrupted; no images were finished: run the same command again"
    assert told or last(errors) == nothing, errors
    assert [path.name for path in output.iterdir()] == ["_pomona"]

    finished = subprocess.run(job, check=True, capture_output=True, text=True)
    if told:
        resumed = re.search(r"resumed (\d+) items", finished.stdout)
        assert resumed and int(resumed[1]) == int(told[1])
    assert files(output) == files(undisturbed)


def test_a_disk_that_does_not_answer_delays_no_signal(pomona, sample_tree, tmp_path):
    """The process ends although a flush does not."""
    fault = pathlib.Path(pomona).parent / "tests/reliability/libfault.so"
    if not fault.exists():
        pytest.skip(f"there is no {fault}")
    output, log = tmp_path / "output", tmp_path / "log"
    job = [pomona, "run", sample_tree, output, "--limit", "9", "--pca-components", "2", "--quiet"]
    preload = {"LD_PRELOAD": str(fault), "FAULT_ROOT": str(output), "FAULT_LOG": str(log)}
    subprocess.run(job, env={**os.environ, **preload}, check=True)
    shutil.rmtree(output)
    # The first call of a fragment: its file is about to be created.
    names = re.findall(rb"^(?:failed\t)?[a-z]+\t(%b/.*)$" % bytes(tmp_path), log.read_bytes(), re.M)
    at = next(i for i, name in enumerate(names, 1) if b"/fragments/" in name)
    log.unlink()
    environment = {**os.environ, **preload, "FAULT_ACTION": "hang", "FAULT_AT": str(at)}
    with subprocess.Popen(job, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + HANGS
        while not (log.exists() and log.read_bytes().endswith(b"hangs\n")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "pomona: interrupted\n"
    subprocess.run(job, check=True)


def test_reader_that_leaves_does_no_harm(pomona, sample_tree, tmp_path):
    job = f"'{pomona}' run '{sample_tree}' '{tmp_path}/o' --pca-components 5 --run-id r | true"
    subprocess.run(["bash", "-c", job], check=True, capture_output=True)
    assert (tmp_path / "o/run_info/run_info_r/_SUCCESS").exists()
