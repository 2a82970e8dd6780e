"""The clients of one region."""

import os

import boto3
import botocore.config

from . import Failure


class Aws:
    """The clients of the region that is named, or of the one that AWS' own tools would take."""

    def __init__(self, region):
        # boto3 knows AWS_DEFAULT_REGION and the profile, but not what AWS' other SDKs look at
        # first.
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
