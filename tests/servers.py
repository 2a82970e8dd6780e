"""Real servers for the tests: on loopback and free ports, stopped by the process id they got.

Each is a context manager over a folder of its own, which keeps its data and its log.
"""

import contextlib
import dataclasses
import glob
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
import xml.sax.saxutils

import pytest

# Their JVMs live for seconds: the quick compiler and a plain collector halve what they cost.
JAVA_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


def need(path, cure):
    """`path`, a tool that `make test` installs; skips the test where it is not there."""
    if not path.exists():
        pytest.skip(f"no {path.name} in {path.parent}: {cure}")
    return path


def tools():
    """The folder that `make test` fills with servers and class paths."""
    return pathlib.Path(os.environ.get("POMONA_SERVERS", "build/servers"))


def class_path(profile):
    """A class path of spark/pom.xml."""
    return need(tools() / f"{profile}.classpath", "it takes Maven").read_text()


def java():
    """The Java runtime's folder and program."""
    program = shutil.which("java")
    home = os.environ.get("JAVA_HOME")
    if home:
        return home, f"{home}/bin/java"
    if program is None:
        return pytest.skip("no Java runtime")
    return str(pathlib.Path(program).resolve().parents[1]), program


def free_ports(count):
    """Ports that nobody listens at, and that the system gives to no client meanwhile."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randrange(10_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)


def get(url, authority=None):
    """The body at `url`, None while nobody serves it; `authority`: a file of who signs for it."""
    context = ssl.create_default_context(cafile=authority) if authority else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException):
        return None


def get_json(url):
    """The JSON at `url`, None while there is none: Spark's UI asks in words to wait."""
    try:
        return json.loads(get(url) or "null")
    except ValueError:
        return None


def tail(path, characters=4000):
    return path.read_text(errors="replace")[-characters:] if path.exists() else ""


def stop(process):
    process.terminate()
    try:
        # A NodeManager kills its containers at once and then waits for nothing, 17 seconds.
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def serving(command, log, ready, env=None, timeout=90):
    """Runs a server: `ready()` becomes true once it serves, `log` takes what it prints."""
    with open(log, "wb") as output:
        # It ends with the process that tests, however that ends.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env=env,
        )
    try:
        deadline = time.monotonic() + timeout
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve:\n{tail(log)}")
            time.sleep(0.1)
        yield process
    finally:
        stop(process)


@dataclasses.dataclass
class S3Server:
    endpoint: str  # http://127.0.0.1:PORT
    access_key: str
    secret_key: str
    folder: pathlib.Path
    uploads: str  # a glob below the folder, for what belongs to uploads that are not complete
    lists_any_key: bool = True  # by encoding-type=url: XML cannot hold every character

    def pending_uploads(self):
        """What was begun and neither completed nor aborted, whatever it is for this server."""
        return [path for path in self.folder.glob(self.uploads) if path.is_file()]

    def file_system(self):
        """The server as pyarrow's file system; create_dir("name") makes a bucket."""
        import pyarrow.fs

        return pyarrow.fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            endpoint_override=self.endpoint,
            region="us-east-1",
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
        )

    def environment(self, endpoint=None):
        """What leads the program to the server, or to a proxy in front of it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL_S3": endpoint or self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def s3a(self):
        """The settings that lead Hadoop's s3a:// to the server."""
        return {
            "spark.hadoop.fs.s3a.endpoint": self.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
            "spark.hadoop.fs.s3a.access.key": self.access_key,
            "spark.hadoop.fs.s3a.secret.key": self.secret_key,
            "spark.hadoop.fs.s3a.path.style.access": "true",
        }


KEYS = ("pomona-tests", "pomona-tests-secret")


def certify(folder):
    """Makes a certificate for 127.0.0.1 that signs itself, public.crt, and its private.key."""
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", *names]
        + ["-keyout", folder / "private.key", "-out", folder / "public.crt"],
        check=True,
        capture_output=True,
    )


