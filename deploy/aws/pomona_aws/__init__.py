"""What `python deploy/aws` is made of.

The three ways to run the job, each with its template, stand on one common part:

    cluster     an EMR cluster of its own
    serverless  EMR Serverless, with an archive of Python and all it needs
    batch       AWS Batch: an array of shards and a job that merges them

    arguments   the command line
    commands    the subcommands: run, status, delete, fetch, estimate
    plan        what a run will upload, create and start, checked before anything is made
    preflight   what a plan needs of the account: buckets, network, machines, quotas
    wheels      what a plan needs of the wheels
    way         what the three ways share: a job taken up or submitted, followed, what is left
    stack       the CloudFormation stack: made, waited for, deleted
    logs        logs in S3
    results     a run's outputs: downloaded
    cost        what a run would cost
    template    common.yaml and the way's own, as one
    account     the clients of a region
    location    a folder in S3
    progress    what the user reads meanwhile
"""

import pathlib

# The templates, bootstrap.sh and requirements.txt lie beside the package.
FOLDER = pathlib.Path(__file__).resolve().parents[1]


class Failure(Exception):
    """Something the user can act on; the message says what."""
