"""What a run will upload, create and start."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import re
import sys
from typing import Any

from . import FOLDER, Failure
from .location import Location
from .preflight import check_bucket
from .template import parameter_defaults
from .wheels import REQUIREMENTS, check_wheels, find_wheels, job_file


@dataclasses.dataclass
class Plan:
    """All that a run will upload, create and start."""

    options: Any
    name: str  # of the job
    job: list[str]  # INPUT, OUTPUT and the options of `pomona run`
    artifacts: Location
    files: dict[str, bytes]  # by their names below artifacts
    parameters: dict[str, str]  # of the template
    notes: list[str]  # on what was checked, and what could not be


def make_plan(aws, way, options):
    """Refuses what would fail later."""
    wheels = find_wheels(options.wheel)
    if options.weights and not options.weights.is_file():
        raise Failure(f"{options.weights}: no such file")
    job = [str(options.input), str(options.output), "--run-id", options.run_id]
    job += ["--mode", options.mode] if options.mode else []
    job += ["--pca-components", str(options.components)] if options.components is not None else []
    job += options.job_options
    notes, components = check_job(job, options.weights)

    for location in (options.input, options.output, options.artifacts, options.logs):
        check_bucket(aws, location.bucket)
    # Of a hundred million images as many are listed as have to be there.
    found = sum(1 for _ in itertools.islice(aws.objects(options.input), max(components, 1)))
    if not found:
        raise Failure(f"there is nothing under {options.input}")
    if found < components:
        raise Failure(f"{components} components of {found} objects under {options.input}")

    used = parameter_defaults(way.name) | options.set
    files = artifact_files(wheels, check_wheels(wheels, way.machines(aws, used)))
    if options.weights:
        name = f"weights/{options.weights.name}"
        files[name] = options.weights.read_bytes()
        job += ["--weights", f"{way.home(used)}/{name}"]
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
    }
    name = "pomona-" + re.sub(r"[^A-Za-z0-9_-]", "-", options.run_id)
    plan = Plan(options, name, job, artifacts, files, parameters, notes)
    plan.parameters |= way.prepare(plan, used) | options.set
    return plan


def check_job(job, weights):
    """Refuses what the job would, by Pomona itself: a note, and the components asked for."""
    try:
        import pomona
        from pomona.spark_job import parse
    except ImportError:
        return [f"NOT checked: its options, since {sys.executable} has no Pomona (docs/aws.md)"], 0
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
    # With another run's PCA there is none to fit.
    components = 0 if given.get("pca") else components
    return [f"options checked by Pomona {pomona.__version__}"], components


def artifact_files(wheels, ours):
    """What bootstrap.sh and the job need, for all ways; `ours` are Pomona's wheels."""
    files = {path.name: path.read_bytes() for path in (FOLDER / "bootstrap.sh", REQUIREMENTS)}
    for wheel in ours:  # one for each kind of machine, with the same job in each
        files["spark_job.py"] = job_file(wheel.path)
    files |= {f"wheels/{wheel.path.name}": wheel.path.read_bytes() for wheel in wheels}
    return files


def digest(files):
    """A folder for each content: what a running job was made from never changes under it."""
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        state.update(f"{name} {len(content)}\n".encode() + content)
    return state.hexdigest()[:16]


def print_plan(aws, way, plan):
    print(f"region  {aws.region}")
    for name, content in plan.files.items():
        print(f"upload  {plan.artifacts}/{name} ({len(content):,} bytes)")
    print(f"stack   {plan.options.stack}")
    for name, value in plan.parameters.items():
        print(f"        {name}={value}")
    print(f"job     {plan.name}: {' '.join(way.command(plan))}")
    for note in plan.notes:
        print(f"        {note}")
    print(f"results {plan.options.output}, run {plan.options.run_id}")
    print("then    keep the stack" if plan.options.keep else "then    delete the stack")


def upload(aws, way, plan, progress):
    output = plan.options.output
    present = {found["Key"] for found in aws.objects(plan.artifacts)}

    def put(name, content):
        target = plan.artifacts / name
        if target.prefix not in present:
            progress.say(f"upload {target}")
            with content() as body:
                aws.client("s3").upload_fileobj(body, target.bucket, target.prefix)

    for name, content in plan.files.items():
        put(name, lambda content=content: io.BytesIO(content))
    for name, make in way.made(plan).items():
        put(name, make)
    # S3A looks for a parent of a folder that is not there, where the nodes may not look.
    if output.prefix and not aws.exists(output):
        aws.client("s3").put_object(Bucket=output.bucket, Key=output.folder)