@contextlib.contextmanager
def minio(folder, certificates=None):
    """An S3 server; by https where a folder has what certify() makes."""
    program = need(tools() / "minio", "it takes Go 1.24 or newer")
    port, console = free_ports(2)
    uploads = "objects/.minio.sys/multipart/**/*"
    scheme = "https" if certificates else "http"
    server = S3Server(f"{scheme}://127.0.0.1:{port}", *KEYS, folder, uploads)
    tls = ["--certs-dir", certificates] if certificates else []
    authority = certificates and certificates / "public.crt"
    addresses = ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}"]
    environment = os.environ | {
        "MINIO_ROOT_USER": server.access_key,
        "MINIO_ROOT_PASSWORD": server.secret_key,
        "MINIO_BROWSER": "off",
    }
    with serving(
        [program, "server", "--quiet", *addresses, *tls, folder / "objects"],
        folder / "log",
        lambda: get(f"{server.endpoint}/minio/health/ready", authority) is not None,
        environment,
    ):
        yield server


@contextlib.contextmanager
def versitygw(folder):
    """Another S3 server, which keeps objects as files."""
    program = need(tools() / "versitygw", "`make test-long` builds it")
    (port,) = free_ports(1)
    uploads = "objects/*/.sgwtmp/multipart/**/*"
    server = S3Server(f"http://127.0.0.1:{port}", *KEYS, folder, uploads, lists_any_key=False)
    environment = os.environ | {
        "ROOT_ACCESS_KEY": server.access_key,
        "ROOT_SECRET_KEY": server.secret_key,
    }
    (folder / "objects").mkdir()
    listening = ["--quiet", "--port", f"127.0.0.1:{port}", "--health", "/health"]
    with serving(
        [program, *listening, "posix", folder / "objects"],
        folder / "log",
        lambda: get(f"{server.endpoint}/health") is not None,
        environment,
    ):
        yield server


@dataclasses.dataclass
class Cluster:
    """What a Spark job is submitted to."""

    master: str
    conf: dict = dataclasses.field(default_factory=dict)
    env: dict = dataclasses.field(default_factory=dict)
    logs: str | None = None  # a glob of its containers' logs

    def failure(self):
        """The ends of the last application's logs, for a failed test's message."""
        paths = sorted(map(pathlib.Path, glob.glob(self.logs))) if self.logs else []
        last = [path for path in paths if path.parents[1] == paths[-1].parents[1]]
        return "".join(f"\n--- {path}\n{tail(path)}" for path in last)


def write_properties(path, properties):
    lines = [
        f"<property><name>{name}</name><value>{xml.sax.saxutils.escape(str(value))}</value>"
        "</property>"
        for name, value in properties.items()
    ]
    path.write_text("\n".join(["<configuration>", *lines, "</configuration>"]))


