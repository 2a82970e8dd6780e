"""Runs published on S3, read again: by `pomona verify` and by later runs."""

import collections
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from proxy import TRANSIENT, Proxy
from runs import told_again

pytestmark = pytest.mark.usefixtures("cache")

OPTIONS = ["--progress", "none", "--pca-components", "10"]
BEFORE, RUN = "before", "test"


def run(bucket, output, run_id, *options, source="in"):
    """The run's report and what it said."""
    job = ["run", bucket.url(source), bucket.url(output), "--run-id", run_id, *OPTIONS, *options]
    finished = bucket.run(*job)
    assert finished.returncode == 0, finished.stderr
    info = bucket.get(f"{output}/run_info/run_info_{run_id}/part-00000.json")
    return json.loads(info), finished.stderr


def files(bucket, output, run_id):
    """The run's bytes by their path below the output, without its run_info."""
    return {
        key.removeprefix(f"{output}/"): told_again(key, bucket.get(key))
        for key in bucket.keys(output)
        if f"_{run_id}/" in key and "/run_info/" not in key
    }


class Growth:
    """A tree of 120 images, 100 of which were there when the run BEFORE was published."""

    def __init__(self, bucket, tree, formats):
        self.bucket = bucket
        self.formats = formats
        images = sorted(tree.rglob("*.jpg"))
        late = images[::6]
        for image in images:
            if image not in late:
                self.put(tree, image)
        run(bucket, "out", BEFORE, "--formats", formats)
        for image in late:
            self.put(tree, image)
        run(bucket, "fresh", RUN, "--formats", formats)
        self.expected = files(bucket, "fresh", RUN)

    def put(self, tree, image):
        self.bucket.put(f"in/{image.relative_to(tree)}", image.read_bytes())

    def run(self, *options):
        """A run over the whole tree, which leaves no trace."""
        info, log = run(self.bucket, "out", RUN, "--formats", self.formats, *options)
        made = files(self.bucket, "out", RUN)
        for key in self.bucket.keys("out"):
            if f"_{RUN}/" in key:
                self.bucket.files.delete_file(f"{self.bucket.name}/{key}")
        assert made == self.expected
        return info["reused"], info["s3"]["reads"]["requests"], log


@pytest.fixture(scope="module", params=["parquet", pytest.param("csv", marks=pytest.mark.long)])
def growth(new_bucket, sample_tree, request):
    return Growth(new_bucket(), sample_tree, request.param)


def test_growth(growth):
    reused, reads, log = growth.run()
    assert reused == {"rows": 100, "run_id": BEFORE}
    assert reads == 20
    assert log == ""


def test_a_tree_that_was_copied_elsewhere_is_reused(growth):
    """The copies have times of their own, but their objects' ETags."""
    bucket = growth.bucket
    for key in bucket.keys("in"):
        bucket.put(key.replace("in/", "copy/", 1), bucket.get(key))
    info, _ = run(bucket, "out", RUN, "--formats", growth.formats, source="copy")
    made = files(bucket, "out", RUN)
    for key in bucket.keys("out"):
        if f"_{RUN}/" in key:
            bucket.files.delete_file(f"{bucket.name}/{key}")
    assert info["reused"] == {"rows": 100, "run_id": BEFORE}
    assert info["s3"]["reads"]["requests"] == 20
    metadata = f"metadata/metadata_{RUN}/part-00000.csv"
    copied = growth.expected[metadata].replace(
        bucket.url("in").encode(), bucket.url("copy").encode()
    )
    assert made[metadata] == copied


@pytest.mark.long
def test_growth_through_faults(growth):
    with Proxy(growth.bucket.endpoint, {"GET": 0.1, "HEAD": 0.1}, TRANSIENT) as proxy:
        reused, _, log = growth.run("--s3-endpoint", proxy.endpoint)
        assert proxy.faults.total() > 0
    assert reused["rows"] == 100
    assert log == ""


def test_a_damaged_run_is_no_source(growth):
    part = f"out/features/{growth.formats}/features_{BEFORE}/part-00000.{growth.formats}"
    sound = growth.bucket.get(part)
    damaged = bytearray(sound)
    damaged[sound.index(b"0.") if growth.formats == "csv" else len(sound) // 2] ^= 1
    growth.bucket.put(part, damaged)
    reused, reads, log = growth.run()
    growth.bucket.put(part, sound)
    assert reused["rows"] < 100
    assert reads == 120 - reused["rows"]
    assert f"features of the run {BEFORE} cannot be reused and are recomputed" in log
    assert growth.bucket.url(part) in log


def test_a_part_that_was_edited_is_no_source(growth):
    """By a program that writes sound files: nothing in them tells."""
    if growth.formats == "csv":
        pytest.skip("the program reads CSV as it reads Parquet")
    part = f"out/features/parquet/features_{BEFORE}/part-00000.parquet"
    sound = growth.bucket.get(part)
    table = pq.read_table(pa.BufferReader(sound))
    rows = [{**row, "features": [2 * x for x in row["features"]]} for row in table.to_pylist()]
    edited = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), edited)
    growth.bucket.put(part, edited.getvalue())
    reused, _, log = growth.run()
    growth.bucket.put(part, sound)
    assert reused["rows"] == 0
    assert f"{growth.bucket.url(part)}: the row of " in log
    assert "its checksum is wrong" in log


