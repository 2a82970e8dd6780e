#!/usr/bin/env python3
"""Runs Pomona's Spark job on an EMR cluster of its own: docs/emr.md. Needs boto3 and PyYAML."""

import argparse
import dataclasses
import datetime
import gzip
import hashlib
import os
import pathlib
import re
import signal
import sys
import time
import zipfile

try:
    import boto3
    import botocore.config
    import botocore.exceptions
    import yaml
except ModuleNotFoundError as error:
    missing, AWS_ERRORS = error.name, ()
else:
    missing = None
    AWS_ERRORS = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATE = HERE / "cluster.yaml"
BOOTSTRAP = HERE / "bootstrap.sh"
REQUIREMENTS = HERE / "requirements.txt"
# Where bootstrap.sh puts the artifacts on every node.
NODE_ARTIFACTS = "/opt/pomona/artifacts"
# The Python that bootstrap.sh installs, and the C library of EMR 7's Amazon Linux 2023.
NODE_PYTHON = 11  # 3.11
NODE_GLIBC = (2, 34)
# EMR's managed policy works only on network resources that carry this tag.
NETWORK_TAG = "for-use-with-amazon-emr-managed-policies"
DEFAULT_SECURITY_GROUPS = [
    "ElasticMapReduce-master",
    "ElasticMapReduce-slave",
    "ElasticMapReduce-Master-Private",
    "ElasticMapReduce-Slave-Private",
    "ElasticMapReduce-ServiceAccess",
]

ALIVE = {"STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"}
UNFINISHED_STEP = {"PENDING", "RUNNING", "CANCEL_PENDING"}
USABLE_STACK = {"CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_COMPLETE"}
# Holds nothing that works.
BROKEN_STACK = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}

# vCPU, US dollars an hour for EC2 on demand and for EMR on top, in eu-west-1. From AWS's list
# prices (aws.amazon.com/ec2/pricing/on-demand, aws.amazon.com/emr/pricing) as known in mid-2025 and
# not looked up since; --price replaces them.
PRICES = {
    "m5.xlarge": (4, 0.214, 0.048),
    "m5.2xlarge": (8, 0.428, 0.096),
    "m5.4xlarge": (16, 0.856, 0.192),
}
PRICE_1000_GETS = 0.0004


class Failure(Exception):
    """Something the user can act on; the message says what."""


def check_packages():
    if missing:
        raise Failure(
            f"there is no {missing} in {sys.executable}; install what this script needs: "
            f"{sys.executable} -m pip install boto3 pyyaml"
        )


@dataclasses.dataclass(frozen=True)
class Location:
    """A folder in S3."""

    bucket: str
    prefix: str  # without slashes around it

    @staticmethod
    def parse(uri):
        scheme, _, path = uri.partition("://")
        bucket, _, prefix = path.partition("/")
        if scheme not in ("s3", "s3a", "s3n") or not bucket:
            raise argparse.ArgumentTypeError(f"{uri}: not of the form s3://bucket/prefix")
        return Location(bucket, prefix.strip("/"))

    def __truediv__(self, name):
        return Location(self.bucket, f"{self.prefix}/{name}".strip("/"))

    def __str__(self):
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def folder(self):
        """What the keys of its objects begin with."""
        return f"{self.prefix}/" if self.prefix else ""


class Aws:
    """The clients of one region: the one that is named, or the one that AWS' own tools would take."""

    def __init__(self, region):
        check_packages()
        # boto3 knows AWS_DEFAULT_REGION and the profile, but not what AWS' other SDKs look at first.
        region = region or os.environ.get("AWS_REGION") or boto3.session.Session().region_name
        if not region:
            raise Failure("no region: give --region, or set AWS_REGION or the profile's region")
        self.region = region
        # A lost connection must not lose sight of a cluster that costs money.
        config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 10})
        session = boto3.session.Session(region_name=region)
        self.s3 = session.client("s3", config=config)
        self.ec2 = session.client("ec2", config=config)
        self.emr = session.client("emr", config=config)
        self.cloudformation = session.client("cloudformation", config=config)

    def objects(self, location):
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=location.bucket, Prefix=location.folder
        )
        for page in pages:
            yield from page.get("Contents", [])

    def exists(self, location):
        return next(self.objects(location), None) is not None


