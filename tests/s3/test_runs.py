"""Runs published on S3."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from compare import assert_same
from proxy import A_FEW, A_HUNDRED, TRANSIENT, Proxy

OPTIONS = ["--run-id", "test", "--quiet", "--pca-components", "10", "--vectors", "spark"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Where runs are made before they are uploaded."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def published(bucket, output, folder):
    """The run in `output`, brought to a local folder; it is whole, and nothing is beside it."""
    keys = bucket.keys(output)
    assert [key for key in keys if "_pomona" in key] == []
    assert f"{output}/README.md" in keys
    for key in {key.rpartition("/")[0] for key in keys} - {output}:
        assert f"{key}/_SUCCESS" in keys
    assert uploads(bucket) == []
    bucket.download(output, folder)
    return folder


def uploads(bucket):
    return bucket.server.pending_uploads()


def test_s3_to_s3_gives_what_local_folders_give(new_bucket, data, fruits_run, tmp_path, cache):
    bucket = new_bucket()
    bucket.upload(data / "fruits", "raw")
    finished = bucket.run("run", bucket.url("raw/"), bucket.url("out"), "--run-id", "test")
    assert finished.returncode == 0, finished.stderr
    assert f"written to {bucket.url('out')}:" in finished.stdout
    output = published(bucket, "out", tmp_path)
    assert_same(output, fruits_run, bucket.url("raw"), data / "fruits")
    run_info = json.loads((output / "run_info/run_info_test/part-00000.json").read_text())
    assert run_info["output"] == bucket.url("out")
    reads = run_info["s3"]["reads"]
    size = sum(file.stat().st_size for file in (data / "fruits").rglob("*.jpg"))
    assert (reads["requests"], reads["bytes"], reads["retries"]) == (1716, size, 0)
    writes = run_info["s3"]["writes"]
    files = [path for path in output.rglob("part-*") if "run_info" not in path.parts]
    assert writes["requests"] >= len(files)
    assert writes["bytes"] >= sum(path.stat().st_size for path in files)
    # Files larger than what is read at once.
    assert max(path.stat().st_size for path in files) > 10 << 20
    verified = bucket.run("verify", bucket.url("out"))
    assert verified.stdout.endswith(", 1716 rows: sound\n"), verified.stdout
    # Nothing stays in the cache.
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_local_to_s3(bucket, sample_tree, sample_run, tmp_path):
    finished = bucket.run("run", sample_tree, bucket.url("a b/out+put"), *OPTIONS)
    assert finished.returncode == 0, finished.stderr
    output = published(bucket, "a b/out+put", tmp_path)
    assert_same(output, sample_run, str(sample_tree), sample_tree)
    again = bucket.run("run", sample_tree, bucket.url("a b/out+put"), *OPTIONS)
    assert again.returncode == 1
    assert "the run test is already published in" in again.stderr


def test_by_an_earlier_fit_that_lies_there(bucket, pomona, sample_tree, sample_run, tmp_path):
    """The file on S3 gives what the local one gives."""
    pca = sample_run / "model_info/pca_model_test/part-00000.safetensors"
    bucket.put("fits/pca.safetensors", pca.read_bytes())
    given = ["--run-id", "test", "--limit", "30", "--progress", "none", "--pca"]
    command = [pomona, "run", sample_tree, tmp_path / "local", *given, pca]
    subprocess.run(command, check=True, capture_output=True)
    remote = bucket.url("fits/pca.safetensors")
    finished = bucket.run("run", sample_tree, bucket.url("out"), *given, remote)
    assert finished.returncode == 0, finished.stderr
    (tmp_path / "s3").mkdir()
    output = published(bucket, "out", tmp_path / "s3")
    assert_same(output, tmp_path / "local", str(sample_tree), sample_tree)
    model = output / "model_info/pca_model_test/part-00000.safetensors"
    assert model.read_bytes() == pca.read_bytes()
    missing = bucket.run("run", sample_tree, bucket.url("out2"), *given, bucket.url("fits/none"))
    assert missing.returncode == 1 and "fits/none: No such file" in missing.stderr


def test_a_journal_leads_nowhere_else(sample_bucket):
    """The output may be anybody's."""
    bucket = sample_bucket
    bucket.put("mine/features/parquet/features_x/part", b"1")
    bucket.put("mine/run_info/precious", b"1")
    journal = "mine/_pomona/publishing"
    for run_id in (b"x/../../../run_info", b"..\0", b"a b", b"x" * 300):
        bucket.put(journal, run_id)
        before = bucket.keys("mine")
        finished = bucket.run("run", bucket.url("in"), bucket.url("mine"), *OPTIONS)
        assert finished.returncode == 1
        assert f"{bucket.url(journal)}: it should name the run" in finished.stderr
        assert bucket.keys("mine") == before
    # Once it is gone, runs are published again, and what another job left beside it stays.
    bucket.put("mine/_pomona/spark_0123/part", b"1")
    bucket.files.delete_file(f"{bucket.name}/{journal}")
    finished = bucket.run("run", bucket.url("in"), bucket.url("mine"), *OPTIONS)
    assert finished.returncode == 0, finished.stderr
    for key in ("_pomona/spark_0123/part", "features/parquet/features_x/part", "run_info/precious"):
        assert bucket.get(f"mine/{key}") == b"1"
    assert journal not in bucket.keys("mine")


