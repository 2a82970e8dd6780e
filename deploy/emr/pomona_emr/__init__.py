"""What emr.py is made of.

Each module stands on those below it, `run` on all but the first two:

    arguments   the command line
    commands    the subcommands: run, fetch, delete, estimate
    plan        what a run will upload, create and start, checked before anything is made
    preflight   what a plan needs of the account: buckets, network, kinds of machine
    wheels      what a plan needs of the wheels
    stack       the CloudFormation stack: made, waited for, deleted
    steps       the job on the cluster: submitted, followed, its logs
    results     a run's outputs: downloaded
    cost        what a run would cost
    template    the parameters of cluster.yaml
    aws         the clients of a region
    location    a folder in S3
    progress    what the user reads meanwhile
"""

import pathlib

# cluster.yaml, bootstrap.sh and requirements.txt lie beside the package.
FOLDER = pathlib.Path(__file__).resolve().parents[1]
TEMPLATE = FOLDER / "cluster.yaml"


class Failure(Exception):
    """Something the user can act on; the message says what."""