class Progress:
    """Lines to standard error with the time since the start; repeats itself once a minute."""

    def __init__(self):
        self.start = time.monotonic()
        self.last = None
        self.said = 0.0

    def say(self, line):
        now = time.monotonic()
        if line == self.last and now - self.said < 60:
            return
        self.last, self.said = line, now
        minutes, seconds = divmod(int(now - self.start), 60)
        print(f"[{minutes:3}:{seconds:02}] {line}", file=sys.stderr, flush=True)


# Before anything is made: what will be needed, and whether it is there.


def check_bucket(aws, bucket):
    try:
        answer = aws.s3.head_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        reason = {"404": "does not exist", "403": "is not yours to read"}.get(code, f"gives {code}")
        raise Failure(f"bucket {bucket} {reason}") from error
    region = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", aws.region)
    if region != aws.region:
        raise Failure(f"bucket {bucket} is in {region}, the cluster in {aws.region}: see --region")


def find_subnet(aws, subnet):
    """The subnet, or one of the default VPC, after a look at the tags that EMR will insist on."""
    if subnet:
        found = aws.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    else:
        own = [{"Name": "default-for-az", "Values": ["true"]}]
        found = aws.ec2.describe_subnets(Filters=own)["Subnets"]
        found.sort(key=lambda subnet: subnet["AvailabilityZone"])
        if not found:
            raise Failure(f"{aws.region} has no default VPC: name a subnet with --subnet")
    subnet, vpc = found[0]["SubnetId"], found[0]["VpcId"]
    groups = aws.ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": DEFAULT_SECURITY_GROUPS},
        ]
    )["SecurityGroups"]
    needed = {subnet, vpc, *(group["GroupId"] for group in groups)}
    filters = [
        {"Name": "resource-id", "Values": sorted(needed)},
        {"Name": "key", "Values": [NETWORK_TAG]},
        {"Name": "value", "Values": ["true"]},
    ]
    tags = aws.ec2.describe_tags(Filters=filters)["Tags"]
    untagged = sorted(needed - {tag["ResourceId"] for tag in tags})
    if untagged:
        raise Failure(
            f"EMR may not use {', '.join(untagged)} without a tag. If it should:\n"
            f"  aws ec2 create-tags --region {aws.region} --resources {' '.join(untagged)}"
            f" --tags Key={NETWORK_TAG},Value=true"
        )
    return subnet


def machines(aws, instance_types):
    """The processors of the nodes, as wheels call them."""
    try:
        answer = aws.ec2.describe_instance_types(InstanceTypes=sorted(set(instance_types)))
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceType":
            raise
        raise Failure(f"{aws.region}: {error.response['Error']['Message']}") from error
    names = {"x86_64": "x86_64", "arm64": "aarch64"}
    return sorted(
        {
            names[machine]
            for each in answer["InstanceTypes"]
            for machine in each["ProcessorInfo"]["SupportedArchitectures"]
            if machine in names
        }
    )


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel by its name: NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl, tags joined by dots."""

    path: pathlib.Path
    name: str
    python: str
    abi: str
    platform: str

    @staticmethod
    def parse(path):
        match = re.fullmatch(r"([^-]+)-[^-]+(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl", path.name)
        if not match:
            raise Failure(f"{path}: not the name of a wheel")
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        return Wheel(path, name, *match.groups()[1:])

    def fits(self, machine):
        """Whether a node's pip takes it."""
        stable = {f"cp3{minor}" for minor in range(2, NODE_PYTHON + 1)}
        pythons = {"py3", f"py3{NODE_PYTHON}", f"cp3{NODE_PYTHON}"}
        pythons |= stable if "abi3" in self.abi.split(".") else set()
        return bool(pythons.intersection(self.python.split("."))) and any(
            tag in ("any", f"linux_{machine}")
            or re.fullmatch(rf"manylinux(1|2010|2014)_{machine}", tag)
            or (
                (match := re.fullmatch(rf"manylinux_(\d+)_(\d+)_{machine}", tag))
                and (int(match[1]), int(match[2])) <= NODE_GLIBC
            )
            for tag in self.platform.split(".")
        )