def test_an_output_below_the_input_is_no_part_of_it(bucket, sample_tree):
    bucket.upload(sample_tree, "all")
    for run_id in ("one", "two"):
        options = [*OPTIONS, "--run-id", run_id][2:]
        tree = bucket.url("all/Training")
        finished = bucket.run("run", tree, f"{tree}/out", *options)
        assert finished.returncode == 0, finished.stderr
        info = bucket.files.open_input_file(
            f"{bucket.name}/all/Training/out/run_info/run_info_{run_id}/part-00000.json"
        )
        assert json.loads(info.read())["counts"]["listed"] == 120


@pytest.mark.parametrize("seed", A_HUNDRED)
@pytest.mark.parametrize("percent", [1, 5, 20])
def test_passing_faults(sample_bucket, sample_tree, sample_run, tmp_path, percent, seed):
    rates = dict.fromkeys(["GET", "HEAD", "PUT", "POST", "DELETE"], percent / 100)
    name = f"out-{percent}-{seed}"
    with Proxy(sample_bucket.endpoint, rates, TRANSIENT, seed) as proxy:
        url = sample_bucket.url(name)
        finished = sample_bucket.run(
            "run", sample_bucket.url("in"), url, *OPTIONS, "--s3-endpoint", proxy.endpoint
        )
    assert finished.returncode == 0, finished.stderr
    output = published(sample_bucket, name, tmp_path)
    assert_same(output, sample_run, sample_bucket.url("in"), sample_tree)


@pytest.mark.parametrize("answer", ["incomplete", "bad_digest"])
def test_a_request_spoilt_on_its_way(sample_bucket, sample_tree, sample_run, tmp_path, answer):
    seen = set()

    def decide(verb, path):
        first = verb == "PUT" and path not in seen
        seen.add(path)
        return answer if first else None

    url = sample_bucket.url(answer)
    with Proxy(sample_bucket.endpoint) as proxy:
        proxy.decide = decide
        command = ["run", sample_tree, url, *OPTIONS, "--s3-endpoint", proxy.endpoint]
        finished = sample_bucket.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert proxy.faults[answer] > 20
    output = published(sample_bucket, answer, tmp_path)
    assert_same(output, sample_run, str(sample_tree), sample_tree)


def test_a_failed_upload_leaves_nothing_and_resumes(bucket, sample_tree, sample_run, tmp_path):
    with Proxy(bucket.endpoint) as proxy:
        proxy.decide = lambda verb, path: (
            "access_denied" if verb == "PUT" and "pca/parquet" in path else None
        )
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS]
        finished = bucket.run(*command, "--s3-endpoint", proxy.endpoint)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"pomona: cannot write {bucket.url('out/pca/parquet')}")
    assert finished.stderr.endswith(": permission denied (AccessDenied)\n")
    assert bucket.keys() == []
    assert uploads(bucket) == []
    finished = bucket.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert_same(published(bucket, "out", tmp_path), sample_run, str(sample_tree), sample_tree)


