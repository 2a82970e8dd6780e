"""The archive that EMR Serverless unpacks beside the job: Python, Pomona and what it needs.

EMR's image has Python 3.9 and the way to the package index is closed, so the archive holds all,
Python itself too: that which runs this.
"""

import contextlib
import gzip
import io
import pathlib
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile

from . import Failure
from .wheels import NODE_GLIBC, NODE_PYTHON

# Python finds its library, its shared libraries and the packages wherever the archive lies.
START = """\
#!/bin/sh
home=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONHOME="$home"
export PYTHONPATH="$home/packages${PYTHONPATH:+:$PYTHONPATH}"
export LD_LIBRARY_PATH="$home/libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$home/bin/python3" "$@"
"""
# Folders that a job does not need, of the library and of packages; and modules that bring screens.
SURPLUS = {"__pycache__", "dist-packages", "ensurepip", "idlelib", "include", "lib2to3"}
SURPLUS |= {"site-packages", "test", "tests", "tkinter", "turtledemo"}
SCREENS = ("_curses", "_dbm", "_gdbm", "_test", "_tkinter", "nis", "ossaudiodev", "readline", "xx")
CURE = (
    "call this script by Amazon Linux 2023's own (CloudShell: sudo dnf install python3.11) or by "
    f"uv's (uv venv --seed --managed-python --python 3.{NODE_PYTHON} aws), or give an image"
)


def python_files():
    """This Python's own files by their names in the archive."""
    files = {"bin/python3": pathlib.Path(sys.executable).resolve()}
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    folder = f"{sys.platlibdir}/python3.{sys.version_info.minor}"
    for path in sorted(library.rglob("*")):
        name = path.relative_to(library)
        of_screens = name.parts[0] == "lib-dynload" and name.name.startswith(SCREENS)
        if is_needed(path, name) and not of_screens and not name.parts[0].startswith("config-"):
            files[f"{folder}/{name}"] = path
    compiled = [path for name, path in files.items() if is_compiled(name)]
    done = subprocess.run(["ldd", *compiled], capture_output=True, text=True, check=False)
    for name, path in re.findall(r"^\s*(\S+) => (/\S+)", done.stdout, re.MULTILINE):
        # The C library's own are the system's.
        if not re.match(
            r"(libc|libm|libmvec|libdl|libresolv|librt|libutil|libpthread|ld-linux.*)\.so", name
        ):
            files[f"libraries/{name}"] = pathlib.Path(path)
    return files


def is_needed(path, name):
    return path.is_file() and not SURPLUS.intersection(name.parts)


def is_compiled(name):
    return name == "bin/python3" or ".so" in name


def check_python(machine):
    """A note; refuses a Python that would not start on EMR Serverless."""
    this = f"Python {platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] != (3, NODE_PYTHON) or platform.machine() != machine:
        raise Failure(f"{this} is no Python 3.{NODE_PYTHON} for {machine} to be packed: {CURE}")
    for name, path in python_files().items():
        wanted = re.findall(rb"GLIBC_2\.(\d+)", path.read_bytes()) if is_compiled(name) else []
        if (newest := max(map(int, wanted), default=0)) > NODE_GLIBC[1]:
            raise Failure(
                f"{this} would not start on EMR Serverless, since {path} wants glibc 2.{newest} "
                f"and Amazon Linux 2023 has 2.{NODE_GLIBC[1]}: {CURE}"
            )
    return f"packs {this}"


def install(files, machine, target):
    """Pomona and requirements.txt, from the wheels, or from the index where they lack it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if name.startswith("wheels/") or name == "requirements.txt":
                (pathlib.Path(folder) / pathlib.Path(name).name).write_bytes(content)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--target", target, "--no-compile", "--find-links", folder, "--no-deps"]
        pip += ["--only-binary", ":all:", "--implementation", "cp"]
        pip += ["--python-version", f"3.{NODE_PYTHON}"]
        for version in ("2_34", "2_28", "2_27", "2_17", "2014"):
            pip += ["--platform", f"manylinux{'' if version == '2014' else '_'}{version}_{machine}"]
        wheels = [name for name in files if name.startswith("wheels/")]
        index = ["--no-index"] if any("/pomona-" not in name for name in wheels) else []
        for what in (
            ["--no-index", "pomona"],
            [*index, "--require-hashes", "-r", f"{folder}/requirements.txt"],
        ):
            done = subprocess.run([*pip, *what], capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failure(f"pip could not install {what[-1]}: {done.stderr.strip()}")


@contextlib.contextmanager
def pack(files, machine):
    """The archive as an open file."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        packages = pathlib.Path(folder)
        install(files, machine, packages)
        paths = python_files() | {
            f"packages/{path.relative_to(packages)}": path
            for path in sorted(packages.rglob("*"))
            if is_needed(path, path.relative_to(packages))
        }
        with (
            gzip.GzipFile(fileobj=output, mode="wb", compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            for name, path in paths.items():
                archive.add(path.resolve(), name)
            made = {name: content for name, content in files.items() if name.startswith("weights/")}
            for name, content in {"bin/python": START.encode(), **made}.items():
                about = tarfile.TarInfo(name)
                about.size, about.mode = len(content), 0o755
                archive.addfile(about, io.BytesIO(content))
        output.seek(0)
        yield output