@contextlib.contextmanager
def yarn(folder):
    """A ResourceManager and a NodeManager of two cores and 6 GiB."""
    # It places containers by chance, weighted by what is free to all: none may be where root, for
    # whom some is kept, still writes.
    assert shutil.disk_usage(folder).free > 0, f"{folder}: YARN needs free space on its disk"
    jars = class_path("yarn")
    java_home, program = java()
    conf = folder / "conf"
    logs = folder / "containers"
    conf.mkdir()
    client, scheduler, tracker, admin, web = (f"127.0.0.1:{port}" for port in free_ports(5))
    write_properties(conf / "core-site.xml", {"hadoop.tmp.dir": folder / "tmp"})
    write_properties(
        conf / "yarn-site.xml",
        {
            "yarn.resourcemanager.address": client,
            "yarn.resourcemanager.scheduler.address": scheduler,
            "yarn.resourcemanager.resource-tracker.address": tracker,
            "yarn.resourcemanager.admin.address": admin,
            "yarn.resourcemanager.webapp.address": web,
            "yarn.resourcemanager.am.max-attempts": 1,
            "yarn.scheduler.minimum-allocation-mb": 128,
            "yarn.nodemanager.hostname": "127.0.0.1",
            "yarn.nodemanager.address": "127.0.0.1:0",
            "yarn.nodemanager.localizer.address": "127.0.0.1:0",
            "yarn.nodemanager.webapp.address": "127.0.0.1:0",
            "yarn.nodemanager.local-dirs": folder / "local",
            "yarn.nodemanager.log-dirs": logs,
            "yarn.nodemanager.resource.memory-mb": 6144,
            "yarn.nodemanager.resource.cpu-vcores": 2,
            # Virtual memory says nothing, and a full disk is not what is tested.
            "yarn.nodemanager.vmem-check-enabled": "false",
            "yarn.nodemanager.disk-health-checker.enable": "false",
        },
    )
    write_properties(
        conf / "capacity-scheduler.xml",
        {
            "yarn.scheduler.capacity.root.queues": "default",
            "yarn.scheduler.capacity.root.default.capacity": 100,
            # In cluster mode the driver takes one container of the application master's share.
            "yarn.scheduler.capacity.maximum-am-resource-percent": 1,
        },
    )
    (conf / "log4j.properties").write_text(
        "log4j.rootLogger=INFO, console\n"
        "log4j.appender.console=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.console.layout=org.apache.log4j.PatternLayout\n"
        "log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n\n"
    )

    opens = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("io", "lang", "util")]
    daemon = [program, "-Xmx512m", *JAVA_OPTIONS, *opens, "-cp", f"{conf}:{jars}"]
    server = "org.apache.hadoop.yarn.server"
    environment = os.environ | {"JAVA_HOME": java_home, "HADOOP_CONF_DIR": str(conf)}

    def nodes():
        answer = get_json(f"http://{web}/ws/v1/cluster/nodes?states=RUNNING")
        return answer and answer["nodes"]

    with (
        serving(
            [*daemon, f"{server}.resourcemanager.ResourceManager"],
            folder / "resourcemanager.log",
            lambda: get(f"http://{web}/ws/v1/cluster/info") is not None,
            environment,
        ),
        serving(
            [*daemon, f"{server}.nodemanager.NodeManager"],
            folder / "nodemanager.log",
            nodes,
            environment,
        ),
    ):
        yield Cluster(
            "yarn",
            {
                "spark.yarn.stagingDir": f"file://{folder}/staging",
                "spark.executor.memory": "1g",
                "spark.executor.instances": 1,
            },
            {"HADOOP_CONF_DIR": str(conf), "JAVA_HOME": java_home},
            f"{logs}/*/*/std*",
        )


@contextlib.contextmanager
def standalone(folder, spark_home):
    """Spark's own master with two workers of one core, on two addresses.

    Spark runs the second copy of a slow task on another host only, so that speculation does nothing
    on a local-cluster, whose workers share one.
    """
    java_home, _ = java()
    port, web = free_ports(2)
    url = f"spark://127.0.0.1:{port}"
    spark_class = f"{spark_home}/bin/spark-class"
    package = "org.apache.spark.deploy"
    environment = os.environ | {"JAVA_HOME": java_home, "SPARK_HOME": spark_home}

    def workers():
        answer = get_json(f"http://127.0.0.1:{web}/json")
        return answer["aliveworkers"] if answer else None

    with contextlib.ExitStack() as stack:
        master = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web)]
        stack.enter_context(
            serving(
                [spark_class, f"{package}.master.Master", *master],
                folder / "master.log",
                lambda: workers() is not None,
                environment,
            )
        )
        for number in (1, 2):
            worker = ["--host", f"127.0.0.{number}", "--webui-port", "0", "--cores", "1"]
            worker += ["--memory", "1g", "--work-dir", str(folder / "work")]
            stack.enter_context(
                serving(
                    [spark_class, f"{package}.worker.Worker", *worker, url],
                    folder / f"worker{number}.log",
                    lambda number=number: workers() == number,
                    environment | {"SPARK_LOCAL_IP": f"127.0.0.{number}"},
                )
            )
        yield Cluster(url, logs=f"{folder}/work/*/*/std*")