def test_killed_while_publishing(bucket, sample_tree, sample_run, tmp_path):
    """Before one of the twenty objects that a run has."""
    for number, puts in enumerate([2, 7, 13, 19]):
        seen = 0

        def decide(verb, path):
            nonlocal seen
            seen += verb == "PUT" and "_pomona" not in path
            # The rest waits until the process is gone.
            return "stall" if seen >= puts else None  # noqa: B023

        output = f"out-{number}"
        command = ["run", sample_tree, bucket.url(output), *OPTIONS]
        with Proxy(bucket.endpoint, stall=2) as proxy:
            proxy.decide = decide
            process = bucket.start(*command, "--s3-endpoint", proxy.endpoint)
            while seen < puts and process.poll() is None:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        assert f"{output}/run_info/run_info_test/_SUCCESS" not in bucket.keys(output)
        finished = bucket.run(*command)
        assert finished.returncode == 0, finished.stderr
        result = published(bucket, output, tmp_path / output)
        assert_same(result, sample_run, str(sample_tree), sample_tree)
        run_info = json.loads((result / "run_info/run_info_test/part-00000.json").read_text())
        assert run_info["counts"]["resumed"] == 120


UPLOAD = """
import os, sys, pyarrow.fs
path, endpoint, key, secret = sys.argv[1:]
files = pyarrow.fs.S3FileSystem(access_key=key, secret_key=secret, endpoint_override=endpoint)
stream = files.open_output_stream(path)
stream.write(bytes(11 << 20))
stream.flush()
os._exit(0)  # the upload is neither completed nor aborted
"""


def test_what_a_killed_run_uploaded_in_part_is_aborted(bucket, sample_tree):
    """Of the run that the journal names, and of nobody else."""
    server = bucket.server
    begun = []
    for key in ("other/part", "out/features/parquet/features_dead/part-00000.parquet"):
        arguments = [f"{bucket.name}/{key}", server.endpoint, server.access_key, server.secret_key]
        subprocess.run([sys.executable, "-c", UPLOAD, *arguments], check=True, timeout=120)
        begun.append(set(uploads(bucket)))
    assert begun[0] < begun[1]
    bucket.put("out/_pomona/publishing", b"dead")
    finished = bucket.run("run", sample_tree, bucket.url("out"), *OPTIONS)
    assert finished.returncode == 0, finished.stderr
    left = set(uploads(bucket))
    for path in left:
        path.unlink()  # for the tests that follow
    assert left == begun[0]


def test_killed_before_the_card_was_written(sample_bucket, sample_tree, sample_run, tmp_path):
    url = sample_bucket.url("cardless")
    command = ["run", sample_bucket.url("in"), url, *OPTIONS]
    assert sample_bucket.run(*command).returncode == 0
    sample_bucket.files.delete_file(f"{sample_bucket.name}/cardless/README.md")
    sample_bucket.put("cardless/_pomona/publishing", b"test")
    again = sample_bucket.run(*command)
    assert again.returncode == 1
    assert "already published" in again.stderr
    assert_same(
        published(sample_bucket, "cardless", tmp_path),
        sample_run,
        sample_bucket.url("in"),
        sample_tree,
    )


@pytest.mark.parametrize("seed", A_FEW)
def test_killed_at_any_time(sample_bucket, sample_tree, sample_run, tmp_path, seed):
    """Slowed down so that half of the time goes into the publication."""
    output = f"killed-{seed}"
    url = sample_bucket.url(output)
    command = ["run", sample_bucket.url("in"), url, *OPTIONS]
    with Proxy(sample_bucket.endpoint, latency=0.1) as proxy:
        process = sample_bucket.start(*command, "--s3-endpoint", proxy.endpoint)
        time.sleep(random.Random(seed).uniform(0.5, 6))
        process.kill()
        process.communicate()
    # Whatever of it is there, nobody takes it for a run.
    done = f"{output}/run_info/run_info_test/_SUCCESS" in sample_bucket.keys(output)
    verified = sample_bucket.run("verify", url)
    if done:
        assert verified.returncode == 0, verified.stdout
    else:
        assert f"no run is published in {url}" in verified.stderr
    finished = sample_bucket.run(*command)
    assert finished.returncode == done, finished.stderr
    result = published(sample_bucket, output, tmp_path)
    assert_same(result, sample_run, sample_bucket.url("in"), sample_tree)


