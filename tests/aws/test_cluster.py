"""The script, end to end, against moto's server over HTTP; no node and no job is real here."""

import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest
from account import DEPLOY, JOB, TAG, WHEEL, make_wheel
from stand_ins import listed_as_deleted

QUICK = ["--poll", "0.1"]


@pytest.fixture
def run_options(wheel):
    return ["s3://images/fruits", "s3://results/out", "mini", "5", "--wheel", wheel, *QUICK]


def complete(aws):
    """Work that leaves a small run behind."""

    def work(step):
        run_id = step.args[step.args.index("--run-id") + 1]
        for folder in ["features/parquet/features", "pca/csv/pca", "run_info/run_info"]:
            aws.put("results", f"out/{folder}_{run_id}/part-00000.x", folder.encode())
            aws.put("results", f"out/{folder}_{run_id}/_SUCCESS", b"")
        return "COMPLETED"

    return work


def fail(_):
    return "FAILED"


def assert_nothing_left(aws):
    assert aws.stacks() == []
    assert {cluster.state for cluster in aws.clusters()} <= {"TERMINATED"}
    assert not [name for name in aws.roles() if name.startswith("pomona")]
    assert aws.behind("emr").security_configurations == {}


def wait_for_step(aws, process, count=1):
    aws.wait(process, lambda: sum(len(each.steps) for each in aws.clusters()) >= count)


def test_run_does_all_and_leaves_only_the_results(aws, job, run_options, tmp_path):
    with job(complete(aws)):
        code, output, errors = aws.deploy(
            *("cluster", "run", *run_options, "--run-id", "one", "--fetch", tmp_path),
            *("--set", "CoreInstanceCount=4", "--tag", "team=fruit", "--", "--max-rejects", "3%"),
        )
    assert code == 0, errors
    assert "run one is in s3://results/out" in output
    assert errors.count("INFO first line") == 1 and errors.count("INFO last line") == 1
    assert_nothing_left(aws)

    [cluster] = aws.clusters()
    assert cluster.release_label == "emr-7.11.0"
    [step] = cluster.steps
    artifacts = step.args[3].removesuffix("/spark_job.py")
    assert step.args == [
        "spark-submit", "--deploy-mode", "client", f"{artifacts}/spark_job.py",
        "s3://images/fruits", "s3://results/out", "--run-id", "one", "--mode", "mini",
        "--pca-components", "5", "--max-rejects", "3%",
    ]  # fmt: skip

    prefix = artifacts.removeprefix("s3://results/")
    uploaded = {key for key in aws.keys("results") if key.startswith(prefix)}
    assert uploaded == {
        f"{prefix}/{name}"
        for name in ["bootstrap.sh", "requirements.txt", "spark_job.py", f"wheels/{WHEEL}"]
    }
    got = aws.s3.get_object(Bucket="results", Key=f"{prefix}/spark_job.py")["Body"].read()
    assert got.decode() == JOB

    fetched = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert fetched == {
        "pca/csv/pca_one/part-00000.x",
        "pca/csv/pca_one/_SUCCESS",
        "run_info/run_info_one/part-00000.x",
        "run_info/run_info_one/_SUCCESS",
    }


def test_dry_run_makes_nothing(aws, run_options):
    code, output, errors = aws.deploy(
        "cluster", "run", *run_options, "--run-id", "one", "--dry-run"
    )
    assert code == 0, errors
    assert "OutputPrefix=out" in output
    assert "spark-submit --deploy-mode client s3://results/pomona/artifacts/" in output
    assert aws.keys("results") == []
    assert aws.stacks() == [] and aws.clusters() == []


def test_keep_leaves_a_cluster_that_the_next_run_takes(aws, job, run_options):
    with job(complete(aws)):
        code, _, errors = aws.deploy("cluster", "run", *run_options, "--run-id", "one", "--keep")
        assert code == 0, errors
        assert aws.stacks() == ["pomona-cluster"]
        before = aws.keys("results")
        code, _, errors = aws.deploy("cluster", "run", *run_options, "--run-id", "two")
    assert code == 0, errors
    assert "create stack" not in errors and "upload" not in errors
    assert len(aws.clusters()) == 1 and len(aws.clusters()[0].steps) == 2
    assert not [key for key in set(aws.keys("results")) - set(before) if "artifacts" in key]
    assert_nothing_left(aws)


