"""docs/recipes.md, each block as it stands, on what a run leaves."""

import os
import pathlib
import shutil
import subprocess
import sys

import checks
import pytest

LONGEST = 15  # lines: what takes more is no recipe, and the output is wrong

# What `make test` has an environment for; the tests' own has what the others take.
OWN = {"LanceDB", "FAISS", "usearch", "Qdrant"}
# Spark takes its time to learn.
LONG = {"Spark MLlib"}


@pytest.fixture(scope="module")
def folder(pomona, tmp_path_factory):
    """What the page is about: `out`, the output of a run called demo."""
    folder = tmp_path_factory.mktemp("recipes")
    subprocess.run([pomona, "sample", "fruits", "--images", "240"], cwd=folder, check=True)
    command = [pomona, "run", "fruits", "out", "--run-id", "demo", "--quiet"]
    subprocess.run(command, cwd=folder, check=True)
    shutil.rmtree(folder / "fruits")  # a recipe needs no images
    return folder


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(title, marks=pytest.mark.long if title in LONG else ())
        for title in checks.recipes()
    ],
)
def test_recipe(title, folder, tmp_path):
    assert checks.recipes()[title].count("\n") <= LONGEST
    own = shutil.which(os.environ.get("POMONA_RECIPES_PYTHON", ""))
    if title in OWN and not own:
        pytest.skip("POMONA_RECIPES_PYTHON does not name a Python with what it takes")
    python = own if title in OWN and own else sys.executable
    (tmp_path / "out").symlink_to(folder / "out")
    local = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "huggingface"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell",
    }
    done = subprocess.run(
        [python, pathlib.Path(checks.__file__), title],
        cwd=tmp_path,
        env=os.environ | local,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_every_recipe_is_checked():
    assert list(checks.CHECKS) == list(checks.recipes())
