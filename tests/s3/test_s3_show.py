"""`pomona show` and `delete`, and pomona.Run, of an output on S3."""

import json

import pytest
from proxy import Proxy

pytestmark = pytest.mark.usefixtures("cache")

OPTIONS = ["--quiet", "--pca-components", "4"]


@pytest.fixture
def output(bucket, sample_tree):
    """A bucket with two runs in `out`, and something of somebody's beside them."""
    for run_id in ("one", "one_2"):
        done = bucket.run("run", sample_tree, bucket.url("out"), "--run-id", run_id, *OPTIONS)
        assert done.returncode == 0, done.stderr
    bucket.put("out/features/notes.txt", b"mine")
    return bucket


def keys_of(bucket, run_id):
    return [key for key in bucket.keys("out") if f"_{run_id}/" in key]


def delete(bucket, run_id, *options):
    return bucket.run("delete", bucket.url("out"), "--run-id", run_id, "--yes", *options)


def test_show(output):
    done = output.run("show", output.url("out"), "--json")
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [run["run_id"] for run in shown] == ["one_2", "one"], done.stderr
    for run in shown:
        keys = keys_of(output, run["run_id"])
        assert run["files"] == len(keys)
        assert run["bytes"] == sum(len(output.get(key)) for key in keys)
        assert run["run_info"]["counts"]["rows"] == 120
    one = output.run("show", output.url("out/"), "--run-id", "one")
    assert "\nimages    120 in " in one.stdout, one.stderr
    assert "\nvariance  4 components explain " in one.stdout
    assert "\nlabels    12\n" in one.stdout
    none = output.run("show", output.url("out"), "--run-id", "none")
    assert none.stderr == f"pomona: no run none is published in {output.url('out')}\n"


def test_delete(output):
    before = set(output.keys("out"))
    gone = set(keys_of(output, "one"))
    assert len(gone) > 20
    done = delete(output, "one")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"deleted run one: {len(gone)} files, ")
    assert set(output.keys("out")) == before - gone
    assert output.run("verify", output.url("out")).returncode == 0
    again = delete(output, "one")
    assert (again.returncode, again.stderr) == (
        1,
        f"pomona: no run one is published in {output.url('out')}\n",
    )
    stranger = "out/errors/errors_one_2/notes.txt"
    output.put(stranger, b"mine")
    refused = delete(output, "one_2")
    assert f"{output.url(stranger)}: no file of the run one_2" in refused.stderr
    assert set(output.keys("out")) == before - gone | {stranger}


def delete_some(output, run_id):
    """The run's end, but not that of its files."""
    with Proxy(output.endpoint) as proxy:
        proxy.decide = lambda verb, path: (
            "access_denied"
            if verb in ("DELETE", "POST") and "run_info" not in path and "_pomona" not in path
            else None
        )
        failed = delete(output, run_id, "--s3-endpoint", proxy.endpoint)
    assert failed.returncode == 1
    return failed


def test_the_card_is_of_the_newest_run_that_is_left(output):
    assert b"features_one_2/" in output.get("out/README.md")
    delete_some(output, "one_2")
    assert b"features_one/" in output.get("out/README.md")
    for run_id in ("one_2", "one"):
        assert delete(output, run_id).returncode == 0
    assert output.keys("out") == ["out/features/notes.txt"]


@pytest.mark.parametrize("by", ["delete", "run"])
def test_an_interrupted_delete(output, sample_tree, by):
    """The run is none any more once anything of it is gone, and is removed by who comes next."""
    failed = delete_some(output, "one")
    assert "cannot remove" in failed.stderr and "permission denied" in failed.stderr
    assert "out/run_info/run_info_one/_SUCCESS" not in output.keys("out")
    assert keys_of(output, "one") != []
    if by == "delete":
        done = delete(output, "one")
        assert "run one, which is not published: " in done.stdout
    else:
        done = output.run("run", sample_tree, output.url("out"), "--run-id", "three", *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert keys_of(output, "one") == []
    assert [key for key in output.keys("out") if "_pomona" in key] == []
    assert output.run("verify", output.url("out"), "--run-id", "one_2").returncode == 0


def test_python(output, sample_run, monkeypatch):
    """With the endpoint of the environment, as pyarrow's own file system would not find it."""
    package = pytest.importorskip("pomona", reason="the package is not installed")
    for name, value in output.server.environment(output.endpoint).items():
        monkeypatch.setenv(name, value)
    assert [run.run_id for run in package.runs(output.url("out"))] == ["one_2", "one"]
    run = package.Run(output.url("out"), "one")
    local = package.Run(sample_run)
    assert run.features().equals(local.features())
    assert run.metadata().equals(local.metadata())
    assert run.errors().num_rows == 0
    assert "<caption>run one</caption>" in run._repr_html_()
    elsewhere = package.Run(output.url("out"), "one", s3_endpoint=output.endpoint)
    assert elsewhere.variance().equals(run.variance())
    package.delete(output.url("out"), "one")
    with pytest.raises(ValueError, match="no run one is published in s3://"):
        package.Run(output.url("out"), "one")
