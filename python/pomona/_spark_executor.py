"""The tasks of a run on Spark: a stage is one Spark job, which carries numbers and short texts."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import os
import pathlib
import re
import sys
import uuid
import zipimport
from collections.abc import Callable

from pyspark import (
    AccumulatorParam,
    SparkContext,
    SparkFiles,
    TaskContext,
    inheritable_thread_target,
)
from pyspark.sql import SparkSession

from . import _core

# What users read in Spark's UI.
_DESCRIPTIONS = {
    "extract": "extract features",
    "gather": "join the slices of fragments",
    "features": "write features",
    "projections": "write projections",
}

_POLL_SECONDS = 0.1


class StageFailed(RuntimeError):
    """A task failed as often as Spark lets one, or Spark itself did."""


class SparkExecutor:
    """What `_core.run` hands its stages to."""

    def __init__(self, context: SparkContext, weights: str = "") -> None:
        """weights: a file of this machine that the workers are to use; empty: ImageNet's."""
        self._context = context
        self._weights = weights
        self._is_sent = not weights

    def __call__(self, job: str, stage: str, tasks: int, deliver: Callable[[str], object]) -> None:
        if not self._is_sent:  # not earlier: by now the run has found the file to be right
            self._context.addFile(self._weights)
            self._is_sent = True
        results: collections.deque[str] = collections.deque()
        task = functools.partial(
            run_task,
            job=job,
            stage=stage,
            weights=pathlib.Path(self._weights).name,
            # The only way on which Spark hands over a task's result while others still run: an
            # action's accumulator hears of each task once, whatever is tried again.
            results=self._context.accumulator(results, _Results()),
        )
        group = f"pomona-{uuid.uuid4()}"

        def submit() -> None:
            self._context.setJobGroup(group, f"pomona: {describe(stage)}")
            self._context.parallelize(range(tasks), tasks).foreach(task)

        delivered = 0
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(inheritable_thread_target(submit))
            try:
                while not running.done() or results:
                    concurrent.futures.wait([running], timeout=_POLL_SECONDS)
                    while results:
                        deliver(results.popleft())
                        delivered += 1
                running.result()
            except BaseException as error:
                failed = running.done() and error is running.exception()
                with contextlib.suppress(Exception):  # there may be no Spark any more
                    while not running.done():  # once is too early where the job has not begun yet
                        self._context.cancelJobGroup(group)
                        concurrent.futures.wait([running], timeout=_POLL_SECONDS)
                if failed:
                    raise StageFailed(explain(stage, str(error))) from error
                raise
        if delivered != tasks:
            raise StageFailed(
                f"{describe(stage)}: Spark lost results, {tasks - delivered} of {tasks}"
            )


def classic_context(spark: SparkSession, what: str) -> SparkContext:
    """The session's context, for `what`; Spark Connect has none."""
    try:
        return spark.sparkContext
    except (AttributeError, NotImplementedError):
        raise NotImplementedError(
            f"{what} needs a classic Spark session, and this one is of Spark Connect: use "
            "SparkSession.builder.master(...) or spark-submit without --remote and SPARK_REMOTE"
        ) from None


def describe(stage: str) -> str:
    """What a stage is called for users."""
    merge = re.fullmatch(r"merge(\d+)", stage)
    return f"merge moments, step {merge[1]}" if merge else _DESCRIPTIONS.get(stage, stage)


def explain(stage: str, error: str) -> str:
    """What Spark says of a failed job in a hundred lines, in one, with the cure in another."""
    task = re.search(r"Task (\d+) in stage \S+ failed (\d+) times", error)
    where = f"{describe(stage)}: " + (f"task {task[1]} failed {task[2]} times: " if task else "")
    raised = re.search(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)", error)
    if raised:
        return where + raised[1]
    lost = re.search(r"Lost task .*?\): (.+)", error)
    if lost is None:
        lost = re.search(r"(?:^|: )(?:[a-z]+\.)+\w+: (.+)", error) or re.search("(.+)", error)
    reason = lost[1] if lost else "Spark gives no reason"
    causes = re.findall(r"^Caused by: (.+)", error, re.MULTILINE)
    if causes and "TASK_WRITE_FAILED" in reason:  # which says where to, not why
        reason = causes[-1]
    line = where + reason
    if re.search("ExecutorLostFailure|worker exited unexpectedly", error):
        line += (
            "\na worker was killed, most likely for want of memory: raise "
            "spark.executor.memoryOverhead (0.5 GB a core and more for large images), or give an "
            "executor fewer cores"
        )
    return line


class _Results(AccumulatorParam):
    """Texts on their way to the driver: a list in a task, the driver's deque there."""

    def zero(self, value):
        return []

    def addInPlace(self, value1, value2):
        value1.extend(value2)
        return value1


# What follows runs in the Python workers.


def in_worker(function):
    """Before each task, PySpark 3.5's worker has every importer of an archive read it again: 13
    times pyspark.zip, 70 ms. Importers that are forgotten are made again where they are needed.
    """

    @functools.wraps(function)
    def called(*args, **kwargs):
        for path, importer in list(sys.path_importer_cache.items()):
            if isinstance(importer, zipimport.zipimporter):
                del sys.path_importer_cache[path]
        return function(*args, **kwargs)

    return called


def see_own_gpus(resources):
    """Of a machine's GPUs CUDA shows this process those that Spark gave its first task. Tasks that
    an executor has at once have processes of their own, and each goes on with its own.
    """
    if gpu := resources.get("gpu"):
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as nvidia-smi counts them
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", ",".join(gpu.addresses))


@in_worker
def run_task(number, *, job, stage, weights, results):
    see_own_gpus(TaskContext.get().resources())
    results.add([_worker(job, weights).run(stage, number)])


@functools.lru_cache(maxsize=1)
def _worker(job, weights):
    """Kept between the tasks of a run."""
    return _core.Worker(job, SparkFiles.get(weights) if weights else "")
