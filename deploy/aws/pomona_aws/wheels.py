"""Wheels: whether the nodes can install them, and the job's file out of Pomona's."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import re
import zipfile

from . import FOLDER, Failure

REQUIREMENTS = FOLDER / "requirements.txt"
# The Python that bootstrap.sh installs, and the C library of Amazon Linux 2023,
# which EMR 7 and Batch's images are.
NODE_PYTHON = 11  # 3.11
NODE_GLIBC = (2, 34)
# The target of make that builds Pomona's wheel for each kind of machine, on x86-64.
TARGETS = {"x86_64": "wheel", "aarch64": "wheel-arm64"}


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel by its name: NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl, tags joined by dots."""

    path: pathlib.Path
    name: str
    python: str
    abi: str
    platform: str

    @staticmethod
    def parse(path: pathlib.Path) -> Wheel:
        match = re.fullmatch(r"([^-]+)-[^-]+(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl", path.name)
        if not match:
            raise Failure(f"{path}: not the name of a wheel")
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        return Wheel(path, name, *match.groups()[1:])

    def fits(self, machine: str) -> bool:
        """Whether a node's pip takes it."""
        stable = {f"cp3{minor}" for minor in range(2, NODE_PYTHON + 1)}
        pythons = {"py3", f"py3{NODE_PYTHON}", f"cp3{NODE_PYTHON}"}
        pythons |= stable if "abi3" in self.abi.split(".") else set()
        return bool(pythons.intersection(self.python.split("."))) and any(
            fits_platform(tag, machine) for tag in self.platform.split(".")
        )


def fits_platform(tag: str, machine: str) -> bool:
    if tag in ("any", f"linux_{machine}"):
        return True
    if re.fullmatch(rf"manylinux(1|2010|2014)_{machine}", tag):
        return True
    match = re.fullmatch(rf"manylinux_(\d+)_(\d+)_{machine}", tag)
    return match is not None and (int(match[1]), int(match[2])) <= NODE_GLIBC


def find_wheels(paths):
    """The wheels that are named, and those of the folders that are."""
    wheels: list[Wheel] = []
    for path in paths:
        found = sorted(path.glob("*.whl")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise Failure(f"{path}: no wheel there")
        wheels += map(Wheel.parse, found)
    return wheels


def check_wheels(wheels, machines):
    """Refuses what bootstrap.sh could not install on the nodes; returns Pomona's wheels."""
    ours = [wheel for wheel in wheels if wheel.name == "pomona"]
    if not ours:
        raise Failure("no wheel of pomona among those of --wheel")
    node = f"Python 3.{NODE_PYTHON}, glibc {NODE_GLIBC[0]}.{NODE_GLIBC[1]}"
    for machine in machines:
        if not any(wheel.fits(machine) for wheel in ours):
            raise Failure(
                f"{', '.join(wheel.path.name for wheel in ours)}: not for the nodes ({machine}, "
                f"{node}); `make {TARGETS[machine]}` on Debian 12 with Python 3.{NODE_PYTHON} makes"
                " one that is"
            )
    others = [wheel for wheel in wheels if wheel.name != "pomona"]
    for machine in machines if others else []:
        if absent := lacking(others, machine):
            raise Failure(
                f"with wheels beside Pomona's the nodes install from these alone, and {machine} "
                f"lacks {', '.join(absent)} as in {REQUIREMENTS}: add them by pip download "
                "(docs/aws.md), or leave all but Pomona's out"
            )
    return ours


def lacking(wheels, machine):
    """What requirements.txt pins and none of the wheels is."""
    digests = {
        hashlib.sha256(wheel.path.read_bytes()).hexdigest()
        for wheel in wheels
        if wheel.fits(machine)
    }
    pin = re.compile(r"^([a-z0-9-]+)==(\S+)((?:.*\\\n)*.*)", re.MULTILINE)
    return [
        f"{name}=={version}"
        for name, version, hashes in pin.findall(REQUIREMENTS.read_text())
        if not digests.intersection(re.findall("sha256:([0-9a-f]+)", hashes))
    ]


def job_file(wheel):
    """The text of spark_job.py out of Pomona's wheel, which is sound."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if damaged := archive.testzip():
                raise Failure(f"{wheel} is damaged: {damaged}")
            return archive.read("pomona/spark_job.py")
    except zipfile.BadZipFile as error:
        raise Failure(f"{wheel} is no wheel, or half of one: {error}") from error
    except KeyError as error:
        raise Failure(f"{wheel} has no pomona/spark_job.py") from error
