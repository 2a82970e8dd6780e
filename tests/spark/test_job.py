"""The job on Spark publishes what the program does, on every engine and through its faults."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pyarrow.fs
import pytest
import safetensors.numpy
from PIL import Image
from runs import COMPONENTS, RUN_ID, told_again
from spark_submit import LOCAL, LOCAL_CLUSTER, Cluster

pomona_package = pytest.importorskip("pomona", reason="the package is not installed")

from pomona import spark_job, spark_run  # noqa: E402

ARGUMENTS = ("full", COMPONENTS, "--run-id", RUN_ID)
BOTH = pytest.mark.parametrize("spark_submit", ["spark3", "spark4"], indirect=True)


@pytest.fixture(scope="session")
def long_tree(pomona, tmp_path_factory):
    """A tree whose tasks take long enough to be disturbed, the last one longest."""
    root = tmp_path_factory.mktemp("long")
    subprocess.run([pomona, "sample", root, "--images", "1600"], check=True, capture_output=True)
    last = root / "Training" / "Zucchini large"
    last.mkdir()
    Image.effect_noise((4000, 3000), 50).save(last / "00.jpg")
    for number in range(1, 30):
        os.link(last / "00.jpg", last / f"{number:02}.jpg")
    (last / "broken.jpg").write_bytes(b"broken")
    return root


@pytest.fixture(scope="session")
def expected_long(run, long_tree):
    return run(long_tree, "--pca-components", str(COMPONENTS))


def published(output, files=None):
    """The bytes of all that lies in an output, by its path; of run_info the counts alone, of
    model_info all but the versions of libraries."""
    files = files or pyarrow.fs.LocalFileSystem()
    found = {}
    for info in files.get_file_info(pyarrow.fs.FileSelector(str(output), recursive=True)):
        if info.is_file:
            content = files.open_input_stream(info.path).read()
            found[info.path.removeprefix(str(output))] = told_again(info.path, content)
    name = f"/run_info/run_info_{RUN_ID}/part-00000.json"
    run_info = json.loads(found.pop(name))
    del found[name.replace("part-00000.json", "_SHA256SUMS")]
    found["run_info"] = {
        key: run_info[key]
        for key in ("rejects_by_reason", "skips_by_reason", "run_id", "engine", "input")
    }
    # The program may be linked with more than the wheel is.
    name = f"/model_info/model_info_{RUN_ID}/part-00000.json"
    model_info = json.loads(found[name])
    del model_info["versions"]
    found[name] = model_info
    counts = run_info["counts"]
    found["counts"] = [counts[key] for key in ("listed", "rows", "rejects", "skips")]
    return found


def check(output, expected, files=None):
    """All files are the program's."""
    ours, theirs = published(output, files), published(expected, files)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert sum("part-" in name for name in ours) >= 8


def is_published(output):
    return (output / "run_info" / f"run_info_{RUN_ID}").exists()


def summary(printed):
    """The line of JSON that the job prints at its end."""
    return json.loads(re.findall(r"^\{.*\}$", printed, re.MULTILINE)[-1])


