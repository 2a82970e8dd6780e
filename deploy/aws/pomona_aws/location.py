"""Folders in S3."""

from __future__ import annotations

import argparse
import dataclasses


@dataclasses.dataclass(frozen=True)
class Location:
    """A folder in S3."""

    bucket: str
    prefix: str  # without slashes around it

    @staticmethod
    def parse(uri: str) -> Location:
        scheme, _, path = uri.partition("://")
        bucket, _, prefix = path.partition("/")
        if scheme not in ("s3", "s3a", "s3n") or not bucket:
            raise argparse.ArgumentTypeError(f"{uri}: not of the form s3://bucket/prefix")
        return Location(bucket, prefix.strip("/"))

    def __truediv__(self, name: str) -> Location:
        return Location(self.bucket, f"{self.prefix}/{name}".strip("/"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def folder(self) -> str:
        """What the keys of its objects begin with."""
        return f"{self.prefix}/" if self.prefix else ""