def test_runs_that_may_not_be_listed_are_no_source(growth):
    with Proxy(growth.bucket.endpoint) as proxy:
        proxy.decide = lambda verb, path: (
            "access_denied" if re.search("prefix=out%2Frun_info%2F(&|$)", path) else None
        )
        reused, _, log = growth.run("--s3-endpoint", proxy.endpoint)
    assert reused["rows"] == 0
    assert log == (
        "pomona: no features are reused from earlier runs: cannot read "
        f"{growth.bucket.url('out/run_info')}: permission denied (AccessDenied)\n"
    )


@pytest.fixture(scope="module")
def bucket(new_bucket, sample_tree):
    """One that holds a run."""
    bucket = new_bucket()
    bucket.upload(sample_tree, "in")
    run(bucket, "out", RUN)
    return bucket


def verify(bucket, *options):
    return bucket.run("verify", bucket.url("out"), *options)


def test_a_sound_run(bucket):
    finished = verify(bucket)
    assert finished.returncode == 0, finished.stdout
    assert finished.stdout == "run test: 17 files, 120 rows: sound\n"
    assert verify(bucket, "--run-id", RUN).returncode == 0
    assert verify(bucket, "--run-id", "none").stderr == (
        f"pomona: no run none is published in {bucket.url('out')}\n"
    )
    assert bucket.run("verify", bucket.url("in")).stderr == (
        f"pomona: no run is published in {bucket.url('in')}\n"
    )


def test_each_object_is_read_once(bucket):
    with Proxy(bucket.endpoint) as proxy:
        assert verify(bucket, "--s3-endpoint", proxy.endpoint).returncode == 0
    read = collections.Counter(
        path for verb, path in proxy.log if verb == "GET" and "list-type" not in path
    )
    assert len(read) == 17 + 1  # the checksums
    assert set(read.values()) == {1}, read


@pytest.mark.parametrize("short", [True, pytest.param(False, marks=pytest.mark.long)])
def test_every_object_damaged_cut_or_lost(bucket, short):
    """The short test does one of these to each object."""
    keys = [key for key in bucket.keys("out") if not key.endswith(("_SUCCESS", "/README.md"))]
    assert len(keys) == 18
    for number, key in enumerate(keys):
        data = bucket.get(key)
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        damages = [flipped, data[:-1], b"", None]
        for damaged in damages[number % 4 :][:1] if short else damages:
            if damaged is None:
                bucket.files.delete_file(f"{bucket.name}/{key}")
            else:
                bucket.put(key, damaged)
            finished = verify(bucket)
            assert finished.returncode == 1, (key, damaged)
            # A checksum that is wrong itself blames its file.
            blamed = "" if key.endswith("_SHA256SUMS") else bucket.url(key)
            assert blamed in finished.stdout, (key, finished.stdout)
            assert finished.stdout.endswith("damaged\n")
        bucket.put(key, data)
    assert verify(bucket).returncode == 0


def test_what_is_missing_or_too_much(bucket):
    extra = f"out/features/csv/features_{RUN}/part-00001.csv"
    bucket.put(extra, b"path,label,features_string\n")
    assert f"{bucket.url(extra)}: no file of this run\n" in verify(bucket).stdout
    bucket.files.delete_file(f"{bucket.name}/{extra}")
    success = f"out/errors/errors_{RUN}/_SUCCESS"
    bucket.files.delete_file(f"{bucket.name}/{success}")
    assert f"{bucket.url(success)} is missing\n" in verify(bucket).stdout
    bucket.put(success, b"")
    assert verify(bucket).returncode == 0


def test_faults_are_no_damage(bucket):
    with Proxy(bucket.endpoint, {"GET": 0.2, "HEAD": 0.2}, TRANSIENT) as proxy:
        assert verify(bucket, "--s3-endpoint", proxy.endpoint).stdout == verify(bucket).stdout
        assert proxy.faults.total() > 0


def test_says_why_it_cannot_read(bucket):
    name = f"out/errors/errors_{RUN}/part-00000.csv"
    with Proxy(bucket.endpoint) as proxy:
        proxy.decide = lambda verb, path: "access_denied" if path.endswith(name) else None
        finished = verify(bucket, "--s3-endpoint", proxy.endpoint)
        problem = f"cannot read {bucket.url(name)}: permission denied"
        assert problem in finished.stdout
        proxy.decide = lambda verb, path: "access_denied"
        finished = verify(bucket, "--s3-endpoint", proxy.endpoint)
        assert finished.stderr == (
            f"pomona: cannot read {bucket.url('out/run_info')}: permission denied (AccessDenied)\n"
        )
