"""docs/recipes.md, each block as it stands, on what a run leaves."""

import os
import pathlib
import shutil
import subprocess
import sys

import checks
import pytest

LONGEST = 15  # lines: what takes more is no recipe, and the output is wrong

# Which Python has what a recipe takes: if none of these, the tests' own.
OWN = "POMONA_RECIPES_PYTHON"
LARGE = "POMONA_RECIPES_LONG_PYTHON"
PYTHONS = {
    "LanceDB": OWN,
    "FAISS": OWN,
    "usearch": OWN,
    "Qdrant": OWN,
    "PostgreSQL with pgvector": OWN,
    "Amazon S3 Vectors": "POMONA_EMR_PYTHON",
    "ClickHouse": LARGE,
    "PyTorch": "POMONA_TORCH_PYTHON",
    "Embedding Atlas": "POMONA_ATLAS_PYTHON",
    "MLflow": LARGE,
}
# Downloads of `make test-long`; Spark takes its time to learn.
LONG = {"ClickHouse", "PyTorch", "Spark MLlib", "Embedding Atlas", "MLflow"}


@pytest.fixture(scope="module")
def folder(pomona, tmp_path_factory):
    """What the page is about: `out`, the output of a run called demo."""
    folder = tmp_path_factory.mktemp("recipes")
    subprocess.run([pomona, "sample", "fruits", "--images", "240"], cwd=folder, check=True)
    command = [pomona, "run", "fruits", "out", "--run-id", "demo", "--quiet"]
    subprocess.run(command, cwd=folder, check=True)
    shutil.rmtree(folder / "fruits")  # a recipe needs no images
    return folder


def python_of(title):
    if title not in PYTHONS:
        return sys.executable
    python = shutil.which(os.environ.get(PYTHONS[title], ""))
    return python or pytest.skip(f"{PYTHONS[title]} does not name a Python with what it takes")


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(title, marks=pytest.mark.long if title in LONG else ())
        for title in checks.recipes()
    ],
)
def test_recipe(title, folder, tmp_path):
    assert checks.recipes()[title].count("\n") <= LONGEST
    (tmp_path / "out").symlink_to(folder / "out")
    alone = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "huggingface"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        [python_of(title), pathlib.Path(checks.__file__), title],
        cwd=tmp_path,
        env=os.environ | alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_every_recipe_is_checked():
    assert list(checks.CHECKS) == list(checks.recipes())
