"""The snippets of docs/python.md run as they stand."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
SNIPPETS = [
    pytest.param(code, id=title)
    for title, text in re.findall(
        r"^## (.*?)$(.*?)(?=^## |\Z)", (DOCS / "python.md").read_text(), re.M | re.S
    )
    for code in re.findall(r"```python\n(.*?)```", text, re.S)
]


def test_snippets_can_be_run_again():
    """As a notebook's cells are: a run of a fixed id is published once."""
    assert not [param.id for param in SNIPPETS if "run_id=" in param.values[0]]


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet(code, pomona, tmp_path):
    pytest.importorskip("pomona", reason="the package is not installed")
    subprocess.run([pomona, "sample", "fruits", "--images", "48"], cwd=tmp_path, check=True)
    environment = os.environ | {"RAY_DISABLE_METRICS": "1", "RAY_TMPDIR": "/tmp"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout
