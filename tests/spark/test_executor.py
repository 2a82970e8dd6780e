"""How the job meets Spark: what it asks of a session, and what it makes of failures."""

import concurrent.futures
import logging
import threading
import time
from unittest import mock

import pytest

pytest.importorskip("pomona", reason="the package is not installed")

import pomona
from pomona import _spark_executor, spark_run
from pomona import spark as ps
from pomona._hadoop import Files, all_of
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkAttributeError, PySparkException
from pyspark.sql import functions as F

# What Spark 3.5 and 4.1 say, cut to what matters.
RAISED = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 2 in stage 1.0 failed 4 \
times, most recent failure: Lost task 2.3 in stage 1.0 (TID 24) (10.0.0.7 executor 1): \
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/opt/venv/lib/pyspark/worker.py", line 1247, in main
    process()
  File "/opt/venv/lib/pomona/_spark_executor.py", line 150, in run_task
OSError: [Errno 5] /data/x.jpg: cannot read: Input/output error

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException
"""
CRASHED = """: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage \
3.0 failed 1 times, most recent failure: Lost task 0.0 in stage 3.0 (TID 26) (localhost executor \
driver): org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)
\tat org.apache.spark.api.python.BasePythonRunner
"""
LOST = """: org.apache.spark.SparkException: Job aborted due to stage failure: Task 5 in stage 0.0 \
failed 4 times, most recent failure: Lost task 5.3 in stage 0.0 (TID 9) (node2 executor 3): \
ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Container \
killed by YARN for exceeding physical memory limits. 5.5 GB of 5.5 GB physical memory used.
Driver stacktrace:
"""
STOPPED = """: org.apache.spark.SparkException: Job 0 cancelled because SparkContext was shut down
\tat org.apache.spark.scheduler.DAGScheduler
"""


def test_failures_are_explained():
    assert _spark_executor.explain("extract", RAISED) == (
        "extract features: task 2 failed 4 times: "
        "OSError: [Errno 5] /data/x.jpg: cannot read: Input/output error"
    )
    line, cure = _spark_executor.explain("merge2", CRASHED).splitlines()
    assert line == (
        "merge moments, step 2: task 0 failed 1 times: "
        "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"
    )
    assert "raise spark.executor.memoryOverhead" in cure
    line, cure = _spark_executor.explain("gather", LOST).splitlines()
    assert line.startswith(
        "join the slices of fragments: task 5 failed 4 times: ExecutorLostFailure (executor 3"
    )
    assert line.endswith("physical memory used.")
    assert "raise spark.executor.memoryOverhead" in cure
    assert _spark_executor.explain("features", STOPPED) == (
        "write features: Job 0 cancelled because SparkContext was shut down"
    )


def test_failures_of_writing_are_explained(spark, tmp_path):
    """Spark says where to in the first place."""
    frame = spark.range(1).select(F.expr("cast(raise_error('this is why') as string)"))
    with pytest.raises((Py4JJavaError, PySparkException)) as failed:
        frame.write.parquet(str(tmp_path / "out"))
    line = _spark_executor.explain("the job", all_of(failed.value))
    assert line.startswith("the job: task 0 failed 1 times: ") and "this is why" in line
    assert len(line.splitlines()) == 1


def test_results_come_to_the_caller(spark, monkeypatch):
    def run_task(number, *, job, stage, weights, results):
        if job != "silent":
            results.add([f"{job} {stage} {number}"])

    monkeypatch.setattr(_spark_executor, "run_task", run_task)
    execute = _spark_executor.SparkExecutor(spark.sparkContext)
    heard = []
    execute("job", "extract", 5, heard.append)
    assert sorted(heard) == [f"job extract {number}" for number in range(5)]
    with pytest.raises(_spark_executor.StageFailed, match="Spark lost results, 2 of 2"):
        execute("silent", "gather", 2, heard.append)


def test_failures_come_to_the_caller(spark):
    execute = _spark_executor.SparkExecutor(spark.sparkContext)
    with pytest.raises(_spark_executor.StageFailed, match="extract features: task 0 failed"):
        execute("no job", "extract", 3, lambda result: None)


def test_a_job_that_begins_late_is_cancelled_too(spark, monkeypatch):
    """Spark forgets at once that a group without a job was cancelled."""
    begun, cancelled = threading.Event(), threading.Event()

    class Context:
        def accumulator(self, value, _):
            return value

        def setJobGroup(self, *_):
            pass

        def parallelize(self, *_):
            return self

        def foreach(self, _):
            time.sleep(0.2)
            begun.set()
            if not cancelled.wait(60):
                raise TimeoutError

        def cancelJobGroup(self, _):
            if begun.is_set():
                cancelled.set()

    def refuse(_):
        raise AssertionError

    monkeypatch.setattr(_spark_executor, "inheritable_thread_target", lambda target: target)
    wait = concurrent.futures.wait

    def interrupted(*arguments, **named):
        monkeypatch.setattr(concurrent.futures, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _spark_executor.SparkExecutor(Context())("job", "extract", 1, refuse)
    assert cancelled.is_set()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (pomona.TooManyRejects("3 of 4"), 3),
        (pomona.OutputBusy("busy"), 4),
        (KeyboardInterrupt(), 130),
        (_spark_executor.StageFailed("a task"), 1),
        (FileNotFoundError("none"), 1),
        (MemoryError("much"), 1),
    ],
)
def test_exit_codes(monkeypatch, caplog, error, code):
    """Those of the program, after one line."""

    class Session:
        builder = property(lambda self: self)
        sparkContext = property(lambda self: self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            stopped.append(self)

        def __getattr__(self, name):
            return lambda *_: self

    def run(*_, **__):
        raise error

    stopped = []
    monkeypatch.setattr(spark_run, "SparkSession", Session())
    monkeypatch.setattr(spark_run, "run", run)
    monkeypatch.setattr(spark_run.log, "handlers", [])
    with caplog.at_level(logging.ERROR, "pomona"):
        assert spark_run.main("in", "out", {}) == code
    assert len(caplog.records) == len(stopped) == 1


def test_what_java_raises_is_named(spark, tmp_path, caplog, monkeypatch):
    """By Java's own class and message, not by "An error occurred while calling o54.exists."."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=rf"{tmp_path}/file/in: [\w.]+Exception: .*file"):
        Files(spark).write(f"file:{tmp_path}/file/in", b"")

    def run(*_, **__):
        spark._jvm.java.io.FileInputStream("/nowhere")

    monkeypatch.setattr(spark_run, "run", run)
    monkeypatch.setattr(spark_run, "SparkSession", mock.MagicMock())
    monkeypatch.setattr(spark_run.log, "handlers", [])
    assert spark_run.main("in", "out", {}) == 1
    (message,) = caplog.messages
    assert message.startswith("java.io.FileNotFoundException: /nowhere")


