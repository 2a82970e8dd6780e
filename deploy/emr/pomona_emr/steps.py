"""The job on the cluster, and its logs."""

import gzip
import sys
import time

from . import Failure
from .location import Location

UNFINISHED = {"PENDING", "RUNNING", "CANCEL_PENDING"}


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
    return [step for step in steps if step["Status"]["State"] in UNFINISHED]


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
        if status["State"] not in UNFINISHED:
            details = status.get("FailureDetails", {})
            why = details.get("Message") or details.get("Reason") or "see its log"
            raise Failure(f"step {step} {status['State']}: {why}")
        time.sleep(poll)


def show_logs(aws, folder):
    """The ends of the logs that tell why, as far as EMR has copied them."""
    print(f"logs are in {folder}", file=sys.stderr)
    for found in aws.objects(folder):
        key = found["Key"]
        if key.endswith("/stderr.gz") and ("/steps/" in key or "/bootstrap-actions/" in key):
            lines = Log(aws, Location(folder.bucket, key)).new_lines()[-20:]
            print(f"--- s3://{folder.bucket}/{key}", *lines, sep="\n", file=sys.stderr)
