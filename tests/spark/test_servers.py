"""The engines that Spark jobs are tested on do run jobs. What test_job.py does on them as well is
left to the long tests.
"""

import os
import pathlib
import signal

import pyarrow.fs
import pyarrow.parquet
import pytest
from spark_submit import LOCAL, LOCAL_CLUSTER

JOB = pathlib.Path(__file__).with_name("smoke_job.py")
FILES = 24


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Files of 1, 2, 3... bytes: Spark leaves empty ones out."""
    folder = tmp_path_factory.mktemp("files")
    for length in range(1, FILES + 1):
        (folder / f"{length:02}.bin").write_bytes(b"x" * length)
    return folder


def check(table):
    """Every file gave one row."""
    rows = zip(table["path"].to_pylist(), table["length"].to_pylist(), strict=True)
    names = sorted((path.rpartition("/")[2], length) for path, length in rows)
    assert names == [(f"{length:02}.bin", length) for length in range(1, FILES + 1)]


@pytest.mark.long
@pytest.mark.parametrize("spark_submit", ["spark3", "spark4"], indirect=True)
def test_local(spark_submit, tree, tmp_path):
    spark_submit(JOB, tree, tmp_path / "out", 2, cluster=LOCAL)
    check(pyarrow.parquet.read_table(tmp_path / "out"))


@pytest.mark.long
@pytest.mark.parametrize("deploy_mode", ["client", "cluster"])
def test_yarn(spark_submit, yarn, tree, tmp_path, deploy_mode):
    spark_submit(JOB, tree, tmp_path / "out", 2, cluster=yarn, deploy_mode=deploy_mode)
    check(pyarrow.parquet.read_table(tmp_path / "out"))


@pytest.mark.long
def test_s3a(spark_submit, minio, tree):
    files = minio.file_system()
    bucket = f"s3a-{spark_submit.version.replace('.', '-')}"
    files.create_dir(bucket)
    pyarrow.fs.copy_files(str(tree), f"{bucket}/in", destination_filesystem=files)
    url = f"s3a://{bucket}"
    spark_submit(JOB, f"{url}/in", f"{url}/out", 2, conf=spark_submit.s3a(minio))
    check(pyarrow.parquet.read_table(f"{bucket}/out", filesystem=files))


@pytest.mark.long
def test_killed_executor(spark_submit, tree, tmp_path):
    arguments = [JOB, tree, tmp_path / "out", 8, 0.2]
    with spark_submit.start(*arguments, cluster=LOCAL_CLUSTER) as job:
        os.kill(job.busy_executor(), signal.SIGKILL)
        assert "Lost executor" in job.wait()
    check(pyarrow.parquet.read_table(tmp_path / "out"))


@pytest.mark.long
def test_speculation(spark_submit, standalone, tree, tmp_path):
    conf = {
        "spark.speculation": "true",
        "spark.speculation.interval": "100ms",
        "spark.speculation.quantile": 0.1,
        "spark.speculation.minTaskRuntime": "1s",
    }
    arguments = [JOB, tree, tmp_path / "out", 8, 0.2]
    with spark_submit.start(*arguments, cluster=standalone, conf=conf) as job:
        # The executor pauses until its task has a second copy; then both run.
        slow = job.busy_executor()
        os.kill(slow, signal.SIGSTOP)
        job.speculative_tasks()
        os.kill(slow, signal.SIGCONT)
        job.wait()
    check(pyarrow.parquet.read_table(tmp_path / "out"))
