"""`serverless`, end to end, against moto's server over HTTP; the workers are a thread's."""

import gzip
import importlib
import os
import re
import signal
import time

import boto3
import pytest
from account import DEPLOY, REGION
from stand_ins import BatchMachines, ServerlessWorkers, listed_as_deleted

RUN = ["serverless", "run", "s3://images/fruits", "s3://results/out", "mini", "5", "--poll", "0.1"]


@pytest.fixture
def run(aws, wheel, monkeypatch):
    """A run whose archive is in S3 already, so that none is packed."""
    monkeypatch.syspath_prepend(str(DEPLOY))
    plan = importlib.import_module("pomona_aws.plan")
    wheels = plan.find_wheels([wheel])
    digest = plan.digest(plan.artifact_files(wheels, wheels))
    aws.put("results", f"pomona/artifacts/{digest}/environment.tar.gz")
    return [*RUN, "--wheel", wheel, "--run-id", "one"]


def job_runs(aws):
    return [job for runs in aws.behind("emr-serverless").job_runs.values() for job in runs]


def applications(aws):
    return list(aws.behind("emr-serverless").applications.values())


def assert_nothing_left(aws):
    assert aws.stacks() == []
    assert {each.state for each in applications(aws)} <= {"TERMINATED"}
    assert not [name for name in aws.roles() if name.startswith("pomona")]


def wait_for_job(aws, process):
    aws.wait(process, lambda: job_runs(aws))


def write_log(aws, job, text):
    folder = f"pomona/logs/applications/{job.application_id}/jobs/{job.id}"
    aws.put("results", f"{folder}/SPARK_DRIVER/stderr.gz", gzip.compress(text.encode()))


def settings(job):
    words = job.job_driver["sparkSubmit"]["sparkSubmitParameters"].split(" ")
    assert set(words[::2]) == {"--conf"}
    return dict(word.split("=", 1) for word in words[1::2])


def test_run(aws, run):
    def work(job):
        write_log(aws, job, "INFO first line\n")
        time.sleep(0.3)
        write_log(aws, job, "INFO first line\nINFO last line\n")
        return "SUCCESS"

    with ServerlessWorkers(aws, work):
        code, output, errors = aws.deploy(*run, "--", "--max-rejects", "3%")
    assert code == 0, errors
    assert "run one is in s3://results/out" in output
    assert errors.count("INFO first line") == 1 and errors.count("INFO last line") == 1
    assert_nothing_left(aws)

    [job] = job_runs(aws)
    submit = job.job_driver["sparkSubmit"]
    artifacts = submit["entryPoint"].removesuffix("/spark_job.py")
    assert submit["entryPointArguments"] == [
        "s3://images/fruits", "s3://results/out", "--run-id", "one", "--mode", "mini",
        "--pca-components", "5", "--max-rejects", "3%",
    ]  # fmt: skip
    conf = settings(job)
    assert conf["spark.archives"] == f"{artifacts}/environment.tar.gz#environment"
    for where in ("spark.emr-serverless.driverEnv", "spark.executorEnv"):
        assert conf[f"{where}.PYSPARK_PYTHON"] == "./environment/bin/python"
    assert conf["spark.dynamicAllocation.maxExecutors"] == "3"  # of 4 vCPU; the driver has 2
    assert job.execution_timeout_minutes == 7 * 24 * 60
    logging = job.configuration_overrides["monitoringConfiguration"]
    assert logging["s3MonitoringConfiguration"] == {"logUri": "s3://results/pomona/logs/"}
    assert logging["cloudWatchLoggingConfiguration"]["logGroupName"] == "/pomona/pomona-serverless"
    assert job.execution_role_arn.split("/")[-1].startswith("pomona-serverless-JobRole")


def test_image_and_capacity(aws, run):
    options = ["--set", "ImageUri=1.dkr.ecr.eu-west-1.amazonaws.com/pomona:1"]
    options += ["--set", "InitialExecutors=2", "--set", "MaxVcpus=32"]
    with ServerlessWorkers(aws, lambda job: "SUCCESS"):
        code, _, errors = aws.deploy(*run, *options, "--keep")
    assert code == 0, errors
    conf = settings(job_runs(aws)[0])
    assert "spark.archives" not in conf
    assert conf["spark.executorEnv.PYSPARK_PYTHON"] == "/opt/pomona/venv/bin/python"
    asked = aws.asked("Application")
    assert asked["ImageConfiguration"]["ImageUri"].endswith("/pomona:1")
    capacity = {each["Key"]: each["Value"] for each in asked["InitialCapacity"]}
    assert int(capacity["Executor"]["WorkerCount"]) == 2
    assert asked["MaximumCapacity"] == {"Cpu": "32 vCPU", "Memory": "60 GB"}
    code, output, errors = aws.deploy("serverless", "delete", "--poll", "0.1")
    assert (code, output) == (0, "nothing of pomona-serverless in eu-west-1\n"), errors
    assert_nothing_left(aws)


@pytest.mark.parametrize("vcpus", [6, 16, 31, 1026])
def test_memory_is_what_the_executors_take(aws, run, vcpus):
    code, output, errors = aws.deploy(*run, "--dry-run", "--set", f"MaxVcpus={vcpus}")
    assert code == 0, errors
    executors = int(re.search(r"maxExecutors=(\d+)", output)[1])
    assert 2 + 4 * executors <= vcpus < 2 + 4 * (executors + 1)
    assert f" MaxMemory={4 + 8 * executors}\n" in output
    estimate = ["serverless", "estimate", "--images", "1000", "--set", f"MaxVcpus={vcpus}"]
    assert f" on {4 * executors} vCPUs)" in aws.deploy(*estimate)[1]


