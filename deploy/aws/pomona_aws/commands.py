"""The subcommands, each a function of its options that returns the exit code."""

import contextlib
import sys

from botocore.exceptions import BotoCoreError, ClientError

from . import Failure, interruption
from .account import Aws
from .batch import Batch
from .cluster import Cluster
from .cost import print_estimate
from .plan import make_plan, print_plan, upload
from .progress import Progress, complain
from .results import fetch_run
from .serverless import Serverless
from .stack import Stack
from .template import parameter_defaults, template

WAYS = {way.name: way for way in (Cluster, Serverless, Batch)}


def execute(options):
    """Raises Failure for what AWS refuses, too."""
    try:
        return COMMANDS[options.command](options) or 0
    except (BotoCoreError, ClientError) as error:
        raise Failure(str(error)) from error


def way_of(options):
    aws, progress = Aws(options.region, options.profile), Progress()
    stack = Stack(aws, options.stack, progress, options.poll)
    return WAYS[options.way](aws, stack, progress, options.poll)


@contextlib.contextmanager
def logs_or_not():
    """Says why there are none, and goes on: what follows matters more."""
    try:
        yield
    except Exception as error:
        complain(f"no logs: {error}")


def run(options):
    way = way_of(options)
    aws, stack, progress = way.aws, way.stack, way.progress
    plan = make_plan(aws, way, options)
    if options.dry_run:
        print_plan(aws, way, plan)
        return
    stack.clear(parameter_defaults(way.name) | plan.parameters, way.works)
    failure = logs = None
    try:
        upload(aws, way, plan, progress)
        stack.create(template(way.name), plan.parameters, options.tag)
        way.follow(way.start(plan), plan)
        interruption.check()  # or it would end what follows
    except BaseException as error:  # whatever it is: the stack costs money
        interruption.forget()
        failure = error

    try:
        with logs_or_not():
            logs = way.logs(plan)
        if options.keep:
            progress.say(f"stack {stack.name} stays")
        elif way.jobs(plan, ours=False):
            way.end(lambda: way.jobs(plan, ours=True))
            progress.say(f"stack {stack.name} stays for other jobs")
        else:
            way.stop()
            stack.delete()
    except BaseException:
        print(f"stack {stack.name} may still be there and cost money", file=sys.stderr)
        if failure:
            complain(failure)
        raise
    if failure:
        # Only now, since EMR copies the last of the logs when a cluster terminates.
        with logs_or_not():
            if logs:
                way.show_logs(logs)
        raise failure
    print(f"run {options.run_id} is in {options.output}")
    if options.fetch:
        fetch_run(aws, options.output, options.run_id, options.fetch, options.features)


def print_left(way):
    left = way.left()
    print("\n".join(left) or f"nothing of {way.stack.name} in {way.aws.region}")
    return 1 if left else 0


def status(options):
    way = way_of(options)
    for name, job in way.unfinished():
        print(f"job {name} {' '.join(way.look(job)[:2])}")
    return print_left(way)


def delete(options):
    way = way_of(options)
    if not way.left():
        where = f"{options.stack} in {way.aws.region}"
        raise Failure(f"no stack {where}: see --stack and --region")
    way.stop()
    way.stack.delete()
    return print_left(way)


def fetch(options):
    aws = Aws(options.region, options.profile)
    fetch_run(aws, options.output, options.run_id, options.folder, options.features)


COMMANDS = {
    "run": run,
    "status": status,
    "delete": delete,
    "fetch": fetch,
    "estimate": print_estimate,
}