def test_a_session_that_cannot_be_had_is_one_line(monkeypatch, caplog):
    class Builder:
        def __getattr__(self, name):
            return lambda *_: self

        def getOrCreate(self):
            raise RuntimeError("[JAVA_GATEWAY_EXITED] Java gateway process exited")

    monkeypatch.setattr(spark_run.SparkSession, "builder", Builder())
    monkeypatch.setattr(spark_run.log, "handlers", [])
    with caplog.at_level(logging.ERROR, "pomona"):
        assert spark_run.main("in", "out", {}) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "[JAVA_GATEWAY_EXITED] Java gateway process exited"
    ]


def test_spark_connect_is_refused_by_a_line():
    class Remote:
        @property
        def sparkContext(self):
            raise PySparkAttributeError("JVM_ATTRIBUTE_NOT_SUPPORTED")

    class Frame:
        sparkSession = Remote()

    for call in (
        lambda: ps.fit_pca(Frame(), 3),
        lambda: spark_run.run(Remote(), "/in", "/out"),
    ):
        with pytest.raises(NotImplementedError, match="classic Spark session"):
            call()


class Hadoop(dict):
    """A configuration of Hadoop, as far as it is asked."""

    def getBoolean(self, name, default):
        return self.get(name, default)


def test_s3_endpoint(monkeypatch, caplog):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    find = spark_run._s3_endpoint
    assert find(Hadoop(), ["a"]) == ""
    for aws in (
        "s3.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn",
    ):
        assert find(Hadoop({"fs.s3a.endpoint": aws}), ["a"]) == ""
    inside = "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com"
    assert find(Hadoop({"fs.s3a.endpoint": inside}), ["a"]) == inside
    plain = Hadoop({"fs.s3a.endpoint": "store:9000", "fs.s3a.connection.ssl.enabled": False})
    assert find(plain, ["a", "b"]) == "http://store:9000"
    one = Hadoop({"fs.s3a.bucket.a.endpoint": "http://store"})
    assert find(one, ["a"]) == "http://store"
    with pytest.raises(ValueError, match="two S3 servers"):
        find(one, ["a", "b"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all")
    assert find(Hadoop(), ["a"]) == "http://all"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3")
    assert find(Hadoop(), ["a"]) == "http://s3"
    assert caplog.text == ""
    find(Hadoop({"fs.s3a.access.key": "key"}), ["a"])
    assert "fs.s3a.access.key is not used" in caplog.text