def finish(pomona, tree, output):
    """The program takes up what was left; returns what it says."""
    command = [pomona, "run", tree, output, "--pca-components", str(COMPONENTS)]
    done = subprocess.run(
        [*command, "--run-id", RUN_ID], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@BOTH
def test_local(spark_submit, job, tree, expected, tmp_path):
    """The original's four arguments, and metrics of the driver's."""
    metrics = ["--metrics", tmp_path / "pomona.prom"]
    printed = spark_submit(job, tree, tmp_path / "out", *ARGUMENTS, *metrics, cluster=LOCAL)
    check(tmp_path / "out", expected)
    for stage in ("list", "extract", "fit", "write"):
        assert re.search(rf"pomona: {stage}: [0-9.]+ s", printed), stage
    said = summary(printed)
    assert said["listed"] == said["rows"] + said["rejects"] + said["skips"] == 108
    assert "clientserver" not in printed
    written = (tmp_path / "pomona.prom").read_text()
    for name, expected in (
        ("pomona_run_success", 1),
        ("pomona_images_total", said["rows"]),
        ("pomona_items_done_total", said["listed"]),
        ("pomona_infer_seconds_count", said["rows"]),  # of all workers
    ):
        assert f'{name}{{file="pomona"}} {expected}\n' in written, name
    assert f"pomona_images_total={said['rows']} " in printed


@pytest.mark.long
def test_on_a_device(pomona, spark_submit, job, tree, expected, tmp_path):
    """Each worker opens the device, here OpenCL on the CPU; the driver needs none."""
    version = subprocess.run([pomona, "version"], check=True, capture_output=True, text=True)
    if "device opencl:0" not in version.stdout:
        pytest.skip("no device for OpenCL: install pocl-opencl-icd")
    device = ["--engine", "gpu", "--device", "opencl:0"]
    spark_submit(job, tree, tmp_path / "out", *ARGUMENTS, *device, cluster=LOCAL)
    check(tmp_path / "out", expected)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "mini", "limit": 20, "hidden": True},
        {"include": "*ple*", "exclude": "*/*7_100*", "standardize": True, "vectors": "spark"},
    ],
    ids=["mini", "globs"],
)
def test_options(spark, run, tree, tmp_path, options):
    """In the session of the tests: faster than spark-submit."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    given = [word.removesuffix("=True") for word in given]
    expected = run(tree, "--pca-components", str(COMPONENTS), *given)
    output = tmp_path / "out"
    options |= {"run_id": RUN_ID, "pca_components": COMPONENTS}
    spark_run.run(spark, str(tree), output.as_uri(), **options)
    check(output, expected)


def test_by_an_earlier_fit(spark, run, tree, expected, tmp_path):
    """The file is the driver's; what it says reaches the executors with the work."""
    pca = expected / f"model_info/pca_model_{RUN_ID}/part-00000.safetensors"
    given = run(tree, "--pca", pca, "--include", "*ple*")
    output = tmp_path / "out"
    spark_run.run(spark, str(tree), str(output), run_id=RUN_ID, pca=str(pca), include="*ple*")
    check(output, given)
    name = f"model_info/pca_model_{RUN_ID}/part-00000.safetensors"
    assert (output / name).read_bytes() == pca.read_bytes()


def own_weights(pomona, path):
    """ImageNet's with one tensor changed."""
    package = pathlib.Path(pomona_package.__file__).parent / "mobilenet_v2_imagenet.safetensors"
    tensors = safetensors.numpy.load_file(package)
    tensors["Conv_1_bn/beta"] += 0.5
    with safetensors.safe_open(package, "numpy") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(tensors, path, metadata)
    # The digest is over the tensors in Keras' order, which the program knows.
    refused = subprocess.run(
        [pomona, "weights", "show", path], capture_output=True, text=True, check=False
    )
    metadata["sha256"] = re.search("the digest ([0-9a-f]{64})", refused.stderr)[1]
    safetensors.numpy.save_file(tensors, path, metadata)
    return path


def test_weights(spark_submit, pomona, job, run, tree, tmp_path):
    """Custom weights reach executors that have not the file."""
    weights = own_weights(pomona, tmp_path / "of my own.safetensors")
    options = ["--formats", "parquet", "--weights", str(weights)]
    expected = run(tree, "--pca-components", str(COMPONENTS), *options)
    output = tmp_path / "out"
    spark_submit(job, tree, output, *ARGUMENTS, *options, cluster=LOCAL_CLUSTER)
    check(output, expected)
    assert not (output / "features/csv").exists()


