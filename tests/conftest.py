"""Where the tests find the program, the outside data and finished runs."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import servers
import skips
from runs import RUN_ID
from spark_submit import SparkSubmit


def pytest_addoption(parser):
    parser.addoption(
        "--accept", action="store_true", help="take the command line's output as expected"
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; left out of `make test`")


# Folders whose tests share servers, or runs that take long to make.
TOGETHER = ["spark", "s3", "reliability"]


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks
def pytest_collection_modifyitems(config, items):
    """Of tests side by side one process runs all of a file, or of such a folder; these begin."""

    def group(item):
        folder = item.path.parent.name
        return folder if folder in TOGETHER else item.path.stem

    if config.pluginmanager.has_plugin("xdist"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group(group(item)))
        items.sort(key=lambda item: [group(item) != name for name in TOGETHER])


def refuse_skip(report):
    """Makes a skip a failure under CI, unless skips.py knows its reason."""
    if report.skipped and not hasattr(report, "wasxfail") and skips.under_ci():
        reason = str(report.longrepr[2])
        if not skips.is_allowed(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason}\nUnder CI only what tests/skips.py allows may be skipped."
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return refuse_skip((yield))


@pytest.fixture(scope="session")
def pomona():
    """Path of the program."""
    program = os.environ.get("POMONA_PROGRAM")
    if not program:
        pytest.skip("POMONA_PROGRAM does not name the program")
    return program


@pytest.fixture(scope="session")
def data():
    """The folder of outside data."""
    folder = pathlib.Path(os.environ.get("POMONA_TEST_DATA", ""))
    if not (folder / "reference").is_dir():
        pytest.skip("POMONA_TEST_DATA does not name the folder of outside data")
    return folder


@pytest.fixture(scope="session")
def run(pomona, tmp_path_factory):
    """run(input, *options) runs the job and returns its output folder."""

    def run(tree, *options):
        output = tmp_path_factory.mktemp("output")
        job = [pomona, "run", tree, output, "--run-id", RUN_ID, "--quiet", *options]
        finished = subprocess.run(job, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        return output

    return run


@pytest.fixture(scope="session")
def fruits_run(run, data):
    """The output for the 1,716 real images, with all defaults."""
    return run(data / "fruits")


@pytest.fixture(scope="module")
def fruits(fruits_run, tmp_path_factory):
    """The same, of a module that audits it."""
    output = tmp_path_factory.mktemp("fruits") / "out"
    shutil.copytree(fruits_run, output)
    return output


@pytest.fixture(scope="session")
def sample_tree(pomona, tmp_path_factory):
    """120 synthetic images, which no test changes: growth tells files apart by these times too."""
    tree = tmp_path_factory.mktemp("sample")
    subprocess.run([pomona, "sample", tree, "--images", "120"], check=True, capture_output=True)

    def times():
        return {path: path.stat().st_ctime_ns for path in tree.rglob("*.jpg")}

    made = times()
    yield tree
    assert times() == made, "a test changed the tree that all share; hard links to its files do too"


@pytest.fixture(scope="session")
def paths(sample_tree):
    """The sample tree's images."""
    return sorted(sample_tree.rglob("*.jpg"))


@pytest.fixture(scope="session")
def extractor():
    """The package's Extractor."""
    package = pytest.importorskip("pomona", reason="the package is not installed")
    return package.Extractor(threads=2)


@pytest.fixture(scope="session")
def sample_run(run, sample_tree):
    return run(sample_tree, "--pca-components", "10", "--vectors", "spark")


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A Spark session that needs no network."""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("no Java runtime for PySpark")
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    with servers.minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def yarn(tmp_path_factory):
    with servers.yarn(tmp_path_factory.mktemp("yarn")) as cluster:
        yield cluster


@pytest.fixture(scope="session", params=["spark3", pytest.param("spark4", marks=pytest.mark.long)])
def spark_submit(request, tmp_path_factory):
    """spark-submit of PySpark 3.5, the tests' own, and of 4.1, which has its own environment.

    `make test` leaves 4.1 out but where a test parametrizes "spark_submit" itself, indirectly.
    """
    servers.java()
    python: str | None = sys.executable
    if request.param == "spark4":
        python = shutil.which(os.environ.get("POMONA_SPARK4_PYTHON", ""))
        if not python:
            pytest.skip("POMONA_SPARK4_PYTHON does not name a Python with PySpark 4")
    return SparkSubmit(python, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def standalone(spark_submit, tmp_path_factory):
    """Spark's own cluster, of the same PySpark as `spark_submit`."""
    with servers.standalone(tmp_path_factory.mktemp("standalone"), spark_submit.home) as cluster:
        yield cluster
