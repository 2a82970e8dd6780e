"""`batch`, end to end, against moto's server over HTTP; the machines are a thread's."""

import importlib
import os
import signal
import subprocess

import pytest
from account import DEPLOY, WHEEL, make_wheel
from stand_ins import BatchMachines, listed_as_deleted, log

RUN = ["batch", "run", "s3://images/fruits", "s3://results/out", "mini", "5", "--poll", "0.1"]


@pytest.fixture
def run(wheel):
    return [*RUN, "--wheel", wheel, "--run-id", "one"]


def jobs_by_name(aws):
    """Without the children of arrays."""
    jobs = aws.behind("batch")._jobs
    return {job.job_name: job for identifier, job in jobs.items() if ":" not in identifier}


def environment(job):
    return {each["name"]: each["value"] for each in job.container_overrides["environment"]}


def succeed(_):
    return "SUCCEEDED"


def assert_nothing_left(aws):
    assert aws.stacks() == []
    assert {job.status for job in jobs_by_name(aws).values()} <= {"SUCCEEDED", "FAILED"}
    assert not [name for name in aws.roles() if name.startswith("pomona")]


def wait_for_jobs(aws, process, count=2):
    aws.wait(process, lambda: len(jobs_by_name(aws)) >= count)


def test_run(aws, run):
    done = []

    def work(job):
        done.append(job.job_id)
        return "SUCCEEDED"

    with BatchMachines(aws, work):
        code, output, errors = aws.deploy(*run, "--shards", "3", "--", "--max-rejects", "3%")
    assert code == 0, errors
    assert "run one is in s3://results/out" in output
    assert_nothing_left(aws)

    jobs = jobs_by_name(aws)
    shards, merge = jobs["pomona-one"], jobs["pomona-one-merge"]
    assert done == [f"{shards.job_id}:{number}" for number in range(3)] + [merge.job_id]
    assert [each["jobId"] for each in merge.depends_on] == [shards.job_id]
    assert environment(shards)["SHARDS"] == "3" and environment(merge)["SHARDS"] == "merge"
    for job in (shards, merge):
        assert job.container_overrides["command"][3:] == [
            "pomona", "s3://images/fruits", "s3://results/out", "--run-id", "one",
            "--mode", "mini", "--pca-components", "5", "--max-rejects", "3%", "--threads", "8",
        ]  # fmt: skip
    artifacts = environment(shards)["ARTIFACTS"].removeprefix("s3://results/")
    assert f"{artifacts}/bootstrap.sh" in aws.keys("results")


def test_one_shard_is_no_array(aws, run):
    with BatchMachines(aws, succeed):
        code, _, errors = aws.deploy(*run, "--shards", "1")
    assert code == 0, errors
    assert len(aws.behind("batch")._jobs) == 2  # Batch's arrays have two children at least
    assert environment(jobs_by_name(aws)["pomona-one"])["SHARDS"] == "1"


def test_a_failed_shard_shows_its_log_and_tears_down(aws, run):
    def work(job):
        if not job.job_id.endswith(":1"):
            return "SUCCEEDED"
        log(aws, job, "first line", "pomona: too many rejects")
        return "FAILED"

    with BatchMachines(aws, work):
        code, output, errors = aws.deploy(*run, "--shards", "2")
    assert (code, output) == (1, "")
    assert "first line\npomona: too many rejects\n" in errors
    assert "shards 1 FAILED, 1 SUCCEEDED; merge FAILED: Dependent Job failed" in errors
    shards = jobs_by_name(aws)["pomona-one"]
    key = f"pomona/logs/pomona-one/{shards.job_id}-1.log"
    kept = aws.s3.get_object(Bucket="results", Key=key)["Body"].read()
    assert kept == b"first line\npomona: too many rejects"
    assert_nothing_left(aws)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(aws, run, which):
    with BatchMachines(aws, lambda job: None):
        process = aws.start(*run)
        wait_for_jobs(aws, process)
        process.send_signal(which)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert all(job.stop for job in jobs_by_name(aws).values())
    assert_nothing_left(aws)


def test_a_run_that_was_cut_off_is_taken_up_and_told_of(aws, run):
    aws.cut_off(wait_for_jobs, *run)
    code, output, _ = aws.deploy("batch", "status")
    assert code == 1
    assert "job pomona-one pomona-one RUNNABLE\n" in output
    assert "job pomona-one-merge shards 8 RUNNABLE; merge RUNNABLE\n" in output
    assert "stack pomona-batch CREATE_COMPLETE\n" in output
    aws.taken_up("pomona-one-merge", BatchMachines(aws, succeed), *run)
    assert len(jobs_by_name(aws)) == 2
    assert aws.deploy("batch", "status") == (0, "nothing of pomona-batch in eu-west-1\n", "")


