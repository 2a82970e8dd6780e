"""The job with just what a node gets: uploaded, installed by bootstrap.sh, run by Spark.

Real: the script, bootstrap.sh, the AWS CLI, S3's protocol (moto), pip and the wheels, spark-submit
of another environment's PySpark, which here stands for the cluster's. Stand-ins: those of
machines.py, local folders for the images and the results.
"""

import pathlib
import re
import shutil
import subprocess

import machines
import pytest
from account import ROOT


@pytest.fixture
def tree(pomona, tmp_path):
    folder = tmp_path / "fruits"
    subprocess.run([pomona, "sample", folder, "--images", "12"], check=True, capture_output=True)
    return folder


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


def test_pins_are_those_that_the_job_is_tested_with():
    nodes = (ROOT / "deploy/aws/requirements.txt").read_text()
    tests = (ROOT / "requirements/test.txt").read_text()
    assert pins(ROOT / "deploy/aws/requirements.txt") <= pins(ROOT / "requirements/test.txt")
    assert set(re.findall("sha256:[0-9a-f]+", nodes)) <= set(re.findall("sha256:[0-9a-f]+", tests))


def test_job_on_what_bootstrap_installs(aws, job, pomona, tree, tmp_path):
    pomona_wheel = machines.pomona_wheel()
    spark = machines.cluster_spark(tmp_path / "spark-submit")
    wheels = machines.wheelhouse(tmp_path / "wheels")
    with job(lambda step: "COMPLETED"):
        code, _, errors = aws.deploy(
            *(
                "cluster",
                "run",
                "s3://images/fruits",
                "s3://results/out",
                "full",
                "3",
                "--run-id",
                "one",
            ),
            *("--wheel", pomona_wheel, wheels, "--keep", "--poll", "0.1"),
        )
    assert code == 0, errors
    [action] = aws.asked("Cluster")["BootstrapActions"]
    [url] = action["ScriptBootstrapAction"]["Args"]
    no_index = {"PIP_INDEX_URL": "http://127.0.0.1:9"}
    python = machines.bootstrap(aws, tmp_path, url, **no_index)
    version = pomona_wheel.name.split("-")[1]
    expected = pins(ROOT / "deploy/aws/requirements.txt") | {f"pomona=={version}"}
    assert installed(python) == expected  # in particular no PySpark

    [step] = aws.clusters()[0].steps
    assert step.args[:3] == ["spark-submit", "--deploy-mode", "client"]
    script = tmp_path / "node/artifacts" / pathlib.Path(step.args[3]).name
    spark(script, tree, tmp_path / "spark", *step.args[6:], conf={"spark.pyspark.python": python})
    program = [pomona, "run", tree, tmp_path / "program", *("--mode", "full"), "--run-id", "one"]
    subprocess.run([*program, "--pca-components", "3", "--quiet"], check=True)
    for kind in ("features/csv/features", "metadata/metadata"):
        ours, theirs = (machines.lines(tmp_path / name, kind) for name in ("spark", "program"))
        assert ours == theirs and len(ours) == 12
    assert shutil.which("spark-submit", path=python.parent) is None