def test_memory_that_was_given_counts(aws, run):
    given = ["--set", "MaxVcpus=64", "--set", "MaxMemory=27"]  # the driver's 4, and 2 of 8
    output = aws.deploy(*run, "--dry-run", *given)[1]
    assert " MaxMemory=27\n" in output and "maxExecutors=2 " in output
    assert " on 8 vCPUs)" in aws.deploy("serverless", "estimate", "--images", "1", *given)[1]


def test_delete_again_after_it_failed(aws, run, monkeypatch):
    from moto.emrserverless.exceptions import ResourceNotFoundException
    from moto.emrserverless.models import EMRServerlessBackend

    with ServerlessWorkers(aws, lambda job: "SUCCESS"):
        assert aws.deploy(*run, "--keep")[0] == 0
    [stack] = aws.behind("cloudformation").stacks.values()
    stack.status = "DELETE_FAILED"
    [application] = applications(aws)
    application.state = "STOPPED"  # as moto wants it when its stack goes

    def gone(*_, **__):
        raise ResourceNotFoundException(application.id)

    monkeypatch.setattr(EMRServerlessBackend, "list_job_runs", gone)
    monkeypatch.setattr(EMRServerlessBackend, "get_application", gone)
    with listed_as_deleted("Application"):
        code, output, _ = aws.deploy("serverless", "status")
        assert code == 1 and output.startswith("stack pomona-serverless DELETE_FAILED\n")
        code, _, errors = aws.deploy("serverless", "delete", "--poll", "0.1")
    assert code == 0, errors
    assert_nothing_left(aws)


def test_jobs_of_one_name_are_all_ended(aws, run):
    aws.cut_off(wait_for_job, *run)
    [job] = job_runs(aws)
    emr = boto3.client("emr-serverless", region_name=REGION, **aws.access)
    for name in ({"name": "pomona-one"}, {}):  # another one of that name, one without
        emr.start_job_run(
            applicationId=job.application_id, executionRoleArn=job.execution_role_arn, **name
        )
    code, _, errors = aws.deploy("serverless", "delete", "--poll", "0.1")
    assert code == 0, errors
    assert [job.state for job in job_runs(aws)] == ["CANCELLED"] * 3
    assert_nothing_left(aws)


def test_failed(aws, run):
    def work(job):
        write_log(aws, job, "pomona: extract features: task 7 failed 4 times\n")
        job.state_details = "exit code 1"
        return "FAILED"

    with ServerlessWorkers(aws, work):
        code, output, errors = aws.deploy(*run)
    assert (code, output) == (1, ""), errors
    [job] = job_runs(aws)
    assert errors.count("task 7 failed 4 times") == 2  # as it was followed, and at the end
    assert errors.endswith(f"deploy/aws: job run {job.id} FAILED: exit code 1\n")
    assert_nothing_left(aws)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(aws, run, which):
    process = aws.start(*run)
    wait_for_job(aws, process)
    process.send_signal(which)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert [job.state for job in job_runs(aws)] == ["CANCELLED"]
    assert_nothing_left(aws)


@pytest.mark.long
@pytest.mark.parametrize("step", ["upload", "create stack", "submit"])
@pytest.mark.parametrize("way", ["cluster", "serverless", "batch"])
def test_interrupted_at(aws, run, way, step):
    """Wherever it is, what was made goes."""
    process = aws.start(way, *run[1:])
    while step not in (line := process.stderr.readline()):
        assert line, "it has ended"
    process.send_signal(signal.SIGINT)
    with BatchMachines(aws, lambda job: None):
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert_nothing_left(aws)
    assert aws.deploy(way, "status")[0] == 0


def test_a_run_that_was_cut_off_is_taken_up_and_told_of(aws, run):
    aws.cut_off(wait_for_job, *run)
    code, output, _ = aws.deploy("serverless", "status")
    [job], [application] = job_runs(aws), applications(aws)
    assert code == 1
    assert output == (
        f"job pomona-one job run {job.id} SUBMITTED\n"
        "stack pomona-serverless CREATE_COMPLETE\n"
        f"application {application.id} STARTED\n"
    )
    aws.taken_up("pomona-one", ServerlessWorkers(aws, lambda job: "SUCCESS"), *run)
    assert len(job_runs(aws)) == 1
    assert aws.deploy("serverless", "status")[0] == 0


def test_weights_belong_into_an_image(aws, run):
    weights = os.environ["POMONA_WEIGHTS"]
    code, _, errors = aws.deploy(*run, "--weights", weights, "--set", "ImageUri=x", "--dry-run")
    assert code == 1 and "put them into the image" in errors


def test_a_python_that_would_not_start_is_refused(aws, run, monkeypatch):
    environment = importlib.import_module("pomona_aws.environment")
    with pytest.raises(environment.Failure, match="for sparc to be packed"):
        environment.check_python("sparc")
    monkeypatch.setattr(environment, "NODE_GLIBC", (2, 2))
    with pytest.raises(
        environment.Failure, match=r"wants glibc 2\.\d+ and Amazon Linux 2023 has 2\.2"
    ):
        environment.check_python("x86_64")
