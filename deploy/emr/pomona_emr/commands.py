"""The subcommands, each a function of its options."""

import sys

from botocore.exceptions import BotoCoreError, ClientError

from . import Failure
from .aws import Aws
from .cost import print_estimate
from .plan import make_plan, print_plan, upload
from .progress import Progress, complain
from .results import fetch_run
from .stack import Stack
from .steps import follow, show_logs, submit, unfinished_steps


def execute(options):
    """Raises Failure for what AWS refuses, too."""
    try:
        COMMANDS[options.command](options)
    except (BotoCoreError, ClientError) as error:
        raise Failure(str(error)) from error


def run(options):
    aws = Aws(options.region)
    plan = make_plan(aws, options)
    if options.dry_run:
        print_plan(aws, plan, options)
        return
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


def fetch(options):
    aws = Aws(options.region)
    fetch_run(aws, options.output, options.run_id, options.folder, options.features)


def delete(options):
    aws = Aws(options.region)
    stack = Stack(aws, options.stack, Progress(), options.poll)
    if not stack.describe():
        raise Failure(f"no stack {options.stack} in {aws.region}: see --stack and --region")
    stack.delete()


COMMANDS = {"run": run, "fetch": fetch, "delete": delete, "estimate": print_estimate}
