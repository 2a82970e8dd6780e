"""Processes that fork, from Python."""

import subprocess
import sys

import pytest

pytest.importorskip("pomona", reason="the package is not installed")

CODE = """
import os, sys, warnings
import pomona
warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads
tree, output = sys.argv[1:]
def run(run_id):
    assert pomona.run(tree, output + run_id, run_id=run_id, pca_components=3, limit=12).rows == 12
run("parent")
child = os.fork()
if child == 0:
    run("child")
    os._exit(0)  # as multiprocessing ends its children
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_of_a_process_that_used_s3_may_use_it(sample_bucket, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, sample_bucket.url("in"), str(tmp_path)],
        env=sample_bucket.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n", done.stderr