def find_wheels(paths):
    wheels = []
    for path in paths:
        found = sorted(path.glob("*.whl")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise Failure(f"{path}: no wheel there")
        wheels += map(Wheel.parse, found)
    return wheels


def job_file(wheel):
    """The text of spark_job.py out of Pomona's wheel, which is sound."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if damaged := archive.testzip():
                raise Failure(f"{wheel} is damaged: {damaged}")
            return archive.read("pomona/spark_job.py")
    except zipfile.BadZipFile as error:
        raise Failure(f"{wheel} is no wheel, or half of one: {error}") from error
    except KeyError as error:
        raise Failure(f"{wheel} has no pomona/spark_job.py") from error


def check_wheels(wheels, machines):
    """What bootstrap.sh will need on the nodes; returns Pomona's wheels."""
    ours = [wheel for wheel in wheels if wheel.name == "pomona"]
    if not ours:
        raise Failure("no wheel of pomona among those of --wheel")
    node = f"Python 3.{NODE_PYTHON}, glibc {NODE_GLIBC[0]}.{NODE_GLIBC[1]}"
    for machine in machines:
        if not any(wheel.fits(machine) for wheel in ours):
            raise Failure(
                f"{', '.join(wheel.path.name for wheel in ours)}: not for the nodes ({machine}, "
                f"{node}); `make wheel` on such a machine with Python 3.{NODE_PYTHON} makes one that is"
            )
    others = [wheel for wheel in wheels if wheel.name != "pomona"]
    pins = re.findall(
        r"^([a-z0-9-]+)==(\S+)((?:.*\\\n)*.*)", REQUIREMENTS.read_text(), re.MULTILINE
    )
    for machine in machines if others else []:
        digests = {
            hashlib.sha256(wheel.path.read_bytes()).hexdigest()
            for wheel in others
            if wheel.fits(machine)
        }
        absent = [f"{name}=={version}" for name, version, hashes in pins
                  if not digests.intersection(re.findall("sha256:([0-9a-f]+)", hashes))]  # fmt: skip
        if absent:
            raise Failure(
                f"with wheels beside Pomona's the nodes install from these alone, and {machine} "
                f"lacks {', '.join(absent)} as in {REQUIREMENTS}: add them by pip download "
                "(docs/emr.md), or leave all but Pomona's out"
            )
    return ours


def check_job(arguments, weights):
    """Refuses what the job would, by Pomona itself; returns its version, None where it is missing."""
    try:
        import pomona
        from pomona.spark_job import parse as parse_job
    except ImportError:
        return None
    _, _, given = parse_job(arguments)
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


@dataclasses.dataclass
class Plan:
    """All that a run will upload, create and start."""

    artifacts: Location
    files: dict  # name below artifacts -> bytes
    parameters: dict  # of the template
    step: dict
    run_id: str
    logs: Location
    checked_by: str  # the version of Pomona that has looked at the job's options; or None


def make_plan(aws, options):
    wheels = find_wheels(options.wheel)
    if options.weights and not options.weights.is_file():
        raise Failure(f"{options.weights}: no such file")
    job_options = ["--run-id", options.run_id, *options.job_options]
    job = [options.input, options.output, options.mode, options.components]
    checked_by = check_job([str(word) for word in job] + job_options, options.weights)

    for location in (options.input, options.output, options.artifacts, options.logs):
        check_bucket(aws, location.bucket)
    if not aws.exists(options.input):
        raise Failure(f"there is nothing under {options.input}")

    used = template_defaults() | options.set
    nodes = machines(aws, [used["PrimaryInstanceType"], used["CoreInstanceType"]])
    ours = check_wheels(wheels, nodes)
    files = {path.name: path.read_bytes() for path in (BOOTSTRAP, REQUIREMENTS)}
    files |= {"spark_job.py": job_file(wheel.path) for wheel in ours}
    files |= {f"wheels/{wheel.path.name}": wheel.path.read_bytes() for wheel in wheels}
    if options.weights:
        name = f"weights/{options.weights.name}"
        files[name] = options.weights.read_bytes()
        job_options += ["--weights", f"{NODE_ARTIFACTS}/{name}"]

    # A folder for each content: what a running cluster was made from never changes under it.
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    artifacts = options.artifacts / digest.hexdigest()[:16]

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
    }
    step = {
        "Name": f"pomona {options.run_id}",
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            # The driver runs on the primary node, which has nothing else to do; the core nodes
            # are the executors' alone, and what the job prints is the step's log.
            "Args": ["spark-submit", "--deploy-mode", "client", f"{artifacts}/spark_job.py"]
            + [str(argument) for argument in [*job, *job_options]],
        },
    }
    parameters |= options.set
    return Plan(artifacts, files, parameters, step, options.run_id, options.logs, checked_by)


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
        print(
            f"        NOT checked: its options, since {sys.executable} has no Pomona (docs/emr.md)"
        )
    print(f"results {options.output}, run {plan.run_id}")
    print("then    keep the cluster" if options.keep else "then    delete the stack")


