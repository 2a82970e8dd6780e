"""What Batch is told to run, run: the containers' very commands and environments, on MinIO.

Stand-ins: a thread and this machine for Batch and its machines (machines.py), moto for Batch's API.
"""

import itertools
import multiprocessing.pool
import os
import signal
import subprocess
import time

import machines
import pytest
import servers
from runs import told_again
from stand_ins import BatchMachines, log

IMAGES = 121
FRAGMENT = 4096  # images


def container(job, environment, index=None):
    """The command and the environment of a job, or of a child of an array."""
    given = {each["name"]: each["value"] for each in job.container_overrides["environment"]}
    numbered = {} if index is None else {"AWS_BATCH_JOB_ARRAY_INDEX": str(index)}
    return job.container_overrides["command"], {**environment, **given, **numbered}


def index_of(job):
    return int(job.job_id.split(":")[1]) if ":" in job.job_id else None


@pytest.mark.parametrize(
    ("shards", "told"), [("3", ["1/3", "2/3", "3/3", "merge"]), ("1", ["1/1", "merge"])]
)
def test_each_child_knows_its_shard(aws, wheel, tmp_path, shards, told):
    """Where an image has Pomona already, so that nothing is installed."""
    program = tmp_path / "venv/bin/pomona"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    said = []

    def work(job):
        environment = {"PATH": "/usr/bin:/bin", "POMONA_HOME": str(tmp_path)}
        command, environment = container(job, environment, index_of(job))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        said.append(done.stdout)
        return "SUCCEEDED"

    with BatchMachines(aws, work):
        code, _, errors = aws.deploy(
            *("batch", "run", "s3://images/fruits", "s3://results/out", "mini", "5"),
            *("--wheel", wheel, "--run-id", "one", "--shards", shards, "--poll", "0.1"),
            *("--", "--include", "a b/*"),
        )
    assert code == 0, errors
    assert said == [
        "run s3://images/fruits s3://results/out --run-id one --mode mini --pca-components 5"
        f" --include a b/* --threads 8 --shard {shard}\n"
        for shard in told
    ]


@pytest.fixture(scope="module")
def minio(tmp_path_factory):
    with servers.minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


def published(files, output):
    """The run's bytes by their path, without its run_info."""
    import pyarrow.fs

    selector = pyarrow.fs.FileSelector(f"results/{output}", recursive=True)
    found = {}
    for about in files.get_file_info(selector):
        if about.is_file and "/run_info/" not in about.path:
            with files.open_input_stream(about.path) as stream:
                name = about.path.removeprefix(f"results/{output}/")
                found[name] = told_again(name, stream.read())
    return found


@pytest.mark.long
def test_shards(aws, minio, pomona, tmp_path, monkeypatch):
    wheel = machines.pomona_wheel()
    files = minio.file_system()
    for bucket in ("images", "results"):
        files.create_dir(bucket)
    tree = tmp_path / "fruits"
    subprocess.run(
        [pomona, "sample", tree, "--images", str(IMAGES)], check=True, capture_output=True
    )
    pictures = [(path.relative_to(tree), path.read_bytes()) for path in tree.rglob("*.*")]
    # Two fragments, of which the shards make one each.
    copies = range(FRAGMENT // len(pictures) + 1)

    def copy(what):
        number, (name, content) = what
        with files.open_output_stream(f"images/in/{number}/{name}") as stream:
            stream.write(content)

    with multiprocessing.pool.ThreadPool(8) as pool:
        pool.map(copy, itertools.product(copies, pictures), chunksize=64)

    for name, value in minio.environment().items():
        monkeypatch.setitem(aws.environment, name, value)
    path = machines.stand_ins(tmp_path / "bin")
    killed = []

    def attempt(job):
        """A container's life: Batch starts one again that was killed."""
        folder = tmp_path / job.job_id.replace(":", "-")
        folder.mkdir(exist_ok=True)
        environment = {
            **aws.environment,
            "PATH": path,
            "TMPDIR": str(folder),
            "XDG_CACHE_HOME": str(folder),
            "POMONA_HOME": str(tmp_path / "installed"),
            "RETRY_SECONDS": "1",
        }
        command, environment = container(job, environment, index_of(job))
        with open(folder / "log", "ab") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        if index_of(job) == 0 and not killed:
            while "extract" not in (folder / "log").read_text() and process.poll() is None:
                time.sleep(0.1)
            killed.append(process.poll())
            os.killpg(process.pid, signal.SIGKILL)  # as a Spot machine goes
            process.wait()
            return attempt(job)
        code = process.wait()
        log(aws, job, *(folder / "log").read_text().splitlines())
        return code

    def work(job):
        return "SUCCEEDED" if attempt(job) == 0 else "FAILED"

    with BatchMachines(aws, work):
        code, _, errors = aws.deploy(
            *("batch", "run", "s3://images/in", "s3://results/out", "full", "10"),
            *("--wheel", wheel, "--run-id", "one", "--shards", "2", "--poll", "0.5"),
            *("--set", "ShardVcpus=2", "--fetch", tmp_path / "fetched"),
        )
    assert code == 0, errors
    assert killed == [None]  # it was at work
    assert list((tmp_path / "fetched").glob("pca/csv/pca_one/part-*"))

    # By the same build, whose versions are among what is published.
    installed = tmp_path / "installed/venv/bin/pomona"
    whole = [installed, "run", "s3://images/in", "s3://results/whole", "--run-id", "one"]
    whole += ["--pca-components", "10", "--quiet"]
    subprocess.run(whole, check=True, env=os.environ | minio.environment())
    assert published(files, "out") == published(files, "whole")
