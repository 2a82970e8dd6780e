"""Logs that EMR copies to S3 every few minutes, packed by gzip."""

import gzip
import sys

from .location import Location


class Log:
    def __init__(self, aws, location):
        self.s3 = aws.client("s3")
        self.location = location  # None: there is none to follow
        self.seen = 0

    def new_lines(self):
        try:
            answer = self.s3.get_object(Bucket=self.location.bucket, Key=self.location.prefix)
        except self.s3.exceptions.NoSuchKey:
            return []
        lines = gzip.decompress(answer["Body"].read()).decode(errors="replace").splitlines()
        new, self.seen = lines[self.seen :], len(lines)
        return new

    def show_new(self):
        for line in self.new_lines() if self.location else []:
            print(line, file=sys.stderr)


def show_end(name, lines):
    print(f"--- {name}", *lines[-20:], sep="\n", file=sys.stderr)


def show_ends(aws, folder, telling):
    """The ends of the logs that tell why, as far as EMR has copied them."""
    print(f"logs are in {folder}", file=sys.stderr)
    for found in aws.objects(folder):
        location = Location(folder.bucket, found["Key"])
        if found["Key"].endswith("/stderr.gz") and any(part in found["Key"] for part in telling):
            show_end(location, Log(aws, location).new_lines())