@pytest.mark.parametrize("spark_submit", ["spark4"], indirect=True)
def test_gpus_that_spark_shares_out(spark_submit, pomona, job, tree, expected, tmp_path):
    """Tasks use the GPU that is their executor's; libraries of tests/gpu stand in for CUDA's."""
    discovery = tmp_path / "gpus.sh"
    discovery.write_text("""#!/bin/sh\necho '{"name": "gpu", "addresses": ["3"]}'\n""")
    discovery.chmod(0o755)
    seen = tmp_path / "seen"
    conf = {
        "spark.worker.resource.gpu.amount": 1,
        "spark.worker.resource.gpu.discoveryScript": discovery,
        "spark.executor.resource.gpu.amount": 1,
        "spark.task.resource.gpu.amount": 1,
        "spark.executorEnv.LD_LIBRARY_PATH": pathlib.Path(pomona).parent / "tests/gpu/cuda",
        "spark.executorEnv.POMONA_CUDA_SEEN": seen,
    }
    arguments = [job, tree, tmp_path / "out", *ARGUMENTS, "--engine", "gpu"]
    spark_submit(*arguments, cluster=LOCAL_CLUSTER, conf=conf)
    check(tmp_path / "out", expected)
    assert set(seen.read_text().splitlines()) == {"3"}


def test_refused_and_resumed(spark_submit, pomona, job, tree, expected, tmp_path):
    """Exit codes; what Spark left the program takes up, and the other way round."""

    def code(*arguments):
        with spark_submit.start(job, *arguments) as running:
            return running.process.wait(timeout=600), running.log.read_text()

    output, other = tmp_path / "out", tmp_path / "other"
    rejected, printed = code(tree, output, *ARGUMENTS, "--max-rejects", "1")
    assert rejected == 3
    assert "3 of 106 images were rejected" in printed
    assert not is_published(output)
    assert "resumed 108 items of an unfinished run" in finish(pomona, tree, output)
    check(output, expected)
    again, printed = code(tree, output, *ARGUMENTS)
    assert again == 1
    assert "already published" in printed
    assert "Traceback" not in printed

    words = ["--run-id", RUN_ID, "--pca-components", str(COMPONENTS), "--max-rejects", "1"]
    refused = subprocess.run([pomona, "run", tree, other, *words], capture_output=True, check=False)
    assert refused.returncode == 3
    resumed, printed = code(tree, other, *ARGUMENTS)
    assert resumed == 0
    assert summary(printed)["resumed"] == 108
    check(other, expected)