def test_a_cluster_of_other_parameters_is_left_alone(aws, job, run_options):
    with job(complete(aws)):
        aws.deploy("cluster", "run", *run_options, "--keep")
        code, _, errors = aws.deploy("cluster", "run", *run_options, "--set", "CoreInstanceCount=3")
    assert code == 1
    assert "stack pomona-cluster is there with CoreInstanceCount '2', not '3'" in errors
    code, _, errors = aws.deploy("cluster", "delete", *QUICK)
    assert code == 0, errors
    with job(complete(aws)):
        aws.deploy("cluster", "run", *run_options, "--keep", "--set", "CoreInstanceCount=3")
        code, _, errors = aws.deploy("cluster", "run", *run_options)  # for the default, 2
    assert code == 1
    assert "stack pomona-cluster is there with CoreInstanceCount '3', not '2'" in errors
    assert aws.stacks() == ["pomona-cluster"]
    assert aws.deploy("cluster", "delete", *QUICK)[0] == 0
    assert_nothing_left(aws)


def test_delete_says_where_there_was_nothing_to_delete(aws, job, monkeypatch, run_options):
    """Whatever names the region, the cluster that goes on is not passed over in silence."""
    with job(complete(aws)):
        aws.deploy("cluster", "run", *run_options, "--keep")
    nothing = "deploy/aws: no stack pomona-cluster in us-east-1: see --stack and --region\n"
    assert aws.deploy("cluster", "delete", *QUICK, "--region", "us-east-1") == (1, "", nothing)
    with monkeypatch.context() as patch:
        patch.setitem(aws.environment, "AWS_REGION", "us-east-1")  # before AWS_DEFAULT_REGION
        assert aws.deploy("cluster", "delete", *QUICK) == (1, "", nothing)
    code, _, errors = aws.deploy("cluster", "delete", *QUICK, "--stack", "nonesuch")
    assert code == 1 and "no stack nonesuch in eu-west-1" in errors
    assert aws.stacks() == ["pomona-cluster"]
    assert aws.deploy("cluster", "delete", *QUICK)[0] == 0
    assert_nothing_left(aws)


def test_region_of_the_profile(aws, monkeypatch, tmp_path):
    monkeypatch.delitem(aws.environment, "AWS_DEFAULT_REGION")
    code, _, errors = aws.deploy("cluster", "delete", *QUICK)
    assert code == 1 and errors.startswith("deploy/aws: no region: give --region")
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-west-2\n[profile far]\nregion = ap-south-1\n")
    monkeypatch.setitem(aws.environment, "AWS_CONFIG_FILE", str(config))
    assert "no stack pomona-cluster in us-west-2" in aws.deploy("cluster", "delete", *QUICK)[2]
    monkeypatch.setitem(aws.environment, "AWS_PROFILE", "far")
    assert "no stack pomona-cluster in ap-south-1" in aws.deploy("cluster", "delete", *QUICK)[2]
    monkeypatch.setitem(aws.environment, "AWS_PROFILE", "none")
    code, _, errors = aws.deploy("cluster", "delete", *QUICK)
    assert code == 1 and errors == "deploy/aws: The config profile (none) could not be found\n"


def test_a_cluster_that_terminated_is_replaced(aws, job, run_options):
    with job(complete(aws)):
        aws.deploy("cluster", "run", *run_options, "--keep")
        aws.clusters()[0].state = "TERMINATED"
        code, _, errors = aws.deploy("cluster", "run", *run_options)
    assert code == 0, errors
    assert "what stack pomona-cluster holds has terminated" in errors
    assert len(aws.clusters()) == 2
    assert_nothing_left(aws)


@pytest.mark.parametrize(
    ("status", "replaced"), [("ROLLBACK_COMPLETE", True), ("UPDATE_ROLLBACK_COMPLETE", False)]
)
def test_only_a_broken_stack_is_replaced(aws, job, run_options, status, replaced):
    with job(complete(aws)):
        aws.deploy("cluster", "run", *run_options, "--keep")
        [stack] = aws.behind("cloudformation").stacks.values()
        stack.status = status
        code, _, errors = aws.deploy("cluster", "run", *run_options)
    if replaced:
        assert code == 0, errors
        assert_nothing_left(aws)
    else:
        assert code == 1 and f"stack pomona-cluster is {status}" in errors
        assert aws.stacks() == ["pomona-cluster"]


