"""The clients of one region."""

import os

import boto3
import botocore.config

from . import Failure


class Aws:
    """The clients of the region that is named, or of the one that AWS' own tools would take."""

    def __init__(self, region=None, profile=None):
        # boto3 knows AWS_DEFAULT_REGION and the profile, but not what AWS' other SDKs look at
        # first.
        region = region or os.environ.get("AWS_REGION")
        self.session = boto3.session.Session(region_name=region, profile_name=profile)
        self.region = self.session.region_name
        if not self.region:
            raise Failure("no region: give --region, or set AWS_REGION or the profile's region")

        self.clients = {}

    def client(self, service):
        if service not in self.clients:
            # A lost connection must not lose sight of what costs money.
            config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 10})
            self.clients[service] = self.session.client(service, config=config)
        return self.clients[service]

    def pages(self, service, operation, key, **request):
        """What all pages of an answer hold under `key`."""
        for page in self.client(service).get_paginator(operation).paginate(**request):
            yield from page.get(key, [])

    def objects(self, location):
        where = {"Bucket": location.bucket, "Prefix": location.folder}
        return self.pages("s3", "list_objects_v2", "Contents", **where)

    def exists(self, location):
        return next(self.objects(location), None) is not None