def test_one_writer(bucket, sample_tree, tmp_path):
    """Another machine's run, which is alive as long as its lock changes."""
    lock = "out/_pomona.lock"
    bucket.put(lock, b"elsewhere 0")
    process = bucket.start("run", sample_tree, bucket.url("out"), *OPTIONS)
    beat = 0
    while process.poll() is None:
        time.sleep(0.2)
        beat += 1
        bucket.put(lock, b"elsewhere %d" % beat)
    _, errors = process.communicate()
    assert process.returncode == 4
    assert "another run is writing to" in errors
    assert bucket.keys() == [lock]
    # Its machine died.
    finished = bucket.run("run", sample_tree, bucket.url("out"), *OPTIONS)
    assert finished.returncode == 0, finished.stderr
    published(bucket, "out", tmp_path)


def test_a_lock_whose_removal_got_no_answer_is_looked_at_before_it_is_removed_again(
    bucket, sample_tree
):
    """By then it may be the next writer's."""
    lost = False

    def decide(verb, path):
        nonlocal lost
        if verb != "DELETE" or not path.endswith("/_pomona.lock") or lost:
            return None
        lost = True
        return "lose_answer"

    with Proxy(bucket.endpoint) as proxy:
        proxy.decide = decide
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS, "--limit", "20"]
        finished = bucket.run(*command, "--s3-endpoint", proxy.endpoint)
    assert finished.returncode == 0, finished.stderr
    verbs = [verb for verb, path in proxy.log if path.endswith("/_pomona.lock")]
    after = verbs[verbs.index("DELETE") + 1 :]
    assert after and "DELETE" not in after


def test_a_folder_of_its_name_is_left_alone(bucket, sample_tree):
    """Another job's, whose tables are called alike."""
    theirs = "out/features/csv/features_test/part-00000-1f.csv"
    bucket.put(theirs, b"theirs")
    finished = bucket.run("run", sample_tree, bucket.url("out"), *OPTIONS)
    assert finished.returncode == 1
    assert "features_test is there already, though no run test is published" in finished.stderr
    assert bucket.keys() == [theirs]


@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_gives_up_when_the_lock_is_lost(bucket, sample_tree, way):
    stolen = False
    lock = "out/_pomona.lock"

    def take_away():
        assert bucket.get(lock).startswith(b"Pomona is writing here.\n")
        if way == "removed":
            bucket.files.delete_file(f"{bucket.name}/{lock}")
        else:
            bucket.put(lock, b"Pomona is writing here.\nelsewhere 1\n")

    with Proxy(bucket.endpoint, latency=0.02) as proxy:
        # Between the taking of the lock and the publication.
        def decide(verb, path):
            nonlocal stolen
            if verb == "PUT" and "/features/" in path and not stolen:
                stolen = True
                take_away()
            return

        proxy.decide = decide
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS]
        finished = bucket.run(*command, "--s3-endpoint", proxy.endpoint)
    assert finished.returncode == 4, finished.stderr
    assert "another run has taken over" in finished.stderr
    assert not [key for key in bucket.keys() if "run_info_test/_SUCCESS" in key]
    # Another's lock is his to remove.
    assert (lock in bucket.keys()) == (way == "replaced")


def test_writes_nothing_once_the_lock_is_lost(bucket, sample_tree):
    """As of a machine that stood still until another run had taken over and published."""
    lock, theirs = "out/_pomona.lock", b"Pomona is writing here.\nelsewhere 1\n"
    with Proxy(bucket.endpoint) as proxy:

        def decide(verb, path):
            if verb == "GET" and "features_test" in path:  # it looks whether there is such a run
                bucket.put(lock, theirs)
                bucket.put("out/_pomona/publishing", b"other")

        proxy.decide = decide
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS]
        finished = bucket.run(*command, "--s3-endpoint", proxy.endpoint)
    assert finished.returncode == 4, finished.stderr
    assert "another run has taken over" in finished.stderr
    assert bucket.keys() == [lock, "out/_pomona/publishing"]
    assert bucket.get("out/_pomona/publishing") == b"other"