def test_a_failed_step_shows_its_log_and_tears_down(aws, job, run_options):
    with job(fail):
        code, output, errors = aws.deploy("cluster", "run", *run_options)
    assert code == 1 and output == ""
    [step] = aws.clusters()[0].steps
    assert f"steps/{step.id}/stderr.gz\nINFO first line\nINFO last line\ndeploy/aws:" in errors
    assert errors.endswith(f", step {step.id} FAILED: see its log\n")
    assert_nothing_left(aws)


def test_a_stack_that_fails_says_why_and_tears_down(aws, monkeypatch, run_options):
    from moto.cloudformation.models import Event, Stack

    create = Stack.create_resources

    def create_and_fail(stack):
        create(stack)
        [cluster] = aws.clusters()
        event = Event(
            stack_id=stack.stack_id,
            stack_name=stack.name,
            logical_resource_id="Cluster",
            physical_resource_id=cluster.id,
            resource_type="AWS::EMR::Cluster",
            resource_status="CREATE_FAILED",
            resource_status_reason="BOOTSTRAP_FAILURE: on i-1 returned 1",
            resource_properties=None,
        )
        stack.events.append(event)
        stack.status = "ROLLBACK_COMPLETE"
        key = f"pomona/logs/{cluster.id}/node/i-1/bootstrap-actions/1/stderr.gz"
        aws.put("results", key, gzip.compress(b"No match for argument: python3.11\n"))

    monkeypatch.setattr(Stack, "create_resources", create_and_fail)
    with listed_as_deleted("Cluster"):  # by the rollback
        code, _, errors = aws.deploy("cluster", "run", *run_options)
    assert code == 1
    assert "stack pomona-cluster could not be made: Cluster: BOOTSTRAP_FAILURE: on i-1" in errors
    assert "No match for argument: python3.11" in errors
    assert_nothing_left(aws)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("keep", [[], ["--keep"]], ids=["delete", "keep"])
def test_interrupted(aws, run_options, which, keep):
    process = aws.start("cluster", "run", *run_options, *keep)
    wait_for_step(aws, process)
    process.send_signal(which)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "deploy/aws: interrupted" in errors
    if keep:
        assert aws.stacks() == ["pomona-cluster"]
    else:
        assert_nothing_left(aws)


