"""The job with just what a node gets: emr.py uploads it, bootstrap.sh installs it, Spark runs it.

Real: emr.py, bootstrap.sh, the AWS CLI, S3's protocol (moto), pip and the wheels, spark-submit of
another environment's PySpark, which here stands for the cluster's. Stand-ins: this machine for
Amazon Linux (so nothing for dnf and sudo to do), local folders for the images and the results.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import servers
from account import ROOT
from spark_submit import SparkSubmit


@pytest.fixture(scope="module")
def pomona_wheel():
    """The wheel that `make wheel` leaves."""
    wheels = list(pathlib.Path(os.environ.get("POMONA_WHEEL", "/nowhere")).glob("pomona-*.whl"))
    if not wheels:
        pytest.skip("POMONA_WHEEL does not name a folder with Pomona's wheel")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the nodes' Python is 3.11")
    return wheels[0]


@pytest.fixture(scope="module")
def cluster_spark(tmp_path_factory):
    """spark-submit of PySpark 3.5, whose Python has none of what the job needs."""
    servers.java()
    python = os.environ.get("POMONA_PYTHON")
    if not python:
        pytest.skip("POMONA_PYTHON does not name a Python that has PySpark")
    return SparkSubmit(python, tmp_path_factory.mktemp("spark"))


@pytest.fixture
def tree(pomona, tmp_path):
    folder = tmp_path / "fruits"
    subprocess.run([pomona, "sample", folder, "--images", "12"], check=True, capture_output=True)
    return folder


def wheelhouse(folder):
    """What the command in docs/emr.md gathers."""
    document = (ROOT / "docs/emr.md").read_text()
    [command] = re.findall(r"^ *(pip download (?:.*\\\n)*.*)$", document, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", ""))
    words[words.index("--dest") + 1] = str(folder)
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def bootstrap(aws, tmp_path, url, **environment):
    """Runs the script that is in S3 as a node would; returns the Python of its environment."""
    bin = tmp_path / "bin"
    bin.mkdir()
    for name, text in {
        "dnf": '[ "$*" = "install -y -q python3.11 python3.11-pip" ]',
        "sudo": 'exec "$@"',
        "aws": f'exec {sys.executable} -m awscli "$@"',
        "python3.11": f'exec {os.path.realpath(sys.executable)} "$@"',
    }.items():
        (bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin / name).chmod(0o755)
    script = tmp_path / "bootstrap.sh"
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    aws.s3.download_file(bucket, f"{prefix}/bootstrap.sh", str(script))
    home = tmp_path / "node"
    done = subprocess.run(
        ["bash", script, url],
        env={
            **aws.environment,
            "PATH": f"{bin}:/usr/bin:/bin",
            "POMONA_HOME": str(home),
            "RETRY_SECONDS": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home / "venv/bin/python"


def installed(python):
    done = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        line for line in done.stdout.split() if line.split("==")[0] not in ("pip", "setuptools")
    }


def pins(path):
    return set(re.findall(r"^[a-z0-9-]+==\S+", path.read_text(), re.MULTILINE))


def lines(output, kind):
    """The rows of a CSV table in path order, whatever the parts."""
    parts = sorted(pathlib.Path(output).glob(f"{kind}_one/part-*.csv"))
    assert parts, f"{output}: no {kind}"
    return sorted(line for part in parts for line in part.read_text().splitlines()[1:])


def test_pins_are_those_that_the_job_is_tested_with():
    nodes = (ROOT / "deploy/emr/requirements.txt").read_text()
    tests = (ROOT / "requirements/test.txt").read_text()
    assert pins(ROOT / "deploy/emr/requirements.txt") <= pins(ROOT / "requirements/test.txt")
    assert set(re.findall("sha256:[0-9a-f]+", nodes)) <= set(re.findall("sha256:[0-9a-f]+", tests))


def test_job_on_what_bootstrap_installs(
    aws, job, pomona, pomona_wheel, cluster_spark, tree, tmp_path
):
    wheels = wheelhouse(tmp_path / "wheels")
    with job(lambda step: "COMPLETED"):
        code, _, errors = aws.emr(
            *("run", "s3://images/fruits", "s3://results/out", "full", "3", "--run-id", "one"),
            *("--wheel", pomona_wheel, wheels, "--keep", "--poll", "0.1"),
        )
    assert code == 0, errors
    [action] = aws.asked("Cluster")["BootstrapActions"]
    [url] = action["ScriptBootstrapAction"]["Args"]
    no_index = {"PIP_INDEX_URL": "http://127.0.0.1:9"}
    python = bootstrap(aws, tmp_path, url, **no_index)
    version = pomona_wheel.name.split("-")[1]
    expected = pins(ROOT / "deploy/emr/requirements.txt") | {f"pomona=={version}"}
    assert installed(python) == expected  # in particular no PySpark

    [step] = aws.clusters()[0].steps
    assert step.args[:3] == ["spark-submit", "--deploy-mode", "client"]
    script = tmp_path / "node/artifacts" / pathlib.Path(step.args[3]).name
    cluster_spark(
        script, tree, tmp_path / "spark", *step.args[6:], conf={"spark.pyspark.python": python}
    )
    program = [pomona, "run", tree, tmp_path / "program", *("--mode", "full"), "--run-id", "one"]
    subprocess.run([*program, "--pca-components", "3", "--quiet"], check=True)
    for kind in ("features/csv/features", "metadata/metadata"):
        ours, theirs = (lines(tmp_path / name, kind) for name in ("spark", "program"))
        assert ours == theirs and len(ours) == 12
    assert shutil.which("spark-submit", path=python.parent) is None
