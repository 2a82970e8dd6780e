"""The command line."""

import argparse
import datetime
import pathlib

from .location import Location


def parse(arguments, description):
    """The options; what follows `--` goes to the job as it is."""
    job_options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, job_options = arguments[:at], arguments[at + 1 :]

    parser = argparse.ArgumentParser(prog="deploy/aws", description=description)
    ways = parser.add_subparsers(dest="way", required=True)
    for way, about in WAYS.items():
        commands = ways.add_parser(way, help=about).add_subparsers(dest="command", required=True)
        for name, (add_options, help) in COMMANDS.items():
            command = commands.add_parser(name, help=help, description=help)
            command.set_defaults(way=way)
            add_options(command, way)

    options = parser.parse_args(arguments)
    if job_options and options.command != "run":
        parser.error("only `run` takes options after --")
    for name in (word.partition("=")[0] for word in job_options):
        if name in OWN and (name != "--shard" or options.way == "batch"):
            parser.error(f"{name} is not for the job: give {OWN[name]} before the --")
    options.job_options = job_options
    if options.command == "run":
        pomona = Location(options.output.bucket, "pomona")
        options.artifacts = options.artifacts or pomona / "artifacts"
        options.logs = options.logs or pomona / "logs"
    return options


def add_run(command, way):
    add_stack(command, way)
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
        # Not left to the job: the job, which a second call looks for, is named by it.
        default=f"{datetime.datetime.now(datetime.UTC):%Y%m%d_%H%M%S}",
        help="the same again takes up a run that is still on (default: the time)",
    )
    command.add_argument(
        "--artifacts", type=Location.parse, help="default: pomona/artifacts in the output's bucket"
    )
    command.add_argument(
        "--logs", type=Location.parse, help="default: pomona/logs in the output's bucket"
    )
    if way == "cluster":
        command.add_argument("--subnet", help="default: one of the region's default VPC")
    if way == "batch":
        command.add_argument("--subnet", nargs="+", help="default: those of the default VPC")
        command.add_argument(
            "--shards", type=shards, default=8, help="1 to 10,000 (%(default)s)", metavar="N"
        )
    add_set(command, way)
    command.add_argument(
        "--tag", metavar="NAME=VALUE", type=pair, action=Collect, default={}, help="repeatable"
    )
    command.add_argument("--fetch", type=pathlib.Path, metavar="DIR", help="download the results")
    add_features(command)
    command.add_argument("--keep", action="store_true", help="leave the stack, whatever happens")
    command.add_argument(
        "--dry-run", action="store_true", help="check all, print all, make nothing"
    )


def add_fetch(command, _):
    add_account(command)
    command.add_argument("output", type=Location.parse)
    command.add_argument("run_id")
    command.add_argument("folder", type=pathlib.Path)
    add_features(command)


def add_estimate(command, way):
    add_set(command, way)
    command.add_argument("--images", type=int, required=True)
    command.add_argument("--rate", type=positive, default=40, help="images/s a vCPU (%(default)s)")
    command.add_argument("--overhead", type=float, help="minutes to start and stop")
    command.add_argument("--spot-discount", type=float, default=0.6, help="(%(default)s)")
    command.add_argument(
        "--price",
        metavar="NAME=NUMBERS",
        type=price,
        action=Collect,
        default={},
        help="replaces a price of cost.py, such as m5.2xlarge=8,0.428,0.096; repeatable",
    )


def add_account(command):
    command.add_argument(
        "--region", help="default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's"
    )
    command.add_argument("--profile", help="default: AWS_PROFILE, or what AWS' own tools take")


def add_stack(command, way):
    add_account(command)
    command.add_argument("--stack", default=f"pomona-{way}", help="the stack's name (%(default)s)")
    command.add_argument(
        "--poll", type=float, default=15, help="seconds between looks (%(default)s)"
    )


def add_set(command, way):
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        type=lambda text: parameter(way, text),
        action=Collect,
        default={},
        help=f"a parameter of {way}.yaml, such as {EXAMPLES[way]}; repeatable",
    )


def add_features(command):
    command.add_argument("--features", action="store_true", help="fetch the features too")


WAYS = {
    "cluster": "an EMR cluster of its own",
    "serverless": "EMR Serverless",
    "batch": "AWS Batch, an array of shards",
}
EXAMPLES = {"cluster": "CoreInstanceCount=4", "serverless": "MaxVcpus=64", "batch": "MaxVcpus=256"}
# What the job is told of the script's own options, and which these are.
OWN = {
    "--run-id": "--run-id",
    "--mode": "MODE",
    "--pca-components": "COMPONENTS",
    "--weights": "--weights",
    "--shard": "--shards",
}
COMMANDS = {
    "run": (add_run, "upload, make the stack, run the job, delete the stack"),
    "status": (add_stack, "what is there, and costs money; 0: nothing"),
    "delete": (add_stack, "end the jobs and delete the stack"),
    "fetch": (add_fetch, "download the results of a run"),
    "estimate": (add_estimate, "what a run would cost"),
}


def pair(text):
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text}: not of the form NAME=VALUE")
    return name, value


def parameter(way, text):
    from .template import template  # brings yaml, which --help does without

    name, value = pair(text)
    parameters = template(way)["Parameters"]
    if name not in parameters:
        raise argparse.ArgumentTypeError(f"{name}: no such parameter in {way}.yaml")
    if parameters[name]["Type"] == "Number" and not value.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: not a whole number")
    return name, value


def positive(text):
    try:
        if (number := float(text)) > 0:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: not a number above 0")


def shards(text):
    if not text.isdecimal() or not 1 <= int(text) <= 10000:  # what an array of Batch's holds
        raise argparse.ArgumentTypeError(f"{text}: not of 1 to 10000")
    return int(text)


def price(text):
    name, value = pair(text)
    try:
        return name, tuple(float(number) for number in value.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: not of the form NAME=NUMBERS") from error


class Collect(argparse.Action):
    """Adds each NAME=VALUE to one dictionary."""

    def __call__(self, parser, namespace, values, option_string=None):
        name, value = values
        setattr(namespace, self.dest, getattr(namespace, self.dest) | {name: value})
