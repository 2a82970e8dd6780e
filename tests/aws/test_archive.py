"""What EMR Serverless unpacks, unpacked: Spark 3.5 runs the job on it, and it is all there.

Stand-ins: this Python for one that would start on Amazon Linux, local folders for images and
results.
"""

import importlib
import os
import pathlib
import shutil
import subprocess
import tarfile

import machines
import pytest
from account import DEPLOY
from arm64 import FOLDER, emulated_python

pytestmark = pytest.mark.long

LIMIT = 120e6  # bytes


@pytest.fixture(scope="module")
def script():
    """The modules of deploy/aws that are for plans and for environments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DEPLOY))
        return [importlib.import_module(f"pomona_aws.{name}") for name in ("plan", "environment")]


@pytest.fixture(scope="module")
def archive(script, tmp_path_factory):
    plan, environment = script
    wheels = plan.find_wheels([machines.pomona_wheel()])
    files = plan.artifact_files(wheels, wheels) | {"weights/mine": b"weights"}
    path = tmp_path_factory.mktemp("archive") / "environment.tar.gz"
    with environment.pack(files, "x86_64") as packed, open(path, "wb") as output:
        shutil.copyfileobj(packed, output)
    return path


@pytest.fixture(scope="module")
def python(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere") / "environment"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="tar")
    return folder / "bin/python"


def test_size(archive):
    assert archive.stat().st_size < LIMIT


def test_all_comes_from_the_archive(python):
    """With nothing of this machine's in the environment."""
    program = (
        "import sys, ssl, sqlite3, ctypes, bz2, lzma, pomona, pyarrow.parquet, numpy, pandas\n"
        "files = [module.__file__ for module in sys.modules.values()"
        " if getattr(module, '__file__', None)]\n"
        "mapped = [line.split()[-1] for line in open('/proc/self/maps') if '.so' in line]\n"
        "print(*files, *mapped, sep='\\n')\n"
    )
    done = subprocess.run(
        [python, "-c", program], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    home = str(python.parents[1])
    foreign = {
        pathlib.Path(path).name.split(".so")[0]
        for path in done.stdout.split()
        if not path.startswith(home)
    }
    # The C library's own, and what the C++ and Fortran of wheels stand on.
    assert foreign <= {"libc", "libm", "libdl", "librt", "libpthread", "libutil",
                       "ld-linux-x86-64", "libstdc++", "libgcc_s"}  # fmt: skip
    assert (python.parents[1] / "weights/mine").read_bytes() == b"weights"


def test_job(python, pomona, tmp_path):
    spark = machines.cluster_spark(tmp_path / "spark-submit")
    tree = tmp_path / "fruits"
    subprocess.run([pomona, "sample", tree, "--images", "12"], check=True, capture_output=True)
    [script] = python.parents[1].glob("packages/pomona/spark_job.py")
    options = ["--run-id", "one", "--pca-components", "3"]
    with pytest.MonkeyPatch.context() as patch:
        # As by spark.emr-serverless.driverEnv and spark.executorEnv.
        patch.setenv("PYSPARK_DRIVER_PYTHON", str(python))
        patch.setenv("PYSPARK_PYTHON", str(python))
        conf = {"spark.pyspark.python": python, "spark.executorEnv.PYSPARK_PYTHON": python}
        spark(script, tree, tmp_path / "spark", *options, conf=conf)
    program = [pomona, "run", tree, tmp_path / "program", *options, "--quiet"]
    subprocess.run(program, check=True)
    for kind in ("features/csv/features", "metadata/metadata"):
        ours, theirs = (machines.lines(tmp_path / name, kind) for name in ("spark", "program"))
        assert ours == theirs and len(ours) == 12


def test_packages_for_graviton(script, tmp_path):
    """What pip gathers for arm64, loaded by a Python for it, which qemu runs."""
    plan, environment = script
    python = emulated_python()
    if not list(FOLDER.glob("wheel/pomona-*.whl")):
        pytest.skip("POMONA_ARM64 names no folder with the wheel for arm64")
    wheels = plan.find_wheels([FOLDER / "wheel"])
    ours = plan.check_wheels(wheels, ["aarch64"])
    packages = tmp_path / "packages"
    environment.install(plan.artifact_files(wheels, ours), "aarch64", packages)
    program = "import os, pandas, pomona; print(os.uname().machine, pomona.__file__)"
    done = subprocess.run(
        [*python, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["aarch64", f"{packages}/pomona/__init__.py"]