def test_growth(spark, pomona, sample, run, tmp_path):
    """Spark reuses the rows of the program's run, and the program those of Spark's."""
    tree, output = sample(24), tmp_path / "out"
    images = sorted(tree.rglob("*.jpg"))
    aside = tmp_path / "aside"
    aside.mkdir()

    def without(count):
        for image in aside.iterdir():
            image.rename(images[int(image.name)])
        for number in range(count):
            images[number].rename(aside / str(number))

    def on_spark(run_id):
        options = {"run_id": run_id, "pca_components": 3}
        return spark_run.run(spark, str(tree), str(output), **options)

    command = [pomona, "run", tree, output, "--pca-components", "3", "--run-id"]
    without(8)
    subprocess.run([*command, "one"], check=True, capture_output=True)
    without(4)
    grown = on_spark("two")
    assert (grown["listed"], grown["reused"]) == (20, 16)
    without(0)
    done = subprocess.run([*command, RUN_ID], check=True, capture_output=True, text=True)
    assert "reused the features of 20 unchanged images from run two" in done.stdout
    expected = run(tree, "--pca-components", "3")
    for of in ("features/parquet/features", "pca/csv/pca", "errors/errors"):
        ours, theirs = (where / f"{of}_{RUN_ID}" for where in (output, expected))
        for path in theirs.iterdir():
            assert (ours / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["apples", "--mode", "full"], "MODE and --mode are the same: give one"),
        (["full", "3", "--pca-components=4"], "PCA_COMPONENTS and --pca-components are the same"),
        (["--comp", "zstd"], "unrecognized arguments: --comp"),
    ],
)
def test_command_lines_that_are_wrong(capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        spark_job.parse(["in", "out", *words])
    assert message in capsys.readouterr().err


def test_mistakes(spark, tree, tmp_path):
    with pytest.raises(OSError, match="none"):
        spark_run.run(spark, str(tmp_path / "none"), str(tmp_path / "out"))
    with pytest.raises(ValueError, match="5000"):
        spark_run.run(spark, str(tree), str(tmp_path / "out"), pca_components=5000)
    with pytest.raises(ValueError, match="shard: a run"):
        spark_run.run(spark, str(tree), str(tmp_path / "out"), run_id="one", shard="1/2")
    with pytest.raises(ValueError, match=r"nosuch://a/b: .*nosuch"):
        spark_run.run(spark, "nosuch://a/b", str(tmp_path / "out"))


@pytest.mark.parametrize("deploy_mode", ["client", "cluster"])
def test_yarn(spark_submit, yarn, job, tree, expected, tmp_path, deploy_mode):
    arguments = [job, tree, tmp_path / "out", *ARGUMENTS]
    spark_submit(*arguments, cluster=yarn, deploy_mode=deploy_mode)
    check(tmp_path / "out", expected)


def test_s3(spark_submit, minio, pomona, job, tree, tmp_path):
    """In and out; Hadoop has no client for it, but its settings say where the server is."""
    files = minio.file_system()
    bucket = f"job-{spark_submit.version.replace('.', '-')}"
    files.create_dir(bucket)
    pyarrow.fs.copy_files(str(tree), f"{bucket}/in", destination_filesystem=files)
    keys = minio.environment() | {"XDG_CACHE_HOME": str(tmp_path)}
    program = [pomona, "run", f"s3://{bucket}/in", f"s3://{bucket}/program", "--run-id", RUN_ID]
    program += ["--pca-components", str(COMPONENTS), "--quiet"]
    subprocess.run(program, check=True, env=os.environ | keys)
    del keys["AWS_ENDPOINT_URL_S3"]
    conf = {f"spark.hadoop.fs.s3a.bucket.{bucket}.endpoint": minio.endpoint}
    cluster = Cluster(LOCAL.master, conf, keys)
    arguments = [f"s3a://{bucket}/in", f"s3://{bucket}/out", *ARGUMENTS]
    printed = spark_submit(job, *arguments, cluster=cluster)
    assert minio.secret_key not in printed
    check(f"{bucket}/out", f"{bucket}/program", files)


def wait_for_extraction(running):
    """Waits for the middle of the stage that takes the time."""

    def in_the_middle():
        return [
            stage
            for stage in running.rest("stages?status=active")
            if stage.get("description") == "pomona: extract features"
            and stage["numCompleteTasks"] >= 1
            and stage["numTasks"] - stage["numCompleteTasks"] >= 4
        ]

    running.wait_for(in_the_middle)


def test_killed_executor(spark_submit, job, long_tree, expected_long, tmp_path):
    arguments = [job, long_tree, tmp_path / "out", *ARGUMENTS]
    with spark_submit.start(*arguments, cluster=LOCAL_CLUSTER) as running:
        wait_for_extraction(running)
        os.kill(running.busy_executor(), signal.SIGKILL)
        printed = running.wait()
    assert "Lost executor" in printed
    check(tmp_path / "out", expected_long)


@pytest.mark.long
def test_task_that_fails_for_good(spark_submit, pomona, job, long_tree, expected_long, tmp_path):
    """As often as spark.task.maxFailures: it says why; the program goes on from there."""
    output = tmp_path / "out"
    arguments = [job, long_tree, output, *ARGUMENTS]
    conf = {"spark.task.maxFailures": 1}
    with spark_submit.start(*arguments, cluster=LOCAL_CLUSTER, conf=conf) as running:
        wait_for_extraction(running)
        os.kill(running.busy_executor(), signal.SIGKILL)
        assert running.process.wait(timeout=600) == 1
        printed = running.log.read_text()
    assert re.search(r"pomona: extract features: task \d+ failed 1 times: ExecutorLost", printed)
    assert "raise spark.executor.memoryOverhead" in printed
    assert "Traceback" not in printed
    assert not is_published(output)
    resumed = re.search(r"resumed (\d+) items", finish(pomona, long_tree, output))
    assert resumed and int(resumed[1]) >= 100
    check(output, expected_long)


@pytest.mark.long
def test_speculation(spark_submit, standalone, job, long_tree, expected_long, tmp_path):
    """Tasks count as slow as soon as another is done: those that find a free core run twice."""
    conf = {
        "spark.speculation": "true",
        "spark.speculation.interval": "10ms",
        "spark.speculation.quantile": 0.05,
        "spark.speculation.multiplier": 0.01,
        "spark.speculation.minTaskRuntime": "0ms",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": tmp_path,
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",  # Spark 4 does
    }
    arguments = [job, long_tree, tmp_path / "out", *ARGUMENTS]
    spark_submit(*arguments, cluster=standalone, conf=conf)
    (events,) = tmp_path.glob("app-*")
    assert events.read_text().count('"Speculative":true') > 0
    check(tmp_path / "out", expected_long)


def driver_of(running):
    """The process id of the job's Python driver, which spark-submit's JVM starts."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            words = path.with_name("cmdline").read_text()
        except OSError:
            continue
        if parent == running.process.pid and "spark_job.py" in words:
            return int(path.parent.name)
    return None


def kill_at(running, seconds):
    """Kills the driver, Python and JVM, so long after its first word."""
    running.wait_for(lambda: " pomona: " in running.log.read_text())
    driver = driver_of(running)
    time.sleep(seconds)
    for process in (driver, running.process.pid):
        try:
            os.kill(process, signal.SIGKILL)
        except (ProcessLookupError, TypeError):  # it was faster
            continue
    running.process.wait()


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.long)])
def test_killed_driver(spark, spark_submit, pomona, job, tree, expected, tmp_path, kills):
    """At any moment: nothing is visible, and the next run, whoever makes it, finishes."""
    with spark_submit.start(job, tree, tmp_path / "whole", *ARGUMENTS) as running:
        running.wait_for(lambda: " pomona: " in running.log.read_text())
        began = time.monotonic()
        running.wait()
        whole = time.monotonic() - began
    check(tmp_path / "whole", expected)
    moments = random.Random(kills)
    for number in range(kills):
        output = tmp_path / str(number)
        with spark_submit.start(job, tree, output, *ARGUMENTS) as running:
            kill_at(running, moments.uniform(0, whole))
        if is_published(output):  # it was killed at its very end, as it cleaned up
            shutil.rmtree(output / "_pomona", ignore_errors=True)
        elif number % 2:
            options = {"run_id": RUN_ID, "pca_components": COMPONENTS}
            spark_run.run(spark, str(tree), str(output), **options)
        else:
            finish(pomona, tree, output)
        check(output, expected)
        shutil.rmtree(output)


@pytest.mark.long
def test_interrupted_driver(spark_submit, pomona, job, long_tree, expected_long, tmp_path):
    """Ctrl-C, as the program takes it: the tasks are called off, the exit code is 130."""
    output = tmp_path / "out"
    with spark_submit.start(job, long_tree, output, *ARGUMENTS) as running:
        wait_for_extraction(running)
        os.kill(driver_of(running), signal.SIGINT)
        assert running.process.wait(timeout=600) == 130
        printed = running.log.read_text()
    assert " pomona: interrupted" in printed
    assert not is_published(output)
    assert "resumed" in finish(pomona, long_tree, output)
    check(output, expected_long)
