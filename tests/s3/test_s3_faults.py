"""What passes is waited for, what does not is reported; the outputs are the same bytes."""

import json

import pytest
from compare import assert_same
from proxy import A_HUNDRED, TRANSIENT, Proxy

OPTIONS = ["--run-id", "test", "--quiet", "--pca-components", "10", "--vectors", "spark"]


def run_info(output):
    return json.loads((output / "run_info/run_info_test/part-00000.json").read_text())


@pytest.mark.parametrize("seed", A_HUNDRED)
@pytest.mark.parametrize("percent", [1, 5, 20])
def test_passing_faults(sample_bucket, sample_tree, sample_run, tmp_path, percent, seed):
    rates = dict.fromkeys(["GET", "HEAD", "PUT", "POST", "DELETE"], percent / 100)
    with Proxy(sample_bucket.endpoint, rates, (*TRANSIENT, "flip_object"), seed) as proxy:
        url = sample_bucket.url("in")
        command = ["run", url, tmp_path, *OPTIONS, "--s3-endpoint", proxy.endpoint]
        finished = sample_bucket.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert_same(tmp_path, sample_run, url, sample_tree)
    # What a reused connection lost before an answer came is repeated without a word.
    unseen = proxy.faults["reset"] + proxy.faults["lose_answer"]
    faults = proxy.faults.total() - proxy.harmless
    retries = run_info(tmp_path)["s3"]["reads"]["retries"]
    assert faults - unseen <= retries <= faults


@pytest.mark.parametrize("fault", [*TRANSIENT, "flip_object", "pause"])
def test_each_kind_of_fault(sample_bucket, fault):
    """The first request for each object's bytes fails, and only that. Over the connections that the
    first ones leave, the others are asked for many at a time."""
    seen = set()

    def decide(verb, path):
        if verb != "GET" or "list-type" in path or path in seen:
            return None
        seen.add(path)
        return fault

    with Proxy(sample_bucket.endpoint) as proxy:
        proxy.decide = decide
        check = ["check", sample_bucket.url("in"), "--json"]
        finished = sample_bucket.run(*check, "--s3-endpoint", proxy.endpoint)
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout == sample_bucket.run(*check).stdout
        assert proxy.faults[fault] == 120


def test_what_does_not_pass_is_a_reject_of_that_object(sample_bucket, sample_tree, tmp_path):
    def decide(verb, path):
        if path.endswith("Training/Lemon/1_100.jpg"):
            return "no_such_key"
        return "access_denied" if path.endswith("Training/Lemon/2_100.jpg") else None

    with Proxy(sample_bucket.endpoint) as proxy:
        proxy.decide = decide
        url = sample_bucket.url("in")
        command = ["run", url, tmp_path, *OPTIONS]
        finished = sample_bucket.run(*command, AWS_ENDPOINT_URL_S3=proxy.endpoint)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "errors/errors_test/part-00000.csv").read_text() == (
        "path,label,stage,reason,message\n"
        f"{url}/Training/Lemon/1_100.jpg,Lemon,read,missing,no longer there\n"
        f"{url}/Training/Lemon/2_100.jpg,Lemon,read,forbidden,permission denied\n"
    )
    counts = run_info(tmp_path)["counts"]
    assert (counts["rows"], counts["rejects"]) == (118, 2)


@pytest.mark.parametrize("fault", ["slow_down", "no_such_key"])
def test_faults_that_are_longer_than_the_object(bucket, fault):
    """Their words do not fit into the object's place."""
    bucket.put("in/a/1.png", b"x" * 40)
    seen = False

    def decide(verb, path):
        nonlocal seen
        if not path.endswith("1.png"):
            return None
        again = seen
        seen = True
        return None if fault == "slow_down" and again else fault

    with Proxy(bucket.endpoint) as proxy:
        proxy.decide = decide
        finished = bucket.run("check", bucket.url("in"), AWS_ENDPOINT_URL_S3=proxy.endpoint)
    assert finished.returncode == 0, finished.stderr
    reason = "corrupt" if fault == "slow_down" else "missing"
    assert f"in/a/1.png: {reason}: " in finished.stdout
    assert proxy.faults[fault] > 0


def test_a_fault_that_stays_fails_the_run_which_resumes(
    sample_bucket, sample_tree, sample_run, tmp_path
):
    with Proxy(sample_bucket.endpoint) as proxy:
        proxy.decide = lambda verb, path: (
            "slow_down" if path.endswith("Training/Lemon/1_100.jpg") else None
        )
        url = sample_bucket.url("in")
        command = ["run", url, tmp_path, *OPTIONS, "--s3-endpoint", proxy.endpoint]
        finished = sample_bucket.run(*command)
        assert finished.returncode == 1
        assert finished.stderr == (
            f"pomona: cannot read {url}/Training/Lemon/1_100.jpg: the server cannot keep up "
            "(SlowDown)\n"
        )
        assert not (tmp_path / "run_info").exists()
        proxy.decide = lambda verb, path: None
        finished = sample_bucket.run(*command)
        assert finished.returncode == 0, finished.stderr
    assert_same(tmp_path, sample_run, url, sample_tree)
