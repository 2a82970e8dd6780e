"""Spark jobs as users run them: spark-submit in a process of its own, one for each PySpark."""

import contextlib
import os
import pathlib
import subprocess
import time

import servers
from servers import Cluster

# Seconds after which a job hangs; a loaded machine takes minutes for one that does not.
HANGS = 600

LOCAL = Cluster("local[2]")
# Two workers of one core and 1 GiB, each with an executor in a process of its own.
LOCAL_CLUSTER = Cluster("local-cluster[2,1,1024]")


class Job:
    """A running job. Its Spark UI answers on `ui` while it lasts."""

    def __init__(self, process, ui, log, cluster):
        self.process = process
        self.ui = ui
        self.log = log
        self.cluster = cluster

    def application(self):
        """The job's id in Spark, None before it has one."""
        applications = servers.get_json(f"{self.ui}/api/v1/applications")
        return applications[0]["id"] if applications else None

    def rest(self, path):
        """An answer of the UI's REST API about the job, an empty list while it has none."""
        return servers.get_json(f"{self.ui}/api/v1/applications/{self.application()}/{path}") or []

    def wait(self):
        """Waits until the job has ended well; returns what its driver printed."""
        code = self.process.wait(timeout=HANGS)
        printed = self.log.read_text(errors="replace")
        assert code == 0, f"{printed[-8000:]}{self.cluster.failure()}"
        return printed

    def wait_for(self, found):
        """Waits until `found()` gives something, and returns that."""
        deadline = time.monotonic() + HANGS
        while self.process.poll() is None and time.monotonic() < deadline:
            if result := found():
                return result
            time.sleep(0.1)
        raise AssertionError(f"the test waited in vain:\n{servers.tail(self.log)}")

    def busy_executor(self):
        """The process id of an executor that has finished a task and works on another."""

        def busy():
            for executor in self.rest("executors"):
                if executor["completedTasks"] and executor["activeTasks"]:
                    return executor_process(self.application(), executor["id"])
            return None

        return self.wait_for(busy)

    def speculative_tasks(self):
        """The second copies of slow tasks that Spark has started, waiting for the first."""

        def copies():
            stages = self.rest("stages?details=true&status=active")
            tasks = [task for stage in stages for task in stage["tasks"].values()]
            return [task for task in tasks if task["speculative"]]

        return self.wait_for(copies)


def executor_process(application, executor):
    """The process id of an executor on this machine, None where there is none."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if (
            any(word.endswith("CoarseGrainedExecutorBackend") for word in words)
            and words[words.index("--app-id") + 1] == application
            and words[words.index("--executor-id") + 1] == executor
        ):
            return int(path.parent.name)
    return None


class SparkSubmit:
    """spark_submit(script, *arguments, cluster=...) runs a job; start() does not wait for it."""

    def __init__(self, python, folder):
        self.python = python
        self.folder = folder
        show = "import pyspark, os; print(pyspark.__version__, os.path.dirname(pyspark.__file__))"
        answer = subprocess.run([python, "-c", show], check=True, capture_output=True, text=True)
        self.version, self.home = answer.stdout.split()

    def s3a(self, minio):
        """The settings for s3a:// on a MinIO server: its address and Hadoop's S3 client."""
        jars = servers.class_path(f"s3a-{self.version.rpartition('.')[0]}")
        paths = {f"spark.{process}.extraClassPath": jars for process in ("driver", "executor")}
        return paths | minio.s3a()

    @contextlib.contextmanager
    def start(self, script, *arguments, cluster=LOCAL, deploy_mode="client", conf=None):
        """Gives the running Job; stops it if the block leaves it behind."""
        log = self.folder / f"{time.monotonic_ns()}.log"
        (port,) = servers.free_ports(1)
        java_options = " ".join(servers.JAVA_OPTIONS)
        settings = {
            "spark.pyspark.python": self.python,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.port": port,
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.warehouse.dir": self.folder / "warehouse",
            **cluster.conf,
            **(conf or {}),
        }
        if cluster.master == "yarn":
            # The node has the jars: nothing to upload.
            settings["spark.yarn.jars"] = f"local:{self.home}/jars/*"
            for variables in ("spark.executorEnv", "spark.yarn.appMasterEnv"):
                settings[f"{variables}.JAVA_TOOL_OPTIONS"] = java_options
        if deploy_mode == "cluster":
            # The driver's place is a container.
            for name in ("spark.driver.host", "spark.driver.bindAddress", "spark.ui.port"):
                del settings[name]
        command = [f"{self.home}/bin/spark-submit", "--master", cluster.master]
        command += ["--deploy-mode", deploy_mode]
        for name, value in settings.items():
            command += ["--conf", f"{name}={value}"]
        environment = os.environ | cluster.env
        environment |= {
            "SPARK_HOME": self.home,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "JAVA_TOOL_OPTIONS": java_options,
        }
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [*command, script, *map(str, arguments)],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.folder,
            )
        try:
            yield Job(process, f"http://127.0.0.1:{port}", log, cluster)
        finally:
            servers.stop(process)

    def __call__(self, script, *arguments, **options):
        with self.start(script, *arguments, **options) as job:
            return job.wait()