@pytest.mark.long
def test_a_run_that_stood_still_takes_no_lock_back(bucket, sample_tree):
    """While it uploaded, by threads that all look at the lock when it wakes."""
    lock, theirs = "out/_pomona.lock", b"Pomona is writing here.\nelsewhere 1\n"
    uploading = threading.Event()
    with Proxy(bucket.endpoint, latency=0.05) as proxy:

        def decide(verb, path):
            if verb == "PUT" and "/features/" in path:
                uploading.set()

        proxy.decide = decide
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS]
        run = bucket.start(*command, "--s3-endpoint", proxy.endpoint)
        assert uploading.wait(60)
        run.send_signal(signal.SIGSTOP)
        bucket.put(lock, theirs)
        bucket.put("out/_pomona/publishing", b"other")
        time.sleep(12)  # so that what it knows of the lock is old
        run.send_signal(signal.SIGCONT)
        _, errors = run.communicate(timeout=240)
    assert run.returncode == 4, errors
    assert bucket.get(lock) == theirs
    assert bucket.get("out/_pomona/publishing") == b"other"
    assert not [key for key in bucket.keys() if key.endswith("_SUCCESS")]


class PlainStore(Proxy):
    """Takes uploads with a length and a digest in their head, and removes one object at a time.

    It knows no conditions, and writes whatever they are.
    """

    def _fault(self, verb, path, request):
        head = request.split(b"\r\n\r\n", 1)[0].lower()
        unusual = b"\r\nx-amz-trailer:" in head or b"aws-chunked" in head
        unusual = unusual or b"transfer-encoding" in head or b"x-amz-checksum-" in head
        fault = "checksum_refused" if unusual else None
        if verb == "POST" and "uploads" not in path and "uploadId" not in path:
            fault = "not_implemented"
        if verb == "PUT" and (b"\r\nif-match:" in head or b"\r\nif-none-match:" in head):
            fault = "written"
        if fault:
            self.faults[fault] += 1
        return fault


class LockedStore(Proxy):
    """Asks for the MD5 of what is uploaded, as AWS does where a bucket locks its objects.

    The server behind it compares it.
    """

    def _fault(self, verb, path, request):
        head = request.split(b"\r\n\r\n", 1)[0].lower()
        fault = "md5_wanted" if verb == "PUT" and b"\r\ncontent-md5:" not in head else None
        if fault:
            self.faults[fault] += 1
        return fault


@pytest.mark.parametrize("seed", A_FEW)
@pytest.mark.parametrize("store", [Proxy, PlainStore])
def test_only_one_of_those_that_start_together(
    bucket, sample_tree, sample_run, tmp_path, store, seed
):
    """As on several machines: with a cache for each."""
    command = ["run", sample_tree, bucket.url("out"), *OPTIONS]
    writers = 2 + seed % 7
    with store(bucket.endpoint, latency=0.05) as proxy:
        command += ["--s3-endpoint", proxy.endpoint]
        runs = [
            bucket.start(*command, XDG_CACHE_HOME=str(tmp_path / f"{i}")) for i in range(writers)
        ]
        errors = [run.communicate()[1] for run in runs]
    codes = sorted(run.returncode for run in runs)
    # Who waited until the first one was done finds its run published.
    assert codes[0] == 0 and set(codes[1:]) <= {1, 4}, errors
    for run, error in zip(runs, errors, strict=True):
        if run.returncode == 1:
            assert "the run test is already published in" in error
        elif run.returncode == 4:
            assert "another run is writing to" in error
    output = published(bucket, "out", tmp_path / "out")
    assert_same(output, sample_run, str(sample_tree), sample_tree)


def test_a_bucket_that_locks_its_objects(bucket, sample_tree, sample_run, tmp_path):
    with LockedStore(bucket.endpoint) as store:
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS, "--s3-endpoint", store.endpoint]
        finished = bucket.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert store.faults["md5_wanted"] == 1
    assert_same(published(bucket, "out", tmp_path), sample_run, str(sample_tree), sample_tree)


def test_a_store_that_knows_the_basic_requests_only(bucket, sample_tree, sample_run, tmp_path):
    """As Google's, Ceph and others; a run was killed there before."""
    bucket.put("out/_pomona/publishing", b"dead")
    bucket.put("out/features/parquet/features_dead/part-00000.parquet", b"half")
    with PlainStore(bucket.endpoint) as store:
        command = ["run", sample_tree, bucket.url("out"), *OPTIONS, "--s3-endpoint", store.endpoint]
        finished = bucket.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert set(store.faults) == {"written"}
    assert_same(published(bucket, "out", tmp_path), sample_run, str(sample_tree), sample_tree)
