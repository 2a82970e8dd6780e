"""What a run will upload, create and start."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from typing import Any

from . import FOLDER, Failure
from .location import Location
from .preflight import check_bucket, find_subnet, machines
from .template import parameter_defaults
from .wheels import REQUIREMENTS, check_wheels, find_wheels, job_file

BOOTSTRAP = FOLDER / "bootstrap.sh"
# Where bootstrap.sh puts the artifacts on every node.
NODE_ARTIFACTS = "/opt/pomona/artifacts"


@dataclasses.dataclass
class Plan:
    """All that a run will upload, create and start."""

    artifacts: Location
    files: dict[str, bytes]  # by their names below artifacts
    parameters: dict[str, str]  # of the template
    step: dict[str, Any]
    run_id: str
    logs: Location
    checked_by: str | None  # the version of Pomona that has looked at the job's options


def make_plan(aws, options):
    """Refuses what would fail later."""
    wheels = find_wheels(options.wheel)
    if options.weights and not options.weights.is_file():
        raise Failure(f"{options.weights}: no such file")
    positional = [options.input, options.output, options.mode, options.components]
    job = [str(word) for word in positional if word is not None]
    job += ["--run-id", options.run_id, *options.job_options]
    checked_by = check_job(job, options.weights)

    for location in (options.input, options.output, options.artifacts, options.logs):
        check_bucket(aws, location.bucket)
    if not aws.exists(options.input):
        raise Failure(f"there is nothing under {options.input}")

    used = parameter_defaults() | options.set
    nodes = machines(aws, [used["PrimaryInstanceType"], used["CoreInstanceType"]])
    files = artifact_files(wheels, check_wheels(wheels, nodes))
    if options.weights:
        name = f"weights/{options.weights.name}"
        files[name] = options.weights.read_bytes()
        job += ["--weights", f"{NODE_ARTIFACTS}/{name}"]
    artifacts = options.artifacts / digest(files)
    parameters = {
        "InputBucket": options.input.bucket,
        "InputPrefix": options.input.prefix,
        "OutputBucket": options.output.bucket,
        "OutputPrefix": options.output.prefix,
        "ArtifactBucket": artifacts.bucket,
        "ArtifactPrefix": artifacts.prefix,
        "LogBucket": options.logs.bucket,
        "LogPrefix": options.logs.prefix,
        "SubnetId": find_subnet(aws, options.subnet),
    } | options.set
    step = make_step(options.run_id, f"{artifacts}/spark_job.py", job)
    return Plan(artifacts, files, parameters, step, options.run_id, options.logs, checked_by)


def check_job(job, weights):
    """Refuses what the job would, by Pomona itself: its version, or None where it is missing."""
    try:
        import pomona
        from pomona.spark_job import parse
    except ImportError:
        return None
    _, _, given = parse(job)
    try:
        features = pomona.Extractor(weights, threads=1).n_features
    except (ValueError, OSError) as error:
        raise Failure(str(error)) from error
    components = pomona._core.RunOptions(**given).pca_components
    if components > features:
        raise Failure(
            f"{components} components: the PCA of {features} features has at most {features}"
        )
    return pomona.__version__


def artifact_files(wheels, ours):
    """What bootstrap.sh and the step need on the nodes; `ours` are Pomona's wheels."""
    files = {path.name: path.read_bytes() for path in (BOOTSTRAP, REQUIREMENTS)}
    for wheel in ours:  # one for each kind of machine, with the same job in each
        files["spark_job.py"] = job_file(wheel.path)
    files |= {f"wheels/{wheel.path.name}": wheel.path.read_bytes() for wheel in wheels}
    return files


def digest(files):
    """A folder for each content: what a running cluster was made from never changes under it."""
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        state.update(f"{name} {len(content)}\n".encode() + content)
    return state.hexdigest()[:16]


def make_step(run_id, script, arguments):
    return {
        "Name": f"pomona {run_id}",
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            # The driver runs on the primary node, which has nothing else to do; the core nodes
            # are the executors' alone, and what the job prints is the step's log.
            "Args": ["spark-submit", "--deploy-mode", "client", script, *arguments],
        },
    }


def print_plan(aws, plan, options):
    print(f"region  {aws.region}")
    for name, content in plan.files.items():
        print(f"upload  {plan.artifacts}/{name} ({len(content):,} bytes)")
    print(f"stack   {options.stack}")
    for name, value in plan.parameters.items():
        print(f"        {name}={value}")
    print(f"step    {' '.join(plan.step['HadoopJarStep']['Args'])}")
    if plan.checked_by:
        print(f"        checked by Pomona {plan.checked_by}")
    else:
        unchecked = f"its options, since {sys.executable} has no Pomona (docs/emr.md)"
        print(f"        NOT checked: {unchecked}")
    print(f"results {options.output}, run {plan.run_id}")
    print("then    keep the cluster" if options.keep else "then    delete the stack")


def upload(aws, plan, output, progress):
    present = {found["Key"] for found in aws.objects(plan.artifacts)}
    for name, content in plan.files.items():
        target = plan.artifacts / name
        if target.prefix not in present:
            progress.say(f"upload {target}")
            aws.s3.put_object(Bucket=target.bucket, Key=target.prefix, Body=content)
    # S3A looks for a parent of a folder that is not there, where the nodes may not look.
    if output.prefix and not aws.exists(output):
        aws.s3.put_object(Bucket=output.bucket, Key=output.folder)
