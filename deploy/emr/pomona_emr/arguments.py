"""The command line."""

import argparse
import datetime
import pathlib

from . import TEMPLATE
from .location import Location


def parse(arguments, description):
    """The options; what follows `--` goes to the job as it is."""
    job_options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, job_options = arguments[:at], arguments[at + 1 :]

    parser = argparse.ArgumentParser(prog="emr.py", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (add_options, help) in COMMANDS.items():
        add_options(commands.add_parser(name, help=help, description=help))

    options = parser.parse_args(arguments)
    if job_options and options.command != "run":
        parser.error("only `run` takes options after --")
    options.job_options = job_options
    if options.command == "run":
        pomona = Location(options.output.bucket, "pomona")
        options.artifacts = options.artifacts or pomona / "artifacts"
        options.logs = options.logs or pomona / "logs"
    return options


def add_run(command):
    add_stack(command)
    command.add_argument("input", type=Location.parse, help="s3://bucket/prefix of the images")
    command.add_argument("output", type=Location.parse, help="s3://bucket/prefix of the results")
    # Where these are not given, the job has its defaults, which stand in the package alone.
    command.add_argument("mode", nargs="?", choices=["mini", "apples", "full"])
    command.add_argument("components", nargs="?", type=int, help="columns of the PCA")
    command.add_argument(
        "--wheel",
        type=pathlib.Path,
        nargs="+",
        required=True,
        help="Pomona's wheels, or folders of wheels; with its dependencies, or they are downloaded",
    )
    command.add_argument("--weights", type=pathlib.Path, help="weights of your own (safetensors)")
    command.add_argument(
        "--run-id",
        # Not left to the job: the step, which a second call looks for, is named by it.
        default=f"{datetime.datetime.now(datetime.UTC):%Y%m%d_%H%M%S}",
        help="the same again takes up a run that is still on (default: the time)",
    )
    command.add_argument(
        "--artifacts", type=Location.parse, help="default: pomona/artifacts in the output's bucket"
    )
    command.add_argument(
        "--logs", type=Location.parse, help="default: pomona/logs in the output's bucket"
    )
    command.add_argument("--subnet", help="default: one of the region's default VPC")
    add_set(command)
    command.add_argument(
        "--tag", metavar="NAME=VALUE", type=pair, action=Collect, default={}, help="repeatable"
    )
    command.add_argument("--fetch", type=pathlib.Path, metavar="DIR", help="download the results")
    add_features(command)
    command.add_argument("--keep", action="store_true", help="leave the cluster, whatever happens")
    command.add_argument(
        "--dry-run", action="store_true", help="check all, print all, make nothing"
    )


def add_fetch(command):
    add_region(command)
    command.add_argument("output", type=Location.parse)
    command.add_argument("run_id")
    command.add_argument("folder", type=pathlib.Path)
    add_features(command)


def add_estimate(command):
    add_set(command)
    command.add_argument("--images", type=int, required=True)
    command.add_argument("--rate", type=float, default=40, help="images/s a vCPU (%(default)s)")
    command.add_argument(
        "--overhead", type=float, default=12, help="minutes to start and stop (%(default)s)"
    )
    command.add_argument(
        "--spot-discount", type=float, default=0.6, help="of the EC2 price (%(default)s)"
    )
    command.add_argument(
        "--price",
        metavar="TYPE=VCPU,EC2,EMR",
        type=price,
        action=Collect,
        default={},
        help="vCPU and US dollars an hour of an instance type; repeatable",
    )


def add_region(command):
    command.add_argument(
        "--region", help="default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's"
    )


def add_stack(command):
    add_region(command)
    command.add_argument("--stack", default="pomona", help="the stack's name (%(default)s)")
    command.add_argument(
        "--poll", type=float, default=15, help="seconds between looks (%(default)s)"
    )


def add_set(command):
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        type=parameter,
        action=Collect,
        default={},
        help=f"a parameter of {TEMPLATE.name}, such as CoreInstanceCount=4; repeatable",
    )


def add_features(command):
    command.add_argument("--features", action="store_true", help="fetch the features too")


COMMANDS = {
    "run": (add_run, "upload, create the cluster, run the job, delete the cluster"),
    "fetch": (add_fetch, "download the results of a run"),
    "delete": (add_stack, "delete the stack and its cluster"),
    "estimate": (add_estimate, "what a run would cost"),
}


def pair(text):
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text}: not of the form NAME=VALUE")
    return name, value


def parameter(text):
    from .template import parameter_defaults  # brings yaml, which --help does without

    name, value = pair(text)
    if name not in parameter_defaults():
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
