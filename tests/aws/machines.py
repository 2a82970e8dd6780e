"""Environments as the machines on AWS get them, and what they need here: a wheel, Spark, a tree.

Stand-ins: this machine for Amazon Linux (so nothing for dnf and sudo to do).
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import servers
from account import ROOT
from spark_submit import SparkSubmit


def pomona_wheel():
    """The wheel that `make wheel` leaves."""
    wheels = list(pathlib.Path(os.environ.get("POMONA_WHEEL", "/nowhere")).glob("pomona-*.whl"))
    if not wheels:
        pytest.skip("POMONA_WHEEL does not name a folder with Pomona's wheel")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the machines' Python is 3.11")
    return wheels[0]


def cluster_spark(folder):
    """spark-submit of PySpark 3.5, whose Python has none of what the job needs."""
    servers.java()
    folder.mkdir()
    python = os.environ.get("POMONA_PYTHON")
    if not python:
        pytest.skip("POMONA_PYTHON does not name a Python that has PySpark")
    return SparkSubmit(python, folder)


def wheelhouse(folder):
    """What the command in docs/aws.md gathers."""
    document = (ROOT / "docs/aws.md").read_text()
    [command] = re.findall(r"^ *(pip download (?:.*\\\n)*.*)$", document, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", ""))
    words[words.index("--dest") + 1] = str(folder)
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def stand_ins(folder):
    """The PATH of a machine: what bootstrap.sh calls and this machine may not have."""
    folder.mkdir()
    for name, text in {
        "dnf": 'case "$*" in "install -y -q "*) ;; *) exit 1 ;; esac',
        "sudo": 'exec "$@"',
        "aws": f'exec {sys.executable} -m awscli "$@"',
        "python3.11": f'exec {os.path.realpath(sys.executable)} "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def bootstrap(aws, tmp_path, url, **environment):
    """Runs the script that is in S3 as a node would; returns the Python of its environment."""
    script, home = tmp_path / "bootstrap.sh", tmp_path / "node"
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    aws.s3.download_file(bucket, f"{prefix}/bootstrap.sh", str(script))
    path = stand_ins(tmp_path / "bin")
    done = subprocess.run(
        ["bash", script, url],
        env={
            **aws.environment,
            "PATH": path,
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


def lines(output, kind):
    """The rows of a CSV table in path order, whatever the parts."""
    parts = sorted(pathlib.Path(output).glob(f"{kind}_one/part-*.csv"))
    assert parts, f"{output}: no {kind}"
    return sorted(line for part in parts for line in part.read_text().splitlines()[1:])