def test_delete_ends_the_jobs(aws, run):
    with BatchMachines(aws, lambda job: None):
        aws.cut_off(wait_for_jobs, *run, "--keep")
        code, output, errors = aws.deploy("batch", "delete", "--poll", "0.1")
    assert (code, output) == (0, "nothing of pomona-batch in eu-west-1\n"), errors
    assert "cancel pomona-one-merge" in errors
    assert_nothing_left(aws)


def test_the_merge_alone_is_taken_up(aws, run):
    """The shards have ended: another array would cost and change nothing."""
    aws.cut_off(wait_for_jobs, *run, "--shards", "1")
    jobs_by_name(aws)["pomona-one"]._mark_stopped(success=True)
    machines = BatchMachines(aws, succeed)
    aws.taken_up("pomona-one-merge", machines, *run, "--shards", "1")
    assert len(aws.behind("batch")._jobs) == 2
    assert_nothing_left(aws)


def test_interrupted_beside_another_run(aws, run):
    """What is this run's ends; the other's goes on, on the stack that stays."""
    aws.cut_off(wait_for_jobs, *run[:-1], "other", "--keep")
    process = aws.start(*run)
    wait_for_jobs(aws, process, 4)
    with BatchMachines(aws, lambda job: None):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stack pomona-batch stays for other jobs" in errors and aws.stacks() == ["pomona-batch"]
    ended = {name for name, job in jobs_by_name(aws).items() if job.stop}
    assert ended == {"pomona-one", "pomona-one-merge"}


def test_a_log_that_is_not_there_keeps_nothing_on(aws, run, monkeypatch):
    from moto.logs.exceptions import ResourceNotFoundException
    from moto.logs.models import LogsBackend

    def missing(*_, **__):
        raise ResourceNotFoundException("The specified log stream does not exist.")

    monkeypatch.setattr(LogsBackend, "filter_log_events", missing)
    with BatchMachines(aws, lambda job: "FAILED"):
        code, output, errors = aws.deploy(*run, "--shards", "2")
    assert (code, output) == (1, "")
    assert "deploy/aws: no logs: " in errors and "log stream does not exist" in errors
    assert "merge FAILED: Dependent Job failed" in errors and "may still be there" not in errors
    assert_nothing_left(aws)


def test_delete_again_after_it_failed(aws, run, monkeypatch):
    from moto.batch.exceptions import ClientException
    from moto.batch.models import BatchBackend

    with BatchMachines(aws, succeed):
        assert aws.deploy(*run, "--keep")[0] == 0
    [stack] = aws.behind("cloudformation").stacks.values()
    stack.status = "DELETE_FAILED"

    def gone(*_, **__):
        raise ClientException("Job queue does not exist")

    monkeypatch.setattr(BatchBackend, "list_jobs", gone)
    with listed_as_deleted("Queue"):
        code, output, _ = aws.deploy("batch", "status")
        assert (code, output) == (1, "stack pomona-batch DELETE_FAILED\n")
        code, output, errors = aws.deploy("batch", "delete", "--poll", "0.1")
    assert (code, output) == (0, "nothing of pomona-batch in eu-west-1\n"), errors
    assert_nothing_left(aws)


@pytest.mark.parametrize(("tool", "code"), [("dnf", 3), ("aws", 2), ("pip", 2)])
def test_installing_fails_with_a_code_that_is_tried_again(monkeypatch, tmp_path, tool, code):
    """Batch takes 2 and 3, Pomona's own, as final."""
    monkeypatch.syspath_prepend(str(DEPLOY))
    script = importlib.import_module("pomona_aws.batch").SCRIPT
    bootstrap = f'echo exit {code} > "$5"'  # what `aws s3 cp` brings; pip ends it
    for name in ("dnf", "aws"):
        ends = code if name == tool else 0
        (tmp_path / name).write_text(
            f"#!/bin/sh\n{bootstrap if name == 'aws' else ''}\nexit {ends}\n"
        )
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "POMONA_HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "ARTIFACTS": "s3://results/a",
        "SHARDS": "2",
    }
    assert subprocess.run(["bash", "-c", script], env=environment, check=False).returncode == 1


