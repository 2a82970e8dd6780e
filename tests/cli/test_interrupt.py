"""Signals, and what they leave behind."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "run_info"
    }


def last(text):
    return text.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_ends_within_two_seconds_and_resumes(pomona, sample_tree, tmp_path, number):
    output = tmp_path / "output"
    job = [pomona, "run", sample_tree, output, "--run-id", "r", "--pca-components", "5"]
    with subprocess.Popen([*job, "--threads", "1"], stderr=subprocess.PIPE, text=True) as process:
        while not (output / "_pomona" / "fragments").is_dir():
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=2)
    assert process.returncode == 128 + number, errors
    told = re.fullmatch(r"pomona: interrupted; (\d+) of 120 images are kept.*", last(errors))
    nothing = "pomona: interrupted; no images were finished: run the same command again"
    assert told or last(errors) == nothing, errors
    assert [path.name for path in output.iterdir()] == ["_pomona"]

    undisturbed = tmp_path / "undisturbed"
    for folder in (output, undisturbed):
        job[3] = folder
        finished = subprocess.run(job, check=True, capture_output=True, text=True)
        if folder == output and told:
            resumed = re.search(r"resumed (\d+) items", finished.stdout)
            assert resumed and int(resumed[1]) == int(told[1])
    assert files(output) == files(undisturbed)


def test_a_disk_that_does_not_answer_delays_no_signal(pomona, sample_tree, tmp_path):
    """The process ends within two seconds although a flush takes ten."""
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
    environment = {**os.environ, **preload, "FAULT_ACTION": "slow", "FAULT_AT": str(at)}
    with subprocess.Popen(job, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (output / "_pomona" / "fragments").is_dir():
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=2)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "pomona: interrupted\n"
    subprocess.run(job, check=True)


def test_reader_that_leaves_does_no_harm(pomona, sample_tree, tmp_path):
    job = f"'{pomona}' run '{sample_tree}' '{tmp_path}/o' --pca-components 5 --run-id r | true"
    subprocess.run(["bash", "-c", job], check=True, capture_output=True)
    assert (tmp_path / "o/run_info/run_info_r/_SUCCESS").exists()
