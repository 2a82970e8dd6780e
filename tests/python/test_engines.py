"""The features and everything after them are the same bytes on every instruction set; OpenVINO,
where the build has it, agrees closely."""

import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from runs import files

SMALL = ["--limit", "24", "--pca-components", "5"]


def features(output):
    table = pq.read_table(output / "features/parquet/features_test")
    return np.stack(table["features"].to_numpy())


def run_or_skip(run, pomona, tree, *options):
    """Skips where this machine or build lacks what the options ask for."""
    probe = subprocess.run(
        [pomona, "run", tree, "/dev/null/no", *options], capture_output=True, text=True, check=False
    )
    if "lacks" in probe.stderr:
        pytest.skip(probe.stderr)
    return run(tree, *options)


@pytest.fixture(scope="module")
def best(run, sample_tree):
    return run(sample_tree, *SMALL)


@pytest.mark.parametrize("cpu", ["avx512", "avx2", "scalar"])
def test_all_outputs_are_the_same_bytes_on_every_cpu(run, pomona, sample_tree, best, cpu):
    assert files(run_or_skip(run, pomona, sample_tree, *SMALL, "--cpu", cpu)) == files(best)


def test_real_images_are_the_same_bytes_with_avx2(run, pomona, data, fruits_run):
    assert files(run_or_skip(run, pomona, data / "fruits", "--cpu", "avx2")) == files(fruits_run)


def test_openvino_agrees(run, pomona, data, fruits_run):
    libraries = subprocess.run([pomona, "version"], capture_output=True, text=True, check=True)
    if "openvino" not in libraries.stdout:
        pytest.skip("this build has no OpenVINO")
    openvino = features(run(data / "fruits", "--engine", "openvino"))
    native = features(fruits_run)
    assert np.abs(openvino - native).max() < 1e-4
    norms = np.linalg.norm(openvino, axis=1) * np.linalg.norm(native, axis=1)
    assert ((openvino * native).sum(axis=1) / norms).min() > 0.999999