def upload(aws, plan, output, progress):
    there = {thing["Key"] for thing in aws.objects(plan.artifacts)}
    for name, content in plan.files.items():
        target = plan.artifacts / name
        if target.prefix not in there:
            progress.say(f"upload {target}")
            aws.s3.put_object(Bucket=target.bucket, Key=target.prefix, Body=content)
    # S3A looks for a parent of a folder that is not there, where the nodes may not look.
    if output.prefix and not aws.exists(output):
        aws.s3.put_object(Bucket=output.bucket, Key=output.folder)


class Stack:
    """The CloudFormation stack that holds the cluster and its roles."""

    def __init__(self, aws, name, progress, poll):
        self.aws = aws
        self.name = name
        self.progress = progress
        self.poll = poll

    def describe(self):
        try:
            return self.aws.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except botocore.exceptions.ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise

    def wait(self, *states):
        """Returns what becomes of the stack once it is in none of the states."""
        while (stack := self.describe()) and stack["StackStatus"] in states:
            self.progress.say(f"stack {self.name} {stack['StackStatus']}")
            time.sleep(self.poll)
        return stack

    def cluster(self):
        """The id of the cluster, also while it is being made and after a failure; or None."""
        try:
            resources = self.aws.cloudformation.list_stack_resources(StackName=self.name)
        except botocore.exceptions.ClientError:
            return None
        for resource in resources["StackResourceSummaries"]:
            if resource["LogicalResourceId"] == "Cluster":
                return resource.get("PhysicalResourceId")
        return None

    def cluster_state(self):
        cluster = self.aws.emr.describe_cluster(ClusterId=self.cluster())["Cluster"]
        return cluster["Status"]["State"]

    def clear(self, parameters):
        """Makes way for a stack with these parameters, unless it is there and can be used."""
        stack = self.wait("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
        if not stack:
            return
        status = stack["StackStatus"]
        if status in BROKEN_STACK:
            self.delete()
            return
        if status not in USABLE_STACK:
            raise Failure(f"stack {self.name} is {status}: see to it, or take another by --stack")
        have = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
        for name, value in parameters.items():
            if have.get(name) != value:
                raise Failure(
                    f"stack {self.name} is there with {name} {have.get(name)!r}, not {value!r}: "
                    "delete it first, or take another by --stack"
                )
        if status != "CREATE_IN_PROGRESS" and self.cluster_state() not in ALIVE:
            self.progress.say(f"the cluster of stack {self.name} has terminated")
            self.delete()

    def create(self, parameters, tags):
        """Makes the stack unless it is there, and returns the id of its cluster."""
        if not self.describe():
            self.progress.say(f"create stack {self.name}")
            self.aws.cloudformation.create_stack(
                StackName=self.name,
                TemplateBody=TEMPLATE.read_text(),
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value}
                    for name, value in parameters.items()
                ],
                Capabilities=["CAPABILITY_IAM"],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        stack = self.wait("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
        if not stack or stack["StackStatus"] not in USABLE_STACK:
            raise Failure(f"stack {self.name} could not be made: {self.reason()}")
        return self.cluster()

    def reason(self):
        """What went wrong first."""
        events = self.aws.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                why = event.get("ResourceStatusReason", "no reason given")
                return f"{event['LogicalResourceId']}: {why}"
        return "CloudFormation gives no reason"

    def delete(self):
        if not self.describe():
            return
        self.progress.say(f"delete stack {self.name}")
        self.aws.cloudformation.delete_stack(StackName=self.name)
        if stack := self.wait("DELETE_IN_PROGRESS"):
            raise Failure(f"stack {self.name} is {stack['StackStatus']}: {self.reason()}")


class Log:
    """A log that EMR copies to S3 every few minutes, packed by gzip."""

    def __init__(self, aws, location):
        self.aws = aws
        self.location = location
        self.seen = 0

    def new_lines(self):
        try:
            answer = self.aws.s3.get_object(Bucket=self.location.bucket, Key=self.location.prefix)
        except self.aws.s3.exceptions.NoSuchKey:
            return []
        lines = gzip.decompress(answer["Body"].read()).decode(errors="replace").splitlines()
        new, self.seen = lines[self.seen :], len(lines)
        return new


def unfinished_steps(aws, cluster):
    pages = aws.emr.get_paginator("list_steps").paginate(ClusterId=cluster)
    steps = [step for page in pages for step in page["Steps"]]
    return [step for step in steps if step["Status"]["State"] in UNFINISHED_STEP]


def submit(aws, cluster, step, progress):
    """Adds the step, or takes up the one of this name that is still on."""
    for known in unfinished_steps(aws, cluster):
        if known["Name"] == step["Name"]:
            progress.say(f"{step['Name']} is on already")
            return known["Id"]
    progress.say(f"submit {step['Name']}")
    return aws.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step])["StepIds"][0]


