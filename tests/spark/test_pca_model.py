"""MLlib's PCAModel.load() opens a run's spark_pca, and projects to the run's numbers."""

import pathlib
import subprocess

import numpy as np
import pyarrow.parquet
import pytest
import safetensors.numpy

BOTH = pytest.mark.parametrize("spark_submit", ["spark3", "spark4"], indirect=True)


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="plain"),
        pytest.param(["--standardize"], id="standardize", marks=pytest.mark.long),
    ],
)
def test_pca_model(pomona, sample_tree, spark_submit, tmp_path, options):
    output = tmp_path / "out"
    command = [pomona, "run", sample_tree, output, "--run-id", "r", "--pca-components", "10"]
    subprocess.run(command + ["--vectors", "spark", "--quiet", *options], check=True)
    job = pathlib.Path(__file__).with_name("pca_job.py")
    spark_submit(job, output, "r", tmp_path / "result.npz")
    made = np.load(tmp_path / "result.npz")
    table = pyarrow.parquet.read_table(output / "pca/parquet/pca_r").sort_by("path")
    values = table["pca_features"].combine_chunks().field("values")
    expected = np.array(values.flatten()).reshape(len(table), -1)
    # In float64 both, in another order of the sums.
    np.testing.assert_allclose(made["projected"], expected, rtol=0, atol=1e-11)
    model = safetensors.numpy.load_file(output / "model_info/pca_model_r/part-00000.safetensors")
    np.testing.assert_array_equal(made["explained"], model["explained_variance_ratio"])
    assert made["k"] == 10