def test_interrupted_beside_another_run(aws, run_options):
    aws.cut_off(wait_for_step, "cluster", "run", *run_options, "--run-id", "other")
    process = aws.start("cluster", "run", *run_options, "--run-id", "one")
    wait_for_step(aws, process, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    [cluster] = aws.clusters()
    states = {step.name: step.state for step in cluster.steps}
    assert states.pop("pomona-one") == "CANCELLED" and states != {"pomona-other": "CANCELLED"}
    assert aws.stacks() == ["pomona-cluster"]


def test_a_run_that_was_cut_off_is_taken_up(aws, job, run_options):
    aws.cut_off(wait_for_step, "cluster", "run", *run_options, "--run-id", "one")
    work = job(complete(aws))
    aws.taken_up("pomona-one", work, "cluster", "run", *run_options, "--run-id", "one")
    assert len(aws.clusters()[0].steps) == 1
    assert_nothing_left(aws)


def test_a_stack_that_cannot_be_deleted_is_not_forgotten(aws, job, monkeypatch, run_options):
    from moto.cloudformation.models import CloudFormationBackend

    def fails(backend, _):
        [stack] = backend.stacks.values()
        stack.status = "DELETE_FAILED"

    with job(fail), monkeypatch.context() as patch:
        patch.setattr(CloudFormationBackend, "delete_stack", fails)
        code, _, errors = aws.deploy("cluster", "run", *run_options)
    assert code == 1
    assert "stack pomona-cluster may still be there and cost money" in errors
    assert "FAILED: see its log" in errors
    assert "deploy/aws: stack pomona-cluster is DELETE_FAILED" in errors


def test_weights_of_ones_own(aws, run_options, tmp_path):
    weights = tmp_path / "mine.safetensors"
    shutil.copy(pathlib.Path(os.environ["POMONA_WEIGHTS"]), weights)
    code, output, errors = aws.deploy(
        "cluster", "run", *run_options, "--weights", weights, "--dry-run"
    )
    assert code == 0, errors
    assert f"/weights/mine.safetensors ({weights.stat().st_size:,} bytes)" in output
    assert "--weights /opt/pomona/artifacts/weights/mine.safetensors" in output


@pytest.fixture
def without(tmp_path):
    """without(package, *arguments) runs the script by a Python that lacks the package."""

    def without(package, *arguments, **environment):
        (tmp_path / f"{package}.py").write_text(
            f"raise ModuleNotFoundError('No module named {package}', name={package!r})"
        )
        command = [sys.executable, str(DEPLOY), *map(str, arguments)]
        return subprocess.run(
            command,
            env=os.environ | environment | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return without


@pytest.mark.parametrize("package", ["boto3", "yaml"])
def test_missing_packages(without, package):
    done = without(package, "--help")
    assert done.returncode == 0 and "usage: deploy/aws" in done.stdout
    assert without(package, "cluster", "run", "--help").returncode == 0
    for arguments in (
        ["cluster", "delete"],
        ["batch", "estimate", "--images", "5"],
        ["cluster", "estimate", "--images", "5", "--set", "CoreInstanceCount=3"],
    ):
        done = without(package, *arguments)
        assert done.returncode == 1
        assert done.stderr == (
            f"deploy/aws: there is no {package} in {sys.executable}; install what this script "
            f"needs: {sys.executable} -m pip install boto3 pyyaml\n"
        )


# What is wrong before anything was made.


def assert_refused(aws, message, *arguments):
    code, output, errors = aws.deploy("cluster", "run", *arguments)
    assert (code, output) == (1, "")
    assert message in errors and "Traceback" not in errors
    assert aws.stacks() == [] and aws.clusters() == []


def test_missing_bucket(aws, run_options):
    run_options[1] = "s3://nowhere/out"
    assert_refused(aws, "deploy/aws: bucket nowhere does not exist", *run_options)


def test_bucket_of_another_region(aws, run_options):
    aws.make_bucket("far", "us-west-2")
    run_options[1] = "s3://far/out"
    assert_refused(aws, "bucket far is in us-west-2, the job in eu-west-1", *run_options)


def test_empty_input(aws, run_options):
    run_options[0] = "s3://images/fruit"
    assert_refused(aws, "there is nothing under s3://images/fruit", *run_options)


def test_wheels(aws, run_options, wheel, tmp_path):
    at = run_options.index(wheel)
    run_options[at] = tmp_path / "pomona-1.whl"
    assert_refused(aws, "pomona-1.whl: no wheel there", *run_options)
    run_options[at] = tmp_path
    assert_refused(aws, f"{tmp_path}: no wheel there", *run_options)
    other = tmp_path / "pyarrow-26.0.1-cp311-cp311-manylinux_2_28_x86_64.whl"
    shutil.copy(wheel, other)
    assert_refused(aws, "no wheel of pomona", *run_options)


@pytest.mark.parametrize(
    "name",
    [
        "pomona-0.1.0-cp313-cp313-manylinux_2_34_x86_64.whl",
        "pomona-0.1.0-cp311-cp311-manylinux_2_36_x86_64.whl",
    ],
)
def test_wheel_that_no_node_takes(aws, run_options, tmp_path, name):
    """pip's own verdict, of what a node would say."""
    run_options[run_options.index("--wheel") + 1] = make_wheel(tmp_path, name)
    assert_refused(aws, f"{name}: not for the nodes (x86_64, Python 3.11,", *run_options)
    node = ["--python-version", "3.11", "--platform", "manylinux_2_34_x86_64", "--no-deps"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *node,
        "--no-index",
        "--dest",
        tmp_path / "x",
    ]
    done = subprocess.run([*command, tmp_path / name], capture_output=True, text=True, check=False)
    assert "is not a supported wheel on this platform" in done.stderr


def test_nodes_of_another_processor(aws, run_options):
    graviton = ["--set", "CoreInstanceType=m6g.2xlarge"]
    assert_refused(aws, "not for the nodes (aarch64, Python 3.11", *run_options, *graviton)
    code, _, errors = aws.deploy(
        "cluster", "run", *run_options, "--set", "CoreInstanceType=x9.large", "--dry-run"
    )
    assert code == 1 and errors.startswith("deploy/aws: eu-west-1: ") and "x9.large" in errors


def test_damaged_wheel(aws, run_options, wheel, tmp_path):
    at = run_options.index(wheel)
    run_options[at] = tmp_path / wheel.name
    whole = wheel.read_bytes()
    for broken in (b"", whole[: len(whole) // 2]):
        run_options[at].write_bytes(broken)
        assert_refused(aws, f"{tmp_path / wheel.name} is no wheel, or half of one", *run_options)
    run_options[at].write_bytes(whole.replace(JOB.encode(), JOB.upper().encode()))
    assert_refused(aws, f"{wheel.name} is damaged: pomona/spark_job.py", *run_options)
    run_options[at] = tmp_path / "pomona.whl"
    run_options[at].write_bytes(whole)
    assert_refused(aws, "pomona.whl: not the name of a wheel", *run_options)


def test_wheelhouse_that_lacks_something(aws, run_options, wheel, tmp_path):
    """As `pip download pyarrow` leaves it: the nodes would look for the rest in vain."""
    shutil.copy(wheel, tmp_path)
    shutil.copy(wheel, tmp_path / "pyarrow-26.0.1-cp311-cp311-manylinux_2_28_x86_64.whl")
    run_options[run_options.index(wheel)] = tmp_path
    assert_refused(aws, "lacks numpy==", *run_options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--", "--max-rejekts", "3"], "unrecognized arguments: --max-rejekts 3"),
        (["--", "--max-rejects", "many"], "max-rejects 'many': expected a number of images"),
        (["--", "--vectors", "mllib"], "vectors 'mllib': expected fixed, list or spark"),
        (["--run-id", "a/b"], "run-id 'a/b': letters, digits"),
        (["--", "surplus"], "unrecognized arguments: surplus"),
    ],
)
def test_options_that_the_job_would_refuse(aws, run_options, wrong, message):
    code, output, errors = aws.deploy("cluster", "run", *run_options, "--dry-run", *wrong)
    assert (code, output) == (2, "")
    assert message in errors and "Traceback" not in errors


def test_components_and_weights_that_the_job_would_refuse(aws, run_options, tmp_path):
    run_options[3] = "5000"
    assert_refused(aws, "5000 components: the PCA of 1280 features has at most 1280", *run_options)
    run_options[3] = "6"
    assert_refused(aws, "6 components of 5 objects under s3://images/fruits", *run_options)
    run_options[3] = "5"
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"weights")
    assert_refused(aws, "mine.safetensors", *run_options, "--weights", weights)


def test_gpus(aws, run_options):
    gpus = ["--set", "TaskGpus=0.25", "--set", "TaskInstanceCount=1"]
    refused = "TaskGpus is for nodes with GPUs, and m5.2xlarge has none"
    assert_refused(aws, refused, *run_options, *gpus)
    gpus += ["--set", "CoreInstanceType=g4dn.2xlarge"]
    assert_refused(aws, refused, *run_options, *gpus)
    gpus += ["--set", "TaskInstanceType=g4dn.2xlarge"]
    code, output, errors = aws.deploy("cluster", "run", *run_options, "--dry-run", *gpus)
    assert code == 0, errors
    # They count towards quotas of their own.
    asked = set(re.findall(r"the quota of (.*) \(", output))  # which moto does not know
    of_gpus = "vCPUs of G instances on"
    assert asked == {"vCPUs on demand", f"{of_gpus} demand", f"{of_gpus} Spot"}


def test_without_pomona_the_plan_says_what_was_not_checked(aws, without, run_options):
    done = without(
        "pomona",
        "cluster",
        "run",
        *run_options,
        "--dry-run",
        "--",
        "--max-rejekts",
        "3",
        **aws.environment,
    )
    assert done.returncode == 0, done.stderr
    assert "NOT checked: its options" in done.stdout
    code, output, _ = aws.deploy("cluster", "run", *run_options, "--dry-run")
    assert code == 0 and "checked by Pomona 0." in output


def test_untagged_network(aws, run_options):
    [vpc] = [vpc["VpcId"] for vpc in aws.ec2.describe_vpcs()["Vpcs"]]
    aws.ec2.delete_tags(Resources=[vpc], Tags=[TAG])
    group = aws.ec2.create_security_group(
        GroupName="ElasticMapReduce-master", Description="of an earlier cluster", VpcId=vpc
    )["GroupId"]
    assert_refused(aws, f"create-tags --region eu-west-1 --resources {group} {vpc}", *run_options)


def test_no_credentials(aws, monkeypatch, run_options):
    monkeypatch.delitem(aws.environment, "AWS_ACCESS_KEY_ID")
    monkeypatch.setitem(aws.environment, "AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setitem(aws.environment, "AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert_refused(aws, "deploy/aws: Unable to locate credentials", *run_options)


@pytest.mark.parametrize(
    "wrong",
    [
        ["cluster", "run", "images/fruits", "s3://results/out", "--wheel", "x"],
        ["cluster", "run", "s3://images/fruits", "s3://results/out", "all", "--wheel", "x"],
        ["cluster", "run", "s3://images/fruits", "s3://results/out"],
        ["cluster", "run", "s3://images/f", "s3://results/out", "--wheel", "x", "--set", "Cores=4"],
        ["cluster", "estimate", "--images", "5", "--", "--limit", "3"],
        [],
    ],
)
def test_wrong_usage(aws, wrong):
    code, _, errors = aws.deploy(*wrong)
    assert code == 2
    assert "usage: deploy/aws" in errors


def test_fetch_again_downloads_nothing(aws, tmp_path):
    for name in ["features/csv/features", "metadata/metadata", "run_info/run_info"]:
        aws.put("results", f"out/{name}_one/part-00000.x", name.encode())
    aws.put("results", "out/metadata/metadata_other/part-00000.x")
    arguments = ["cluster", "fetch", "s3://results/out", "one", tmp_path]
    assert aws.deploy(*arguments)[1] == f"2 files of run one are in {tmp_path}\n"
    kept = tmp_path / "metadata/metadata_one/part-00000.x"
    inode = kept.stat().st_ino
    assert aws.deploy(*arguments, "--features")[1] == f"3 files of run one are in {tmp_path}\n"
    assert kept.stat().st_ino == inode
    assert aws.deploy("cluster", "fetch", "s3://results/out", "two", tmp_path) == (
        1, "", "deploy/aws: no finished run two in s3://results/out\n",
    )  # fmt: skip


def test_estimate(aws):
    # 36,000 images at 10 x 8 x 2 a second take 3.75 minutes.
    arguments = ["cluster", "estimate", "--images", "36000", "--rate", "10", "--overhead", "11.25"]
    _, output, _ = aws.deploy(*arguments, "--price", "m5.2xlarge=8,0.9,0.1")
    assert "15.0 min" in output
    assert "0.75 USD  (3.000 an hour)" in output
    _, output, _ = aws.deploy(
        *arguments, "--price", "m5.2xlarge=8,0.9,0.1", "--set", "CoreMarket=SPOT",
        "--spot-discount", "0.5",
    )  # fmt: skip
    assert "(2.100 an hour)" in output
    code, _, errors = aws.deploy(*arguments, "--set", "CoreInstanceType=x9.large")
    assert code == 1 and "no price of x9.large" in errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["batch", "--set", "MaxVcpus=4"], 1, "no vCPU would work"),
        (["serverless", "--set", "MaxVcpus=4"], 1, "no executor would start"),
        (["cluster", "--set", "CoreInstanceCount=0"], 1, "no vCPU would work"),
        (["batch", "--rate", "0"], 2, "argument --rate: 0: not a number above 0"),
        (["batch", "--rate", "fast"], 2, "argument --rate: fast: not a number above 0"),
        (["batch", "--set", "MaxVcpus=abc"], 2, "argument --set: MaxVcpus=abc: not a whole number"),
        (["batch", "--price", "batch-x86_64=1,2"], 1, "give --price batch-x86_64=VCPU\n"),
        (["serverless", "--price", "serverless-X86_64=1"], 1, "serverless-X86_64=VCPU,GIB\n"),
        (["cluster", "--price", "m5.2xlarge=8"], 1, "give --price m5.2xlarge=VCPUS,EC2,EMR\n"),
    ],
)
def test_estimates_that_cannot_be(aws, arguments, code, message):
    way, *options = arguments
    got, output, errors = aws.deploy(way, "estimate", "--images", "5", *options)
    assert (got, output) == (code, "")
    assert message in errors and "Traceback" not in errors