def follow(aws, cluster, step, logs, progress, poll):
    """Shows the step's state and its log until it ends."""
    log = Log(aws, logs / cluster / "steps" / step / "stderr.gz")
    while True:
        status = aws.emr.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]
        for line in log.new_lines():
            print(line, file=sys.stderr)
        progress.say(f"cluster {cluster}, step {step} {status['State']}")
        if status["State"] == "COMPLETED":
            return
        if status["State"] not in UNFINISHED_STEP:
            details = status.get("FailureDetails", {})
            why = details.get("Message") or details.get("Reason") or "see its log"
            raise Failure(f"step {step} {status['State']}: {why}")
        time.sleep(poll)


def show_logs(aws, folder):
    """The ends of the logs that tell why, as far as EMR has copied them."""
    print(f"logs are in {folder}", file=sys.stderr)
    for thing in aws.objects(folder):
        key = thing["Key"]
        if key.endswith("/stderr.gz") and ("/steps/" in key or "/bootstrap-actions/" in key):
            lines = Log(aws, Location(folder.bucket, key)).new_lines()[-20:]
            print(f"--- s3://{folder.bucket}/{key}", *lines, sep="\n", file=sys.stderr)


# The subcommands.


def run(options):
    aws = Aws(options.region)
    plan = make_plan(aws, options)
    if options.dry_run:
        print_plan(aws, plan, options)
        return 0
    progress = Progress()
    stack = Stack(aws, options.stack, progress, options.poll)
    stack.clear(plan.parameters)
    cluster, failure = None, None
    try:
        upload(aws, plan, options.output, progress)
        cluster = stack.create(plan.parameters, options.tag)
        step = submit(aws, cluster, plan.step, progress)
        follow(aws, cluster, step, plan.logs, progress, options.poll)
    except BaseException as error:  # whatever it is: the cluster costs money
        failure = error

    try:
        cluster = cluster or stack.cluster()
        steps = unfinished_steps(aws, cluster) if cluster else []
        if options.keep or any(known["Name"] != plan.step["Name"] for known in steps):
            progress.say(f"stack {stack.name} stays")
        else:
            stack.delete()
        # Only now, since EMR copies the last of the logs when a cluster terminates.
        if failure and cluster:
            show_logs(aws, plan.logs / cluster)
    except BaseException:
        print(f"stack {stack.name} may still be there and cost money", file=sys.stderr)
        if failure:
            complain(failure)
        raise
    if failure:
        raise failure
    print(f"run {plan.run_id} is in {options.output}")
    if options.fetch:
        fetch_run(aws, options.output, plan.run_id, options.fetch, options.features)
    return 0


