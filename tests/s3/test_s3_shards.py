"""Shards that share an output on S3, each with a cache of its own, as on machines of their own."""

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families
from proxy import Proxy
from runs import told_again

OPTIONS = ["--progress", "none", "--pca-components", "10"]


@pytest.fixture
def tree(bucket, sample_tree):
    bucket.upload(sample_tree, "in")
    bucket.put("in/Training/Apple A/broken.jpg", b"\xff\xd8\xff\xe0 no more")
    return bucket


def published(bucket, output):
    """The run's bytes by their path below the output, without its run_info."""
    return {
        key.removeprefix(f"{output}/"): told_again(key, bucket.get(key))
        for key in bucket.keys(output)
        if "/run_info/" not in key
    }


def shard(bucket, tmp_path, part, *options, run_id="r", machine=None):
    machine = machine or part.replace("/", "of")
    finished = bucket.run(
        "run", bucket.url("in"), bucket.url("out"), "--run-id", run_id, "--shard", part, *OPTIONS,
        *options, XDG_CACHE_HOME=str(tmp_path / machine),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_bytes_of_one_process(tree, tmp_path):
    whole = tree.run("run", tree.url("in"), tree.url("whole"), "--run-id", "r", *OPTIONS,
                     XDG_CACHE_HOME=str(tmp_path / "whole"))  # fmt: skip
    assert whole.returncode == 0, whole.stderr

    # 121 files are one fragment, the first shard's.
    assert "fragments that other shards have to make: 1" in shard(tree, tmp_path, "2/2")
    assert {key.split("/")[1] for key in tree.keys("out")} == {"_pomona"}
    assert "listed 121 = 120 rows + 1 rejects" in shard(tree, tmp_path, "1/2")
    assert published(tree, "out") == published(tree, "whole")
    # Nothing is left, and a shard that is started again does nothing.
    assert "another shard has published it" in shard(tree, tmp_path, "2/2")
    assert published(tree, "out") == published(tree, "whole")


def test_each_run_has_a_plan_of_its_own(tree, tmp_path):
    """Whatever plans lie in the caches of those that take part."""
    for run_id, planner, publisher in (("one", "a", "b"), ("two", "b", "a")):
        options = {"run_id": run_id}
        assert "have to make: 1" in shard(tree, tmp_path, "2/2", machine=planner, **options)
        assert "120 rows" in shard(tree, tmp_path, "1/2", machine=publisher, **options)
    assert {key.split("/")[0] for key in published(tree, "out")} >= {"features", "pca"}
    assert not [key for key in tree.keys("out") if "_pomona" in key]


def test_merge(tree, tmp_path):
    refused = tree.run(
        "run", tree.url("in"), tree.url("out"), "--run-id", "r", "--shard", "1/1",
        "--max-rejects", "0", *OPTIONS, XDG_CACHE_HOME=str(tmp_path / "first"),
    )  # fmt: skip
    assert refused.returncode == 3, refused.stderr
    # What was made lies on S3; the bound is that of whoever publishes.
    again = tree.run(
        "run", tree.url("in"), tree.url("out"), "--run-id", "r", "--shard", "merge",
        *OPTIONS, XDG_CACHE_HOME=str(tmp_path / "second"),
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "listed 121 = 120 rows + 1 rejects" in again.stdout


def test_a_whole_run_goes_on(tree, tmp_path):
    """With what shards made, from a machine that made nothing of it."""
    shard(tree, tmp_path, "2/2")
    refused = tree.run(
        "run", tree.url("in"), tree.url("out"), "--run-id", "r", "--shard", "1/2",
        "--max-rejects", "0", *OPTIONS, XDG_CACHE_HOME=str(tmp_path / "first"),
    )  # fmt: skip
    assert refused.returncode == 3, refused.stderr
    whole = tree.run("run", tree.url("in"), tree.url("out"), "--run-id", "r", *OPTIONS,
                     XDG_CACHE_HOME=str(tmp_path / "whole"))  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    assert "resumed 121 items of an unfinished run" in whole.stdout
    assert not [key for key in tree.keys("out") if "_pomona" in key]


def test_metrics_tell_of_each_request(tree, tmp_path):
    """Of who plans, and of who makes the fragments and publishes: both open the output twice."""
    for part in ("2/2", "1/2"):
        file = tmp_path / "pomona.prom"
        with Proxy(tree.endpoint) as proxy:
            endpoint = ("--s3-endpoint", proxy.endpoint)
            shard(tree, tmp_path, part, "--metrics", file, *endpoint)
        told = Counter()
        for family in text_string_to_metric_families(file.read_text()):
            for sample in family.samples:
                told[sample.name] += sample.value
        # One that nobody answered in time was repeated.
        unanswered = proxy.requests.total() - told["pomona_s3_request_seconds_count"]
        assert 0 <= unanswered <= told["pomona_s3_retries_total"], part
