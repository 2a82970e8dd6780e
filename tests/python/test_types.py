"""The types that the package declares, as mypy sees them."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("pomona", reason="the package is not installed")

# Each line is right but those that say what mypy has to find.
CODE = """
import pathlib
import numpy as np
import pomona

summary = pomona.run("in", pathlib.Path("out"), pca_components=9, max_rejects="1%", include=["a/*"])
images: int = summary.rows + summary.reused + summary.unlabelled
run_id: str = summary.reused_run_id
folders: list[str] = list(summary.folders)
pomona.run("in", "out", pca_componets=10)  # call-arg
pomona.run("in", "out", mode="tiny")  # typeddict-item|arg-type
pomona.run("in", "out", progress=True)
pomona.run("in", "out", progress="auto")
pomona.run("in", "out", progress="bar")  # arg-type
pomona.run("in", "out", progress=lambda stage: None)  # misc|arg-type

run = pomona.Run(pathlib.Path("out"), "demo", s3_endpoint="http://127.0.0.1:9000")
rows: int = run.features().num_rows + run.errors().num_rows + summary.pca().num_rows
ids: list[str] = [run.run_id for run in pomona.runs("out")]
pomona.show("out", s3_anonymous=True)
pomona.delete("out", run_id="demo")
pomona.delete("out")  # call-arg
pomona.Run("out", endpoint="x")  # call-arg

extractor = pomona.Extractor(pathlib.Path("weights"), threads=2, cpu="avx2")
table = extractor.extract(["a.jpg"], progress=lambda stage, done, total: None)
digest: str = extractor.weights_digest
pomona.Extractor(thread=1)  # call-arg
pomona.Extractor(engine="tensorflow")  # arg-type

index = pomona.Index(pathlib.Path("out"), "demo", threads=2, s3_anonymous=True)
near: int = index.search(["a.jpg"], k=3).num_rows + len(index) + index.n_features
index.search(["a.jpg"], "3")  # arg-type
pomona.Index("out", weight="w")  # call-arg
audited = pomona.run("in", "out", audit=True).audit
issues: int = audited.outliers  # union-attr
pomona.audit("out", knn=5)

pca = pomona.PCA(10, center=True).fit(table).fit(pomona.Moments(3).add(table))
shape: tuple[int, ...] = pca.components_.shape + pca.mean_.shape + pca.explained_variance_.shape
ratio: float = pca.explained_variance_ratio_.sum()
count: int = pca.n_components_ + pca.n_features_in_ + pca.n_samples_ + pca.n_determined_
copy: pomona.PCA = pomona.PCA.load("pca.safetensors")
pca.component_  # attr-defined

options = pomona._core.RunOptions(threads=2)
threads: int = options.threads
globs: list[str] = options.include
alone: bool = options.center and options.shard == ""
limit: str = options.limit  # assignment
"""


def mypy(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--show-error-codes", "--no-error-summary", *arguments],
        cwd=folder,
        env=os.environ | {"MYPY_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_package(tmp_path):
    """Against the stub that nanobind writes, which `make lint` does not have."""
    rules = pathlib.Path(__file__).parents[2] / "pyproject.toml"
    done = mypy(tmp_path, "--config-file", rules, "-p", "pomona")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_what_users_write(tmp_path):
    (tmp_path / "code.py").write_text(CODE)
    done = mypy(tmp_path, "code.py")
    found = dict(re.findall(r"^code\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.M))
    lines = CODE.splitlines()
    expected = {
        str(number): line.split("#")[1].strip()
        for number, line in enumerate(lines, 1)
        if "  # " in line
    }
    assert found.keys() == expected.keys(), done.stdout + done.stderr
    for number, code in found.items():
        assert code in expected[number].split("|"), lines[int(number) - 1]