def fetch_run(aws, output, run_id, folder, features):
    """Downloads the run; its features, which are most of the bytes, only where asked."""
    suffix = f"_{run_id}/"
    found = [thing for thing in aws.objects(output) if suffix in thing["Key"]]
    if not any(f"run_info{suffix}" in thing["Key"] for thing in found):
        raise Failure(f"no finished run {run_id} in {output}")
    count = 0
    for thing in found:
        name = thing["Key"].removeprefix(output.folder)
        if name.endswith("/") or (name.startswith("features/") and not features):
            continue
        target = folder / name
        modified = thing["LastModified"].timestamp()
        if not (
            target.is_file()
            and target.stat().st_size == thing["Size"]
            and target.stat().st_mtime == modified
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            aws.s3.download_file(output.bucket, thing["Key"], str(target))
            os.utime(target, (modified, modified))
        count += 1
    print(f"{count} files of run {run_id} are in {folder}")


def fetch(options):
    fetch_run(Aws(options.region), options.output, options.run_id, options.folder, options.features)
    return 0


def delete(options):
    aws = Aws(options.region)
    stack = Stack(aws, options.stack, Progress(), options.poll)
    if not stack.describe():
        raise Failure(f"no stack {options.stack} in {aws.region}: see --stack and --region")
    stack.delete()
    return 0


def estimate(options):
    parameters = template_defaults() | options.set
    prices = PRICES | options.price

    def price(instance_type):
        if instance_type not in prices:
            raise Failure(f"no price of {instance_type}: give --price {instance_type}=VCPU,EC2,EMR")
        return prices[instance_type]

    _, primary_ec2, primary_emr = price(parameters["PrimaryInstanceType"])
    vcpu, core_ec2, core_emr = price(parameters["CoreInstanceType"])
    if parameters["CoreMarket"] == "SPOT":
        core_ec2 *= 1 - options.spot_discount
    nodes = int(parameters["CoreInstanceCount"])
    work = options.images / (options.rate * vcpu * nodes) / 60
    hours = (options.overhead + work) / 60
    hourly = primary_ec2 + primary_emr + nodes * (core_ec2 + core_emr)
    requests = options.images / 1000 * PRICE_1000_GETS
    print(
        f"time     {options.overhead + work:8.1f} min"
        f"  ({options.overhead:g} to start and stop, {work:.1f} of work)\n"
        f"cluster  {hourly * hours:8.2f} USD  ({hourly:.3f} an hour)\n"
        f"requests {requests:8.2f} USD\n"
        f"total    {hourly * hours + requests:8.2f} USD  (eu-west-1; no volumes, no taxes)"
    )
    return 0


# The command line.


def complain(error):
    text = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
    print(f"emr.py: {text}", file=sys.stderr, flush=True)


def template_defaults():
    """The template's parameters with their defaults; None where it has none."""
    check_packages()

    class Loader(yaml.SafeLoader):
        """Passes over CloudFormation's tags, none of which stands in a parameter."""

    Loader.add_multi_constructor("!", lambda *_: None)
    template = yaml.load(TEMPLATE.read_text(), Loader)
    return {name: each.get("Default") for name, each in template["Parameters"].items()}


def pair(text):
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text}: not of the form NAME=VALUE")
    return name, value


def parameter(text):
    name, value = pair(text)
    if name not in template_defaults():
        raise argparse.ArgumentTypeError(f"{name}: no such parameter in {TEMPLATE.name}")
    return name, value


def price(text):
    name, value = pair(text)
    try:
        vcpu, ec2, emr = value.split(",")
        return name, (int(vcpu), float(ec2), float(emr))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: not of the form TYPE=VCPU,EC2,EMR") from error


class Collect(argparse.Action):
    """Adds each NAME=VALUE to one dictionary."""

    def __call__(self, parser, namespace, values, option_string=None):
        name, value = values
        setattr(namespace, self.dest, getattr(namespace, self.dest) | {name: value})