def test_a_machine_that_is_left_is_told_of(aws):
    [image, *_] = aws.ec2.describe_images()["Images"]
    tag = {"Key": "pomona-stack", "Value": "pomona-batch"}
    aws.ec2.run_instances(
        ImageId=image["ImageId"], MinCount=1, MaxCount=1, InstanceType="c6i.2xlarge",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [tag]}],
    )  # fmt: skip
    code, output, _ = aws.deploy("batch", "status")
    assert code == 1
    assert output.startswith("instance i-") and output.endswith(" c6i.2xlarge running\n")


def assert_refused(aws, message, *arguments):
    code, output, errors = aws.deploy(*arguments, "--dry-run")
    assert (code, output) == (1, ""), output
    assert message in errors and "Traceback" not in errors


def test_dry_run_says_what_was_not_checked(aws, run):
    code, output, errors = aws.deploy(*run, "--dry-run")
    assert code == 0, errors
    assert "NOT checked: the quota of vCPUs on Spot (NoSuchResourceException)" in output
    assert aws.stacks() == [] and aws.keys("results") == []


def test_quota(aws, run, monkeypatch):
    from moto.servicequotas.models import ServiceQuotasBackend

    quota = {"QuotaName": "Spot", "Value": 32.0}
    monkeypatch.setattr(ServiceQuotasBackend, "get_service_quota", lambda *_, **__: quota)
    assert_refused(aws, "64 vCPUs on Spot are more than the account's quota of 32", *run)
    code, output, _ = aws.deploy(*run, "--set", "MaxVcpus=32", "--dry-run")
    assert code == 0 and "32 of 32 vCPUs on Spot\n" in output


def test_spot_without_its_role(aws, run):
    aws.iam.delete_role(RoleName="AWSServiceRoleForEC2Spot")
    assert_refused(aws, "create-service-linked-role --aws-service-name spot.amazonaws.com", *run)
    assert aws.deploy(*run, "--set", "Market=ON_DEMAND", "--dry-run")[0] == 0


def test_graviton(aws, run, tmp_path):
    """The wheel of `make wheel-arm64`, by its name, alone or beside that for x86-64."""
    arm64 = make_wheel(tmp_path, WHEEL.replace("x86_64", "aarch64"))
    for wheels in [[arm64], [run[run.index("--wheel") + 1], arm64]]:
        command = [*RUN, "--run-id", "one", "--wheel", *wheels, "--dry-run"]
        code, _, errors = aws.deploy(*command, "--set", "Architecture=arm64")
        assert code == 0, errors


def test_machines(aws, run):
    assert_refused(aws, "not for the nodes (aarch64,", *run, "--set", "Architecture=arm64")
    types = "InstanceTypes=c6i.2xlarge,c6g.2xlarge"
    assert_refused(
        aws, "c6i.2xlarge, c6g.2xlarge: not all of them are x86_64", *run, "--set", types
    )
    assert_refused(aws, "ShardVcpus is more than MaxVcpus", *run, "--set", "MaxVcpus=4")


@pytest.mark.parametrize(
    ("given", "own"),
    [
        (["--run-id", "two"], "--run-id is not for the job: give --run-id before"),
        (["--mode=full"], "--mode is not for the job: give MODE before"),
        (["--pca-components", "3"], "--pca-components is not for the job: give COMPONENTS before"),
        (["--shard", "1/2"], "--shard is not for the job: give --shards before"),
    ],
)
def test_options_of_the_scripts_own(aws, run, given, own):
    code, _, errors = aws.deploy(*run, "--dry-run", "--", *given)
    assert code == 2 and own in errors


def test_threads_are_given_once(aws, run):
    code, output, errors = aws.deploy(*run, "--dry-run", "--", "--threads=4")
    assert code == 0, errors
    assert output.count("--threads") == 1 and "--threads=4" in output


def test_weights_belong_into_an_image(aws, run):
    """An image of one's own has no artifacts; that of the default has them from bootstrap.sh."""
    weights = ["--weights", os.environ["POMONA_WEIGHTS"]]
    assert_refused(aws, "put them into the image", *run, *weights, "--set", "Image=mine")
    code, output, errors = aws.deploy(*run, *weights, "--dry-run")
    assert code == 0, errors
    assert "--weights /opt/pomona/artifacts/weights/" in output


@pytest.mark.parametrize("count", ["0", "10001", "some"])
def test_number_of_shards(aws, run, count):
    code, _, errors = aws.deploy(*run, "--shards", count)
    assert code == 2 and f"argument --shards: {count}: not of 1 to 10000" in errors
