"""The outputs of a run."""

import os

from . import Failure


def fetch_run(aws, output, run_id, folder, features):
    """Downloads the run; its features, which are most of the bytes, only where asked."""
    suffix = f"_{run_id}/"
    objects = [found for found in aws.objects(output) if suffix in found["Key"]]
    if not any(f"run_info{suffix}" in found["Key"] for found in objects):
        raise Failure(f"no finished run {run_id} in {output}")
    count = 0
    for found in objects:
        name = found["Key"].removeprefix(output.folder)
        if name.endswith("/") or (name.startswith("features/") and not features):
            continue
        download(aws, output.bucket, found, folder / name)
        count += 1
    print(f"{count} files of run {run_id} are in {folder}")


def download(aws, bucket, found, target):
    """Downloads an object, unless the file of its size and time is there."""
    modified = found["LastModified"].timestamp()
    if target.is_file():
        have = target.stat()
        if (have.st_size, have.st_mtime) == (found["Size"], modified):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    aws.client("s3").download_file(bucket, found["Key"], str(target))
    os.utime(target, (modified, modified))