def parse(arguments):
    """The options; what follows `--` goes to the job as it is."""
    job_options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, job_options = arguments[:at], arguments[at + 1 :]

    parser = argparse.ArgumentParser(prog="emr.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(function, text):
        added = commands.add_parser(function.__name__, help=text, description=text)
        added.set_defaults(function=function)
        return added

    def add_region(added):
        added.add_argument(
            "--region", help="default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's"
        )

    def add_stack(added):
        add_region(added)
        added.add_argument("--stack", default="pomona", help="the stack's name (%(default)s)")
        added.add_argument(
            "--poll", type=float, default=15, help="seconds between looks (%(default)s)"
        )

    def add_set(added):
        added.add_argument(
            "--set",
            metavar="NAME=VALUE",
            type=parameter,
            action=Collect,
            default={},
            help=f"a parameter of {TEMPLATE.name}, such as CoreInstanceCount=4; repeatable",
        )

    def add_features(added):
        added.add_argument("--features", action="store_true", help="fetch the features too")

    added = command(run, "upload, create the cluster, run the job, delete the cluster")
    add_stack(added)
    added.add_argument("input", type=Location.parse, help="s3://bucket/prefix of the images")
    added.add_argument("output", type=Location.parse, help="s3://bucket/prefix of the results")
    added.add_argument("mode", nargs="?", default="full", choices=["mini", "apples", "full"])
    added.add_argument("components", nargs="?", type=int, default=50, help="columns of the PCA")
    added.add_argument(
        "--wheel",
        type=pathlib.Path,
        nargs="+",
        required=True,
        help="Pomona's wheels, or folders of wheels; with its dependencies, or they are downloaded",
    )
    added.add_argument("--weights", type=pathlib.Path, help="weights of your own (safetensors)")
    added.add_argument(
        "--run-id",
        default=datetime.datetime.now(datetime.UTC).strftime("%Y%m%d_%H%M%S"),
        help="the same again takes up a run that is still on (default: the time)",
    )
    added.add_argument(
        "--artifacts", type=Location.parse, help="default: pomona/artifacts in the output's bucket"
    )
    added.add_argument(
        "--logs", type=Location.parse, help="default: pomona/logs in the output's bucket"
    )
    added.add_argument("--subnet", help="default: one of the region's default VPC")
    add_set(added)
    added.add_argument(
        "--tag", metavar="NAME=VALUE", type=pair, action=Collect, default={}, help="repeatable"
    )
    added.add_argument("--fetch", type=pathlib.Path, metavar="DIR", help="download the results")
    add_features(added)
    added.add_argument("--keep", action="store_true", help="leave the cluster, whatever happens")
    added.add_argument("--dry-run", action="store_true", help="check all, print all, make nothing")

    added = command(fetch, "download the results of a run")
    add_region(added)
    added.add_argument("output", type=Location.parse)
    added.add_argument("run_id")
    added.add_argument("folder", type=pathlib.Path)
    add_features(added)

    add_stack(command(delete, "delete the stack and its cluster"))

    added = command(estimate, "what a run would cost")
    add_set(added)
    added.add_argument("--images", type=int, required=True)
    added.add_argument("--rate", type=float, default=40, help="images/s a vCPU (%(default)s)")
    added.add_argument(
        "--overhead", type=float, default=12, help="minutes to start and stop (%(default)s)"
    )
    added.add_argument(
        "--spot-discount", type=float, default=0.6, help="of the EC2 price (%(default)s)"
    )
    added.add_argument(
        "--price",
        metavar="TYPE=VCPU,EC2,EMR",
        type=price,
        action=Collect,
        default={},
        help="vCPU and US dollars an hour of an instance type; repeatable",
    )

    options = parser.parse_args(arguments)
    if job_options and options.function is not run:
        parser.error("only `run` takes options after --")
    options.job_options = job_options
    if options.function is run:
        own = Location(options.output.bucket, "pomona")
        options.artifacts = options.artifacts or own / "artifacts"
        options.logs = options.logs or own / "logs"
    return options


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupt)
    try:
        options = parse(sys.argv[1:])
        return options.function(options)
    except (Failure, KeyboardInterrupt, *AWS_ERRORS) as error:
        complain(error)
        return 130 if isinstance(error, KeyboardInterrupt) else 1


if __name__ == "__main__":
    sys.exit(main())
