"""The examples, built as a stranger builds them: against an installed library."""

import os
import pathlib
import shutil
import subprocess

import pyarrow.parquet as pq
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def built(pomona, tmp_path_factory):
    """The folder of the built examples."""
    folder = tmp_path_factory.mktemp("examples")
    prefix = folder / "prefix"
    # Elsewhere than in the repository, where nothing of it can be found by chance.
    shutil.copytree(EXAMPLES, folder / "source")
    for command in (
        ["cmake", "--install", os.path.dirname(pomona), "--prefix", prefix],
        ["cmake", "-S", folder / "source", "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}"],
        ["cmake", "--build", folder],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_folder_pca_gives_what_a_run_gives(built, run, sample_tree):
    done = subprocess.run(
        [built / "folder_pca", sample_tree], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = [line.split("\t") for line in done.stdout.splitlines()]

    output = run(sample_tree, "--pca-components", "2", "--vectors", "spark")
    table = pq.read_table(output / "pca/parquet/pca_test").to_pydict()
    assert [path for _, _, path in printed] == table["path"]
    assert [[float(x), float(y)] for x, y, _ in printed] == [
        vector["values"] for vector in table["pca_features"]
    ]


def test_the_installed_program_runs(built):
    done = subprocess.run(
        [built / "prefix/bin/pomona", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("pomona ")
